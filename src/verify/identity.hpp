// What a receipt proves was run: weights root and program hash (spec/model.md).
//
//   program hash   SHA-256 of program_bytes(): architecture, hyper-parameters as exact bits, type
//   of
//                  every tensor, roots or hashes of RoPE table, tokenizer and chat template
//   weights root   RFC 6962 tree over tensors; each tensor a tree over its 256-value chunks, whose
//                  leaves bind tensor, row and chunk
// The GGUF file's own SHA-256 is an alias: it also covers names, padding and unused metadata.
#pragma once
#include <functional>

#include "base/thread_pool.hpp"
#include "engine/chat_template.hpp"
#include "engine/model.hpp"
#include "engine/tokenizer.hpp"
#include "protocol/messages.hpp"
#include "verify/referee/program.hpp"

namespace assay::verify {

struct ModelIdentity {
  Hash weights_root{}, program_hash{};
  Hash file_sha256{};
  std::uint32_t canon = 0;
};

// Told from the calling thread, between tensors and file blocks; may be empty.
using HashProgress = std::function<void(std::uint64_t bytes_done, std::uint64_t bytes_total)>;

// chat: null where the file has no template. `file` is the mapped GGUF the model was loaded from.
// Fails only where tokenizer and model do not belong together, or the model is larger than a
// dispute can be about (parse_program).
Result<ModelIdentity> identify(const engine::Model& model, const engine::Tokenizer& tokenizer,
                               const engine::ChatTemplate* chat, ByteView file, ThreadPool& pool,
                               const HashProgress& progress = {});

protocol::ExecutionId execution_id(const ModelIdentity& identity);
// The same from a loaded model alone, reading tokenizer and template from its GGUF.
Result<protocol::ExecutionId> execution_id(const engine::Model& model, ThreadPool& pool);

// The parts, for proofs and vectors.
Program program_of(const engine::Model& model, const engine::Tokenizer& tokenizer,
                   const engine::ChatTemplate* chat, ThreadPool& pool);
Hash rope_root(const engine::RopeTable& table, ThreadPool& pool);
std::vector<Hash> rope_leaves(const engine::RopeTable& table, ThreadPool& pool);
Hash weights_root(const engine::Model& model, ThreadPool& pool, const HashProgress& progress = {});
// The preimage of a tensor's leaf without the tensor's root, which ends it.
Bytes tensor_description(const engine::Tensor& tensor);
// index: the tensor's place in Model::weights().
Hash tensor_root(const engine::Tensor& tensor, std::uint32_t index, ThreadPool& pool);
Hash chunk_leaf(const engine::Tensor& tensor, std::uint32_t index, std::uint64_t row,
                std::uint32_t chunk);

}  // namespace assay::verify
