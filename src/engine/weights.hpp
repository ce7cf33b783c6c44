// A model's weights as kernels take them: matrices where the file is mapped, vectors as numbers.
#pragma once
#include <memory>
#include <vector>

#include "engine/kernels/kernels.hpp"
#include "engine/model.hpp"

namespace assay::engine {

struct Weights {
  struct Layer {
    std::vector<float> attn_norm, ffn_norm;
    std::vector<float> q_bias, k_bias, v_bias, q_norm, k_norm;  // empty: the model has none
    Matrix q, k, v, o, gate, up, down;
  };
  std::vector<Layer> layers;
  std::vector<float> output_norm;
  Matrix output{};

  // The model must outlive it. Cheap: copies the vectors only.
  static Weights of(const Model& model);
};

// One row of a tensor as binary32.
void read_row(const Tensor& tensor, std::uint64_t row, std::span<float> out);

}  // namespace assay::engine
