#include "engine/tokenizer.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <queue>
#include <unordered_map>

#include "base/assert.hpp"

namespace assay::engine {
namespace {

// ggml's tokenizer.ggml.token_type.
enum class Kind : std::uint8_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6,
};

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581, how SPM writes a space
constexpr std::size_t kMaxVocabulary = 1u << 20;

// Entries that end a turn by their text; they are control tokens whatever their type says.
constexpr std::string_view kTurnEnds[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>",      "<end_of_turn>",     "<|endoftext|>",
    "<|eom_id|>", "<EOT>",      "_<EOT>",  "<|end_of_text|>", "<end_of_utterance>"};

struct Entry {
  std::string text;
  float score;
  Kind kind;
};

bool special(Kind kind) { return kind == Kind::control || kind == Kind::unknown; }

// Bytes of the UTF-8 character this byte begins; a stray continuation byte stands alone.
std::size_t character_length(char first) {
  const auto b = static_cast<std::uint8_t>(first);
  return b < 0xc0 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
}

// The only spelling of a byte token: "<0x4A>".
std::string byte_text(unsigned byte) { return fmt::format("<0x{:02X}>", byte); }
bool is_byte_text(std::string_view s) {
  const auto digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  return s.size() == 6 && s.starts_with("<0x") && digit(s[3]) && digit(s[4]) && s[5] == '>';
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

void append_string(Bytes& out, std::string_view s) {
  append_le(out, static_cast<std::uint32_t>(s.size()));
  append(out, view(s));
}

}  // namespace

struct Tokenizer::Data {
  std::vector<Entry> entries;
  std::unordered_map<std::string_view, Token> ids;       // every non-empty entry
  std::unordered_map<std::string_view, Token> text_ids;  // those plain text may become
  std::vector<Token> pre_split;  // control, unknown and user-defined: longest first, then lowest id
  std::array<Token, 256> byte_ids{};
  std::optional<Token> bos, eos, unknown;
  std::vector<Token> stops;
  bool add_bos = true, add_space_prefix = true;
  Bytes canonical;

  Status load_entries(const Gguf& file);
  Status load_special_ids(const Gguf& file);
  Status build();
  void encode_canonical();

  void encode_plain(std::string_view text, std::vector<Token>& out) const;
};

namespace {

// An id the file may name; absent: the default of SPM models, if the vocabulary reaches it.
Result<std::optional<Token>> special_id(const Gguf& file, std::string_view name,
                                        std::optional<Token> fallback, std::size_t size) {
  const std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
  if (!file.has(key)) return fallback && *fallback < size ? fallback : std::nullopt;
  TRY(const auto id, file.u64(key));
  if (id >= size)
    return fail(Errc::invalid, "metadata '{}' is {}, outside the vocabulary of {}", key, id, size);
  return static_cast<Token>(id);
}

Result<bool> flag(const Gguf& file, std::string_view key, bool fallback) {
  if (!file.has(key)) return fallback;
  return file.boolean(key);
}

}  // namespace

Status Tokenizer::Data::load_entries(const Gguf& file) {
  TRY(auto texts, file.strings("tokenizer.ggml.tokens"));
  TRY(const auto scores, file.numbers("tokenizer.ggml.scores"));
  TRY(const auto kinds, file.numbers("tokenizer.ggml.token_type"));
  if (texts.empty() || texts.size() > kMaxVocabulary)
    return fail(Errc::invalid, "the vocabulary has {} entries, not 1 to {}", texts.size(),
                kMaxVocabulary);
  if (scores.size() != texts.size() || kinds.size() != texts.size())
    return fail(Errc::invalid, "the vocabulary has {} entries but {} scores and {} types",
                texts.size(), scores.size(), kinds.size());
  entries.reserve(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (!(kinds[i] >= 1 && kinds[i] <= 6))
      return fail(Errc::unsupported, "token {} has unknown type {}", i, kinds[i]);
    if (!std::isfinite(static_cast<float>(scores[i])))
      return fail(Errc::invalid, "token {} has a score that is not finite", i);
    const bool ends_turn = std::ranges::find(kTurnEnds, texts[i]) != std::end(kTurnEnds);
    entries.push_back({std::move(texts[i]), static_cast<float>(scores[i]),
                       ends_turn ? Kind::control : static_cast<Kind>(kinds[i])});
  }
  return {};
}

Status Tokenizer::Data::load_special_ids(const Gguf& file) {
  TRY(bos, special_id(file, "bos", 1, entries.size()));
  TRY(eos, special_id(file, "eos", 2, entries.size()));
  TRY(unknown, special_id(file, "unknown", 0, entries.size()));
  if (eos) stops.push_back(*eos);
  for (const std::string_view name : {"eot", "eom"}) {
    TRY(const auto id, special_id(file, name, std::nullopt, entries.size()));
    if (id) stops.push_back(*id);
  }
  for (Token id = 0; id < entries.size(); ++id)
    if (std::ranges::find(kTurnEnds, entries[id].text) != std::end(kTurnEnds)) stops.push_back(id);
  std::ranges::sort(stops);
  stops.erase(std::ranges::unique(stops).begin(), stops.end());

  TRY(add_bos, flag(file, "tokenizer.ggml.add_bos_token", true));
  TRY(add_space_prefix, flag(file, "tokenizer.ggml.add_space_prefix", true));
  TRY(const bool add_eos, flag(file, "tokenizer.ggml.add_eos_token", false));
  if (add_eos)
    return fail(Errc::unsupported,
                "the model wants EOS after every prompt (add_eos_token), which canon 0 does not "
                "support");
  TRY(const bool trims, flag(file, "tokenizer.ggml.remove_extra_whitespaces", false));
  if (trims)
    return fail(Errc::unsupported,
                "the tokenizer wants remove_extra_whitespaces, which canon 0 does not support");
  if (add_bos && !bos) return fail(Errc::invalid, "the model wants BOS but has no BOS token");
  return {};
}

Status Tokenizer::Data::build() {
  for (Token id = 0; id < entries.size(); ++id) {
    const Entry& entry = entries[id];
    if (entry.text.empty()) continue;
    if (const auto [it, fresh] = ids.emplace(entry.text, id); !fresh)
      return fail(Errc::invalid, "tokens {} and {} have the same text '{}'", it->second, id,
                  printable(entry.text));
    if (entry.kind == Kind::byte && !is_byte_text(entry.text))
      return fail(Errc::invalid, "byte token {} is written '{}', not like <0x4A>", id,
                  printable(entry.text));
    if (!special(entry.kind) && entry.kind != Kind::byte) text_ids.emplace(entry.text, id);
    if (special(entry.kind) || entry.kind == Kind::user_defined) pre_split.push_back(id);
  }
  std::ranges::sort(pre_split, [&](Token a, Token b) {
    const auto la = entries[a].text.size(), lb = entries[b].text.size();
    return la != lb ? la > lb : a < b;
  });
  for (unsigned b = 0; b < 256; ++b) {
    const char c = static_cast<char>(b);
    if (const auto it = ids.find(byte_text(b));
        it != ids.end() && entries[it->second].kind == Kind::byte)
      byte_ids[b] = it->second;
    else if (const auto one = text_ids.find(std::string_view(&c, 1)); one != text_ids.end())
      byte_ids[b] = one->second;
    else if (unknown)
      byte_ids[b] = *unknown;
    else
      return fail(Errc::invalid,
                  "the vocabulary has no token for byte 0x{:02X} and no unknown token", b);
  }
  return {};
}

void Tokenizer::Data::encode_canonical() {
  append_string(canonical, "assay/tokenizer/0");
  append_string(canonical, "llama");
  const auto id = [&](std::optional<Token> token) { append_le(canonical, token.value_or(~0u)); };
  canonical.push_back(add_bos);
  canonical.push_back(add_space_prefix);
  id(bos);
  id(eos);
  id(unknown);
  append_le(canonical, static_cast<std::uint32_t>(stops.size()));
  for (const Token stop : stops) append_le(canonical, stop);
  append_le(canonical, static_cast<std::uint32_t>(entries.size()));
  for (const Entry& entry : entries) {
    append_string(canonical, entry.text);
    append_le(canonical, std::bit_cast<std::uint32_t>(entry.score));
    canonical.push_back(static_cast<std::uint8_t>(entry.kind));
  }
}

Result<Tokenizer> Tokenizer::from(const Gguf& file) {
  TRY(const auto model, file.string("tokenizer.ggml.model"));
  if (model != "llama")
    return fail(Errc::unsupported,
                "tokenizer '{}' is not supported; canon 0 supports 'llama' (SentencePiece)",
                printable(model));
  auto data = std::make_shared<Data>();
  CHECK_OK(data->load_entries(file));
  CHECK_OK(data->load_special_ids(file));
  CHECK_OK(data->build());
  data->encode_canonical();
  Tokenizer out;
  out.data_ = std::move(data);
  return out;
}

// Greedy merges: always the adjacent pair whose joined text has the highest score, ties leftmost.
void Tokenizer::Data::encode_plain(std::string_view text, std::vector<Token>& out) const {
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  struct Symbol {
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
  std::vector<Symbol> symbols;
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
    const auto it = text_ids.find(std::string_view(symbols[left].text.data(), length));
    if (it != text_ids.end()) queue.push({entries[it->second].score, left, right, length});
  };
  for (std::size_t i = 1; i < symbols.size(); ++i) consider(i - 1, i);
  while (!queue.empty()) {
    const Pair pair = queue.top();
    queue.pop();
    Symbol& left = symbols[pair.left];
    Symbol& right = symbols[pair.right];
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
    if (const auto it = text_ids.find(symbols[i].text); it != text_ids.end()) {
      out.push_back(it->second);
    } else {
      for (const char c : symbols[i].text) out.push_back(byte_ids[static_cast<std::uint8_t>(c)]);
    }
  }
}

std::vector<Token> Tokenizer::encode(std::string_view text, Options options) const {
  // Pieces of text, and the special tokens already cut out of it.
  struct Fragment {
    std::string_view text;
    std::optional<Token> token;
  };
  std::vector<Fragment> fragments;
  if (!text.empty()) fragments.push_back({text, std::nullopt});
  for (const Token id : data_->pre_split) {
    const Entry& entry = data_->entries[id];
    if (special(entry.kind) && !options.parse_special) continue;
    if (text.find(entry.text) == text.npos) continue;
    std::vector<Fragment> cut;
    for (const Fragment& fragment : fragments) {
      if (fragment.token) {
        cut.push_back(fragment);
        continue;
      }
      std::string_view rest = fragment.text;
      for (auto at = rest.find(entry.text); at != rest.npos; at = rest.find(entry.text)) {
        if (at > 0) cut.push_back({rest.substr(0, at), std::nullopt});
        cut.push_back({{}, id});
        rest.remove_prefix(at + entry.text.size());
      }
      if (!rest.empty()) cut.push_back({rest, std::nullopt});
    }
    fragments = std::move(cut);
  }

  std::vector<Token> out;
  if (options.add_bos && data_->add_bos) out.push_back(*data_->bos);
  bool after_special = true;
  for (const Fragment& fragment : fragments) {
    if (fragment.token) {
      out.push_back(*fragment.token);
    } else {
      std::string escaped;
      if (data_->add_space_prefix && after_special) escaped = kSpace;
      escaped += replace_all(fragment.text, " ", kSpace);
      data_->encode_plain(escaped, out);
    }
    after_special = fragment.token.has_value();
  }
  return out;
}

std::string Tokenizer::piece(Token token, bool show_special) const {
  ASSAY_ASSERT(token < data_->entries.size());
  const Entry& entry = data_->entries[token];
  switch (entry.kind) {
    case Kind::normal:
      return replace_all(entry.text, kSpace, " ");
    case Kind::user_defined:
      return entry.text;
    case Kind::unknown:
    case Kind::control:
      return show_special ? entry.text : std::string();
    case Kind::unused:
      return {};
    case Kind::byte:
      for (unsigned b = 0; b < 256; ++b)
        if (data_->byte_ids[b] == token) return std::string(1, static_cast<char>(b));
      return {};
  }
  return {};
}

std::string Tokenizer::decode(std::span<const Token> tokens, bool show_special) const {
  std::string out;
  bool first = true;
  for (const Token token : tokens) {
    std::string text = piece(token, show_special);
    // The space encode() put in front of the text is not part of it.
    if (first && data_->add_space_prefix && text.starts_with(' ')) text.erase(0, 1);
    first = first && special(data_->entries[token].kind);
    out += text;
  }
  return out;
}

std::size_t Tokenizer::size() const { return data_->entries.size(); }
std::string_view Tokenizer::text(Token token) const {
  ASSAY_ASSERT(token < data_->entries.size());
  return data_->entries[token].text;
}
std::optional<Token> Tokenizer::bos() const { return data_->bos; }
std::optional<Token> Tokenizer::eos() const { return data_->eos; }
std::vector<Token> Tokenizer::stop_tokens() const { return data_->stops; }
std::optional<Token> Tokenizer::find(std::string_view entry) const {
  const auto it = data_->ids.find(entry);
  return it == data_->ids.end() ? std::nullopt : std::optional(it->second);
}
const Bytes& Tokenizer::canonical() const { return data_->canonical; }

namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

bool continuation(char c) { return (static_cast<std::uint8_t>(c) & 0xc0) == 0x80; }

// Length of the well-formed character at the front; 0: may become one with more bytes;
// otherwise minus the bytes that can never be part of one (Unicode 15, table 3-7).
int scan(std::string_view s) {
  const auto b0 = static_cast<std::uint8_t>(s[0]);
  if (b0 < 0x80) return 1;
  if (b0 < 0xc2 || b0 > 0xf4) return -1;
  const std::size_t length = b0 < 0xe0 ? 2 : b0 < 0xf0 ? 3 : 4;
  if (s.size() > 1) {
    const auto b1 = static_cast<std::uint8_t>(s[1]);
    const bool bad = !continuation(s[1]) || (b0 == 0xe0 && b1 < 0xa0) ||
                     (b0 == 0xed && b1 > 0x9f) || (b0 == 0xf0 && b1 < 0x90) ||
                     (b0 == 0xf4 && b1 > 0x8f);
    if (bad) return -1;
  }
  for (std::size_t i = 2; i < length && i < s.size(); ++i)
    if (!continuation(s[i])) return -static_cast<int>(i);
  return s.size() < length ? 0 : static_cast<int>(length);
}

// Moves what is certain from the front of `text` to `out`; an unfinished character stays.
void move_valid(std::string_view& text, std::string& out) {
  while (!text.empty()) {
    const int n = scan(text);
    if (n == 0) return;
    if (n > 0)
      out += text.substr(0, static_cast<std::size_t>(n));
    else
      out += kReplacement;
    text.remove_prefix(static_cast<std::size_t>(n > 0 ? n : -n));
  }
}

}  // namespace

std::string valid_utf8(std::string_view text) {
  std::string out;
  move_valid(text, out);
  if (!text.empty()) out += kReplacement;
  return out;
}

std::string Detokenizer::push(Token token) {
  pending_ += tokenizer_.piece(token);
  std::string out;
  std::string_view rest = pending_;
  move_valid(rest, out);
  pending_ = std::string(rest);
  return out;
}

std::string Detokenizer::finish() {
  std::string out = pending_.empty() ? std::string() : std::string(kReplacement);
  pending_.clear();
  return out;
}

}  // namespace assay::engine
