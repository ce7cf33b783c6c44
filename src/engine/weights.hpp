// A model's matrices in the form one instruction set wants, shared by every session that uses it.
#pragma once
#include <memory>
#include <vector>

#include "engine/kernels/kernels.hpp"
#include "engine/model.hpp"

namespace assay::engine {

// Owns the repacked copies its matrices point to; the tensors' bytes must outlive it.
class MatrixStore {
 public:
  explicit MatrixStore(std::uint32_t group) : group_(group) {}  // Kernels::group
  Matrix add(const Tensor& tensor);

 private:
  std::uint32_t group_;
  std::vector<std::vector<std::int8_t>> quants_;
  std::vector<std::vector<std::uint16_t>> scales_;
  std::vector<std::vector<float>> values_;
};

class Weights {
 public:
  struct Layer {
    std::vector<float> attn_norm, ffn_norm;
    Matrix q, k, v, o, gate, up, down;
  };

  // Repacks on first use and returns the same object while somebody holds it. Thread-safe.
  static std::shared_ptr<const Weights> of(const std::shared_ptr<const Model>& model,
                                           const Kernels& kernels);

  const std::vector<Layer>& layers() const { return layers_; }
  const std::vector<float>& output_norm() const { return output_norm_; }
  const Matrix& output() const { return output_; }

 private:
  Weights(std::shared_ptr<const Model> model, const Kernels& kernels);

  std::shared_ptr<const Model> model_;
  MatrixStore store_;
  std::vector<Layer> layers_;
  std::vector<float> output_norm_;
  Matrix output_{};
};

Matrix::Kind matrix_kind(TensorType type);
// One row of a tensor as binary32, exactly.
void read_row(const Tensor& tensor, std::uint64_t row, std::span<float> out);

}  // namespace assay::engine
