#include <array>
#include <bit>
#include <queue>

#include "engine/tokenizer/subwords.hpp"

namespace assay::engine {
namespace {

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581, how SPM writes a space

// Bytes of the UTF-8 character this byte begins; a stray continuation byte stands alone.
std::size_t character_length(char first) {
  const auto b = static_cast<std::uint8_t>(first);
  return b < 0xc0 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (;;) {
    const auto at = text.find(from);
    out += text.substr(0, at);
    if (at == text.npos) return out;
    out += to;
    text.remove_prefix(at + from.size());
  }
}

class Spm : public Subwords {
 public:
  explicit Spm(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

  Status build();
  void encode(std::string_view text, bool fresh, std::vector<Token>& out) const override;
  std::string piece(const Entry& entry) const override {
    return replace_all(entry.text, kSpace, " ");
  }
  Bytes canonical() const override;

 private:
  void merge(std::string_view text, std::vector<Token>& out) const;

  const Vocabulary& vocabulary_;
  std::unordered_map<std::string_view, Token> text_ids_;  // entries plain text may become
  std::array<Token, 256> byte_ids_{};
};

Status Spm::build() {
  for (Token id = 0; id < vocabulary_.entries.size(); ++id) {
    const Entry& entry = vocabulary_.entries[id];
    if (!entry.text.empty() && !special(entry.kind) && entry.kind != TokenKind::byte)
      text_ids_.emplace(entry.text, id);
  }
  for (unsigned b = 0; b < 256; ++b) {
    const char c = static_cast<char>(b);
    if (const auto it = vocabulary_.ids.find(byte_text(b));
        it != vocabulary_.ids.end() && vocabulary_.entries[it->second].kind == TokenKind::byte)
      byte_ids_[b] = it->second;
    else if (const auto one = text_ids_.find(std::string_view(&c, 1)); one != text_ids_.end())
      byte_ids_[b] = one->second;
    else if (vocabulary_.unknown)
      byte_ids_[b] = *vocabulary_.unknown;
    else
      return fail(Errc::invalid,
                  "the vocabulary has no token for byte 0x{:02X} and no unknown token", b);
  }
  return {};
}

Bytes Spm::canonical() const {
  const Vocabulary& v = vocabulary_;
  Bytes out;
  append_string(out, "assay/tokenizer/0");
  append_string(out, "llama");
  const auto id = [&](std::optional<Token> token) { append_le(out, token.value_or(~0u)); };
  out.push_back(v.add_bos);
  out.push_back(v.add_space_prefix);
  id(v.bos);
  id(v.eos);
  id(v.unknown);
  append_le(out, static_cast<std::uint32_t>(v.stops.size()));
  for (const Token stop : v.stops) append_le(out, stop);
  append_le(out, static_cast<std::uint32_t>(v.entries.size()));
  for (const Entry& entry : v.entries) {
    append_string(out, entry.text);
    append_le(out, std::bit_cast<std::uint32_t>(entry.score));
    out.push_back(static_cast<std::uint8_t>(entry.kind));
  }
  append_rare_flags(out, v);
  return out;
}

void Spm::encode(std::string_view text, bool fresh, std::vector<Token>& out) const {
  std::string escaped;
  if (vocabulary_.add_space_prefix && fresh) escaped = kSpace;
  escaped += replace_all(text, " ", kSpace);
  merge(escaped, out);
}

// Greedy merges: always the adjacent pair whose joined text has the highest score, ties leftmost.
void Spm::merge(std::string_view text, std::vector<Token>& out) const {
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  struct Part {
    std::size_t previous, next;
    std::string_view text;  // empty once merged into its left neighbour
  };
  struct Pair {
    float score;
    std::size_t left, right, length;
    bool operator<(const Pair& other) const {
      return score != other.score ? score < other.score : left > other.left;
    }
  };
  std::vector<Part> symbols;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = std::min(character_length(text[at]), text.size() - at);
    const std::size_t i = symbols.size();
    symbols.push_back({i == 0 ? kNone : i - 1, i + 1, text.substr(at, length)});
    at += length;
  }
  if (symbols.empty()) return;
  symbols.back().next = kNone;

  std::priority_queue<Pair> queue;
  const auto consider = [&](std::size_t left, std::size_t right) {
    if (left == kNone || right == kNone) return;
    const auto length = symbols[left].text.size() + symbols[right].text.size();
    const auto it = text_ids_.find(std::string_view(symbols[left].text.data(), length));
    if (it != text_ids_.end())
      queue.push({vocabulary_.entries[it->second].score, left, right, length});
  };
  for (std::size_t i = 1; i < symbols.size(); ++i) consider(i - 1, i);
  while (!queue.empty()) {
    const Pair pair = queue.top();
    queue.pop();
    Part& left = symbols[pair.left];
    Part& right = symbols[pair.right];
    const bool stale = left.text.empty() || right.text.empty() ||
                       left.text.size() + right.text.size() != pair.length;
    if (stale) continue;
    left.text = std::string_view(left.text.data(), pair.length);
    right.text = {};
    left.next = right.next;
    if (right.next != kNone) symbols[right.next].previous = pair.left;
    consider(left.previous, pair.left);
    consider(pair.left, left.next);
  }

  for (std::size_t i = 0; i != kNone; i = symbols[i].next) {
    if (const auto it = text_ids_.find(symbols[i].text); it != text_ids_.end()) {
      out.push_back(it->second);
    } else {
      for (const char c : symbols[i].text) out.push_back(byte_ids_[static_cast<std::uint8_t>(c)]);
    }
  }
}

}  // namespace

Result<std::unique_ptr<Subwords>> load_spm(const Gguf& file, Vocabulary& vocabulary) {
  CHECK_OK(vocabulary.load(file, {.scores = true,
                                  .bos = 1,
                                  .eos = 2,
                                  .unknown = 0,
                                  .add_bos = true,
                                  .add_space_prefix = true}));
  auto spm = std::make_unique<Spm>(vocabulary);
  CHECK_OK(spm->build());
  return spm;
}

void append_rare_flags(Bytes& out, const Vocabulary& vocabulary) {
  if (!vocabulary.add_eos && vocabulary.swallowing.empty()) return;
  append_string(out, "rare");
  out.push_back(vocabulary.add_eos);
  append_le(out, static_cast<std::uint32_t>(vocabulary.swallowing.size()));
  for (const Token id : vocabulary.swallowing) append_le(out, id);
}

}  // namespace assay::engine
