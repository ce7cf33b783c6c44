#include "engine/constraint.hpp"

#include <algorithm>
#include <array>

#include "engine/model.hpp"

namespace assay::engine {
namespace {

using Kind = canon::Piece::Kind;

// Masks one constraint keeps: an answer is in few states often.
constexpr std::size_t kMasksBytes = std::size_t{16} << 20;

canon::Piece piece_of(const Tokenizer& tokenizer, Token token, std::span<const Token> ends) {
  if (std::ranges::binary_search(ends, token)) return {Kind::end, {}};
  std::string text = tokenizer.piece(token);
  if (text.empty() || text.size() > canon::kPieceMax) return {};
  return {Kind::text, std::move(text)};
}

}  // namespace

std::shared_ptr<const Pieces> Pieces::of(std::vector<canon::Piece> list) {
  auto out = std::make_shared<Pieces>();
  out->list = std::move(list);
  for (Token token = 0; token < out->list.size(); ++token) {
    if (out->list[token].kind == Kind::end) out->ends.push_back(token);
    if (out->list[token].kind == Kind::text) out->sorted.push_back(token);
  }
  const auto bytes = [&](Token token) -> const std::string& { return out->list[token].bytes; };
  std::ranges::sort(out->sorted, [&](Token a, Token b) { return bytes(a) < bytes(b); });
  const std::string* before = nullptr;
  for (const Token token : out->sorted) {
    const std::string& text = bytes(token);
    const auto same = before ? std::ranges::mismatch(*before, text).in2 - text.begin() : 0;
    out->shared.push_back(static_cast<std::uint8_t>(same));
    before = &text;
  }
  return out;
}

std::shared_ptr<const Pieces> pieces_of(const Tokenizer& tokenizer) {
  const std::vector<Token> ends = tokenizer.stop_tokens();
  std::vector<canon::Piece> list;
  list.reserve(tokenizer.size());
  for (Token token = 0; token < tokenizer.size(); ++token)
    list.push_back(piece_of(tokenizer, token, ends));
  return Pieces::of(std::move(list));
}

// Here, so that whoever only reads a model needs nothing of this.
Result<std::shared_ptr<const Pieces>> Model::pieces() const {
  const std::lock_guard lock(pieces_->mutex);
  if (!pieces_->made) {
    TRY(const Tokenizer tokenizer, Tokenizer::from(gguf_));
    pieces_->made = pieces_of(tokenizer);
  }
  return pieces_->made;
}

const Hash& Pieces::root(const std::function<Hash(std::span<const canon::Piece>)>& hash) const {
  std::call_once(hashed_, [&] { root_ = hash(list); });
  return root_;
}

Constraint::Constraint(canon::Automaton automaton, std::shared_ptr<const Pieces> pieces)
    : automaton_(std::move(automaton)),
      pieces_(std::move(pieces)),
      reference_{automaton_, pieces_->list} {}

Status Constraint::check_ways_on() const {
  std::array<bool, 256> alone{};
  for (const Token token : pieces_->sorted)
    if (const std::string& text = pieces_->list[token].bytes; text.size() == 1)
      alone[static_cast<std::uint8_t>(text[0])] = true;
  for (std::uint32_t state = 0; state < automaton_.states(); ++state) {
    bool on = automaton_.accepting(state) && !pieces_->ends.empty();
    for (unsigned byte = 0; byte < 256 && !on; ++byte)
      on = alone[byte] && automaton_.next(state, static_cast<std::uint8_t>(byte)) != canon::kDead;
    if (!on)
      return fail(Errc::unsupported,
                  "the model's vocabulary cannot write what the answer is to be: nothing that may "
                  "follow in state {} is a token",
                  state);
  }
  return {};
}

// Tokens in the order of their bytes are the leaves of their trie: where a prefix is dead, what
// shares it is passed over.
Constraint::Mask Constraint::compute(std::uint32_t state) const {
  Mask mask((pieces_->list.size() + 63) / 64);
  const auto allow = [&](Token token) { mask[token / 64] |= std::uint64_t{1} << (token % 64); };
  if (automaton_.accepting(state)) std::ranges::for_each(pieces_->ends, allow);
  std::array<std::uint32_t, canon::kPieceMax + 1> after{};  // so many bytes
  after[0] = state;
  std::size_t alive = 0;  // bytes of the token before that lead on
  for (std::size_t i = 0; i < pieces_->sorted.size(); ++i) {
    if (pieces_->shared[i] > alive) continue;
    alive = pieces_->shared[i];
    const Token token = pieces_->sorted[i];
    const std::string& text = pieces_->list[token].bytes;
    while (alive < text.size()) {
      const std::uint32_t next =
          automaton_.next(after[alive], static_cast<std::uint8_t>(text[alive]));
      if (next == canon::kDead) break;
      after[++alive] = next;
    }
    if (alive == text.size()) allow(token);
  }
  return mask;
}

std::shared_ptr<const Constraint::Mask> Constraint::allowed(std::uint32_t state) const {
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = known_.find(state); it != known_.end()) return it->second;
  }
  auto mask = std::make_shared<const Mask>(compute(state));
  const std::lock_guard lock(mutex_);
  if ((known_.size() + 1) * mask->size() * sizeof(std::uint64_t) > kMasksBytes) known_.clear();
  return known_.try_emplace(state, std::move(mask)).first->second;
}

void Constraint::apply(std::span<float> z, std::span<const Token> answer) const {
  const auto mask = allowed(canon::state_after(reference_, answer));
  for (std::size_t i = 0; i < z.size(); ++i)
    if (i / 64 >= mask->size() || ((*mask)[i / 64] >> (i % 64) & 1) == 0) z[i] = canon::kForbidden;
}

}  // namespace assay::engine
