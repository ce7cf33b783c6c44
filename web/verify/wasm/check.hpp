// What the page says of the files it was given: the verdict of `assay verify --json`, and beside it
// what a picture of it needs. Compiled to WebAssembly for the page, and for the machine as
// assay_page_check, whose output must be the same to the byte.
#pragma once
#include <memory>

#include "verify/evidence.hpp"
#include "verify/identity.hpp"

namespace assay::page {

// A model's GGUF file, or a vocabulary's (verify/vocabulary.hpp): what turns token ids into text.
struct ModelFile {
  std::optional<verify::ModelIdentity> identity{};  // of a model
  Hash program_hash{};
  engine::Tokenizer tokenizer;
};
// Hashes all of a model. Errors: what the engine refuses to run, by name.
Result<ModelFile> open_model(ByteView file, const verify::HashProgress& progress = {});

// Texts may be empty and model null: not there.
struct Inputs {
  ByteView evidence{};
  std::string_view opening{};      // opening file
  std::string_view trusted{};      // keys the reader believes: lines of vkeys, public keys in PEM
  std::string_view attestation{};  // an OpenSSF Model Signing bundle over the model's files
  std::string_view checkpoint{};   // of a log, as the reader has it from elsewhere
  std::string_view quote{};
  const ModelFile* model = nullptr;
};

// One line of JSON. {"error": why} where the files cannot be read at all, else
//   "verdict"  as `assay verify --json`
//   "chain"    who, which model, log and anchor
//   "answer", "prompt"  {"text"} where disclosed and the model is there, else null
//   "quote"    null, or {"verdict", "exact", "before", "parts": [{"kind", "text"}], "after"}
std::string check(const Inputs& inputs);

}  // namespace assay::page
