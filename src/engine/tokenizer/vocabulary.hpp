// What every kind of tokenizer reads from a GGUF: entries, special ids, flags.
#pragma once
#include <unordered_map>

#include "base/result.hpp"
#include "engine/gguf.hpp"
#include "engine/types.hpp"

namespace assay::engine {

// ggml's tokenizer.ggml.token_type.
enum class TokenKind : std::uint8_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6,
};

struct Entry {
  std::string text;
  float score;  // 0 where the kind of tokenizer has none
  TokenKind kind;
};

inline bool special(TokenKind kind) {
  return kind == TokenKind::control || kind == TokenKind::unknown;
}
// Found in text before anything else looks at it.
inline bool cut_out(TokenKind kind) { return special(kind) || kind == TokenKind::user_defined; }

// The only spelling of a byte token: "<0x4A>".
std::string byte_text(unsigned byte);
std::optional<std::uint8_t> byte_of(std::string_view byte_text);

// What a kind of tokenizer takes for metadata the file lacks.
struct VocabularyDefaults {
  bool scores = false;  // scores and types must be there
  std::optional<Token> bos, eos, unknown;
  bool add_bos = false, add_space_prefix = false;
};

struct Vocabulary {
  std::vector<Entry> entries;
  std::unordered_map<std::string_view, Token> ids;  // every non-empty entry
  std::optional<Token> bos, eos, unknown;
  std::vector<Token> stops;       // ascending
  std::vector<Token> swallowing;  // ids that swallow white space after them, ascending
  bool add_bos = false, add_eos = false, add_space_prefix = false;

  Vocabulary() = default;
  Vocabulary(const Vocabulary&) = delete;  // the views in `ids` are of its own entries
  Vocabulary& operator=(const Vocabulary&) = delete;

  Status load(const Gguf& file, const VocabularyDefaults& defaults);

 private:
  Status load_entries(const Gguf& file, bool scores);
  Status load_special_ids(const Gguf& file, const VocabularyDefaults& defaults);
  Status index();
  void find_swallowing(const Gguf& file);
};

// A list of strings without a copy of it; the error is Gguf::strings'.
Result<std::span<const std::string>> string_list(const Gguf& file, std::string_view key);

void append_string(Bytes& out, std::string_view s);

}  // namespace assay::engine
