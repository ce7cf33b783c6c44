// Text to token ids and back, as the GGUF's own tokenizer metadata says: "llama" (SentencePiece) or
// "gpt2" (byte-level BPE with a known pre-tokenizer). The rules, and where they differ from
// llama.cpp: spec/model.md, "The tokenizer". Any bytes are a text; time is n log n in their number.
#pragma once
#include <memory>

#include "base/result.hpp"
#include "engine/gguf.hpp"
#include "engine/types.hpp"

namespace assay::engine {

// A run of text. Special tokens are found only inside runs that may hold them, never across a
// border; for everything else the runs are one text, and where one ends changes nothing.
struct TextRun {
  std::string text;
  bool specials;
};

class Tokenizer {
 public:
  static Result<Tokenizer> from(const Gguf& file);

  struct Options {
    bool add_bos = true;        // BOS in front (and EOS behind), if the file asks for it
    bool parse_special = true;  // control tokens in the text become their ids
  };
  std::vector<Token> encode(std::string_view text, Options options) const;
  std::vector<Token> encode(std::string_view text) const { return encode(text, Options{}); }
  // A rendered chat: BOS first if the file asks for one and the text does not begin with it.
  std::vector<Token> encode(std::span<const TextRun> runs) const;

  // Bytes of one token as they appear in text (control tokens: empty unless `special`).
  std::string piece(Token token, bool special = false) const;
  // A whole text: the space that encode() put in front is dropped again. An answer in the middle
  // of a conversation is the concatenation of its pieces (Detokenizer).
  std::string decode(std::span<const Token> tokens, bool special = false) const;

  std::size_t size() const;
  std::string_view text(Token token) const;  // raw vocabulary entry
  std::optional<Token> bos() const;
  std::optional<Token> eos() const;
  // Ids that end an answer: eos, eot and the like, ascending. What a request's stop ids default to.
  std::vector<Token> stop_tokens() const;
  std::optional<Token> find(std::string_view entry) const;

  // Canonical bytes of everything above: part of the program hash (spec/model.md).
  const Bytes& canonical() const;

 private:
  struct Data;
  std::shared_ptr<const Data> data_;
};

// The text with every byte that is not part of a well-formed character replaced by U+FFFD.
std::string valid_utf8(std::string_view text);

// Streams text without ever emitting half a UTF-8 character.
class Detokenizer {
 public:
  explicit Detokenizer(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}
  std::string push(Token token);  // text that became complete
  std::string finish();           // the rest; an incomplete character becomes U+FFFD

 private:
  const Tokenizer& tokenizer_;
  std::string pending_;
};

}  // namespace assay::engine
