#include <algorithm>
#include <array>
#include <tuple>

#include "engine/tokenizer/pretokenizer.hpp"
#include "engine/tokenizer/subwords.hpp"

namespace assay::engine {
namespace {

// Symbols are what merges join: a single byte is itself, an entry of more bytes is 256 + its id.
using Symbol = std::uint32_t;
constexpr Symbol kNoSymbol = ~Symbol{0};

struct Join {
  Symbol left, right;
  std::uint32_t rank;
  Symbol joined;
};

class Bpe : public Subwords {
 public:
  Bpe(const Vocabulary& vocabulary, PreTokenizer pre) : vocabulary_(vocabulary), pre_(pre) {}

  Status build(std::span<const std::string> merges);
  void encode(std::string_view text, bool fresh, std::vector<Token>& out) const override;
  std::string piece(const Entry& entry) const override;
  Bytes canonical() const override { return canonical_; }

 private:
  // Working memory of one text.
  struct Part {
    std::size_t previous, next;
    Symbol symbol;
  };
  struct Pair {
    std::size_t left, right;
    Join join;
    bool operator<(const Pair& other) const {
      return join.rank != other.join.rank ? join.rank > other.join.rank : left > other.left;
    }
  };
  struct Work {
    std::vector<Part> parts;
    std::vector<Pair> heap;
    std::string text;
  };

  void begin_canonical();
  void index_entries();
  Result<std::optional<Join>> read_merge(std::string_view text, std::size_t rank);
  void index_joins(std::vector<Join> joins);
  Symbol symbol_of(std::string_view part) const;
  const Join* find(Symbol left, Symbol right) const;
  std::optional<Token> whole_word(std::string_view word, Work& work) const;
  void merge(std::string_view word, Work& work, std::vector<Token>& out) const;

  const Vocabulary& vocabulary_;
  PreTokenizer pre_;
  std::vector<Symbol> symbols_;  // of each entry that plain text may become; else kNoSymbol
  std::array<std::optional<Token>, 256> byte_tokens_{};
  std::vector<Join> joins_;  // ascending by left, then right
  std::vector<std::size_t>
      first_;  // where the joins of each left symbol begin; one more at the end
  Bytes canonical_;
};

void Bpe::begin_canonical() {
  const Vocabulary& v = vocabulary_;
  const auto id = [&](std::optional<Token> token) { append_le(canonical_, token.value_or(~0u)); };
  append_string(canonical_, "assay/tokenizer/0");
  append_string(canonical_, "gpt2");
  append_string(canonical_, pre_.rule);
  canonical_.push_back(pre_.whole_words);
  canonical_.push_back(v.add_bos);
  id(v.bos);
  id(v.eos);
  append_le(canonical_, static_cast<std::uint32_t>(v.stops.size()));
  for (const Token stop : v.stops) append_le(canonical_, stop);
  append_le(canonical_, static_cast<std::uint32_t>(v.entries.size()));
  for (const Entry& entry : v.entries) {
    append_string(canonical_, entry.text);
    canonical_.push_back(static_cast<std::uint8_t>(entry.kind));
  }
}

void Bpe::index_entries() {
  std::string bytes;
  symbols_.assign(vocabulary_.entries.size(), kNoSymbol);
  for (Token id = 0; id < vocabulary_.entries.size(); ++id) {
    const Entry& entry = vocabulary_.entries[id];
    if (entry.text.empty() || special(entry.kind) || entry.kind == TokenKind::byte) continue;
    if (!bytes_of_alphabet(entry.text, bytes)) continue;
    if (bytes.size() > 1) {
      symbols_[id] = 256 + id;
    } else {
      symbols_[id] = static_cast<std::uint8_t>(bytes[0]);
      byte_tokens_[symbols_[id]] = id;
    }
  }
}

// The symbol of a part of a merge; kNoSymbol: no text holds it.
Symbol Bpe::symbol_of(std::string_view part) const {
  if (const auto it = vocabulary_.ids.find(part);
      it != vocabulary_.ids.end() && symbols_[it->second] != kNoSymbol)
    return symbols_[it->second];
  std::string bytes;
  return bytes_of_alphabet(part, bytes) && bytes.size() == 1 ? static_cast<std::uint8_t>(bytes[0])
                                                             : kNoSymbol;
}

Result<std::optional<Join>> Bpe::read_merge(std::string_view text, std::size_t rank) {
  const auto space = text.find(' ');
  if (space == text.npos || space == 0 || space + 1 == text.size() ||
      text.find(' ', space + 1) != text.npos)
    return fail(Errc::invalid, "merge {} is '{}', not two parts and a space between", rank,
                printable(text));
  const std::string_view left = text.substr(0, space), right = text.substr(space + 1);
  append_string(canonical_, left);
  append_string(canonical_, right);
  const auto joined = vocabulary_.ids.find(std::string(left).append(right));
  if (joined == vocabulary_.ids.end())
    return fail(Errc::invalid, "merge {} ('{}') gives no entry of the vocabulary", rank,
                printable(text));
  const Join join{symbol_of(left), symbol_of(right), static_cast<std::uint32_t>(rank),
                  symbols_[joined->second]};
  // Plain text must not become a control token.
  if (join.left == kNoSymbol || join.right == kNoSymbol || join.joined == kNoSymbol)
    return std::optional<Join>();
  return join;
}

void Bpe::index_joins(std::vector<Join> joins) {
  std::ranges::sort(joins, [](const Join& a, const Join& b) {
    return std::tie(a.left, a.right, a.rank) < std::tie(b.left, b.right, b.rank);
  });
  joins.erase(std::ranges::unique(joins,
                                  [](const Join& a, const Join& b) {
                                    return a.left == b.left && a.right == b.right;
                                  })
                  .begin(),
              joins.end());
  joins_ = std::move(joins);
  first_.assign(256 + vocabulary_.entries.size() + 1, 0);
  for (const Join& join : joins_) ++first_[join.left + 1];
  for (std::size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
}

Status Bpe::build(std::span<const std::string> merges) {
  begin_canonical();
  index_entries();
  append_le(canonical_, static_cast<std::uint32_t>(merges.size()));
  std::vector<Join> joins;
  joins.reserve(merges.size());
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    TRY(const auto join, read_merge(merges[rank], rank));
    if (join) joins.push_back(*join);
  }
  index_joins(std::move(joins));
  append_rare_flags(canonical_, vocabulary_);
  return {};
}

const Join* Bpe::find(Symbol left, Symbol right) const {
  const auto row = std::span(joins_).subspan(first_[left], first_[left + 1] - first_[left]);
  const auto at = std::ranges::lower_bound(row, right, {}, &Join::right);
  return at != row.end() && at->right == right ? &*at : nullptr;
}

std::optional<Token> Bpe::whole_word(std::string_view word, Work& work) const {
  work.text.clear();
  for (const char c : word) append_alphabet(work.text, static_cast<std::uint8_t>(c));
  const auto it = vocabulary_.ids.find(work.text);
  if (it == vocabulary_.ids.end() || symbols_[it->second] == kNoSymbol) return std::nullopt;
  return it->second;
}

void Bpe::encode(std::string_view text, bool, std::vector<Token>& out) const {
  const CodePoints points(text);
  Work work;
  std::size_t point = 0, byte = 0;
  for (const std::size_t length : split_words(pre_.rule, points)) {
    std::size_t bytes = 0;
    for (const std::size_t end = point + length; point < end; ++point)
      bytes += utf8_length(points.codes[point]);
    const auto word = std::string_view(points.bytes).substr(byte, bytes);
    byte += bytes;
    if (pre_.whole_words)
      if (const auto whole = whole_word(word, work)) {
        out.push_back(*whole);
        continue;
      }
    merge(word, work, out);
  }
}

// Always the adjacent pair of the lowest rank, ties leftmost.
void Bpe::merge(std::string_view word, Work& work, std::vector<Token>& out) const {
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  auto& parts = work.parts;
  auto& heap = work.heap;
  parts.clear();
  heap.clear();
  for (std::size_t i = 0; i < word.size(); ++i)
    parts.push_back({i == 0 ? kNone : i - 1, i + 1 == word.size() ? kNone : i + 1,
                     static_cast<std::uint8_t>(word[i])});
  const auto consider = [&](std::size_t left, std::size_t right) {
    if (left == kNone || right == kNone) return;
    const Join* join = find(parts[left].symbol, parts[right].symbol);
    if (join == nullptr) return;
    heap.push_back({left, right, *join});
    std::push_heap(heap.begin(), heap.end());
  };
  for (std::size_t i = 1; i < parts.size(); ++i) consider(i - 1, i);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const Pair pair = heap.back();
    heap.pop_back();
    Part& left = parts[pair.left];
    // A part merged into its left neighbour is nobody's next, and no part changes back.
    if (left.next != pair.right || left.symbol != pair.join.left ||
        parts[pair.right].symbol != pair.join.right)
      continue;
    left.symbol = pair.join.joined;
    left.next = parts[pair.right].next;
    parts[pair.right].next = kNone;
    if (left.next != kNone) parts[left.next].previous = pair.left;
    consider(left.previous, pair.left);
    consider(pair.left, left.next);
  }
  for (std::size_t i = parts.empty() ? kNone : 0; i != kNone; i = parts[i].next) {
    const Symbol symbol = parts[i].symbol;
    if (symbol >= 256)
      out.push_back(symbol - 256);
    else if (const auto token = byte_tokens_[symbol])
      out.push_back(*token);
  }
}

std::string Bpe::piece(const Entry& entry) const {
  std::string bytes;
  return bytes_of_alphabet(entry.text, bytes) ? bytes : entry.text;
}

}  // namespace

Result<std::unique_ptr<Subwords>> load_bpe(const Gguf& file, Vocabulary& vocabulary) {
  if (!file.has("tokenizer.ggml.pre"))
    return fail(Errc::unsupported,
                "the GGUF does not name its pre-tokenizer (tokenizer.ggml.pre); convert the model "
                "again with a current converter");
  TRY(const auto name, file.string("tokenizer.ggml.pre"));
  TRY(const auto pre, find_pre_tokenizer(name));
  VocabularyDefaults defaults;
  defaults.add_bos = pre.add_bos;
  CHECK_OK(vocabulary.load(file, defaults));
  TRY(const auto merges, string_list(file, "tokenizer.ggml.merges"));
  auto bpe = std::make_unique<Bpe>(vocabulary, pre);
  CHECK_OK(bpe->build(merges));
  return bpe;
}

}  // namespace assay::engine
