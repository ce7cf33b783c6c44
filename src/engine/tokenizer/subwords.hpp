// The part of a tokenizer that differs between kinds: plain text (no special tokens in it) to ids,
// an entry to its text, and what of it belongs to the program hash.
#pragma once
#include <memory>

#include "engine/tokenizer/vocabulary.hpp"

namespace assay::engine {

class Subwords {
 public:
  virtual ~Subwords() = default;

  // `fresh`: at the start of the text or after a special token.
  virtual void encode(std::string_view text, bool fresh, std::vector<Token>& out) const = 0;
  // Text of a normal entry.
  virtual std::string piece(const Entry& entry) const = 0;
  // Canonical bytes (spec/model.md, "Tokenizer bytes").
  virtual Bytes canonical() const = 0;
};

// SentencePiece byte-pair encoding by scores, as in Llama 2 ("llama").
Result<std::unique_ptr<Subwords>> load_spm(const Gguf& file, Vocabulary& vocabulary);
// Byte-level byte-pair encoding by a list of merges, as in GPT-2 and most newer models ("gpt2").
Result<std::unique_ptr<Subwords>> load_bpe(const Gguf& file, Vocabulary& vocabulary);

// The shared end of the canonical bytes: nothing, or what only few files ask for.
void append_rare_flags(Bytes& out, const Vocabulary& vocabulary);

}  // namespace assay::engine
