// A model's commitments with everything it takes to open them: what a party to a dispute keeps of
// the weights and the RoPE table (spec/model.md).
#pragma once
#include "verify/identity.hpp"

namespace assay::verify {

class ModelTrees {
 public:
  // Hashes every weight and the RoPE table once; keeps 32 bytes a tensor and a RoPE chunk.
  ModelTrees(std::shared_ptr<const engine::Model> model, ThreadPool& pool,
             const HashProgress& progress = {});

  const engine::Model& model() const { return *model_; }
  const std::shared_ptr<const engine::Model>& shared_model() const { return model_; }
  // In canonical order.
  const engine::Tensor& tensor(std::uint32_t index) const { return *tensors_[index]; }
  // GGUF bytes of a chunk of at most 256 values. The chunk must exist (asserted).
  ByteView chunk(std::uint32_t tensor, std::uint64_t row, std::uint32_t chunk) const;
  // The same of the table, into `out`.
  ByteView rope(std::uint64_t chunk, std::vector<float>& out) const;

  Hash weights_root() const;
  Hash rope_root() const;
  // Sibling hashes, nearest first. The first hashes the whole tensor: time grows with it, memory
  // hardly.
  std::vector<Hash> chunk_path(std::uint32_t tensor, std::uint64_t row, std::uint32_t chunk,
                               ThreadPool& pool) const;
  std::vector<Hash> tensor_path(std::uint32_t tensor) const;
  std::vector<Hash> rope_path(std::uint64_t chunk) const;

 private:
  std::shared_ptr<const engine::Model> model_;
  std::vector<const engine::Tensor*> tensors_;
  std::vector<Hash> tensor_leaves_, rope_leaves_;
};

}  // namespace assay::verify
