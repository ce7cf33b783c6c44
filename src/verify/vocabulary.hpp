// The part of a model that turns token ids into words, as a small file of its own: a GGUF without
// tensors that holds the tokenizer's metadata and, in hex under "assay.program", the program bytes
// (spec/model.md). Those name the tokenizer by its hash and are what a receipt's program hash is
// of, so whoever made the file need not be believed.
#pragma once
#include "engine/tokenizer.hpp"
#include "verify/referee/program.hpp"

namespace assay::verify {

Bytes vocabulary_file(const engine::Gguf& model, const Program& program);

struct Vocabulary {
  Hash program_hash{};
  engine::Tokenizer tokenizer;
};
// Whether this GGUF is such a file; a model's has no program in it.
bool is_vocabulary(const engine::Gguf& file);
// Errors: invalid where it is none; mismatch where the tokenizer is not the program's.
Result<Vocabulary> open_vocabulary(const engine::Gguf& file);

}  // namespace assay::verify
