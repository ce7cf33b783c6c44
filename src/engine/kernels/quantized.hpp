// Rows of activations in the quantized forms that products take, laid out as Activations says.
#pragma once
#include <vector>

#include "engine/kernels/kernels.hpp"

namespace assay::engine {

class Quantized {
 public:
  // Room for `tokens` rows of `cols` columns. What was there is lost.
  void resize(std::size_t tokens, std::size_t cols);

  // Row `token` of `tokens` that are multiplied together, from x[0, cols), in one form. False if a
  // scale is not finite. Rows may be written by several threads at once.
  bool row(const Kernels& kernels, canon::Activation form, std::size_t token, std::size_t tokens,
           const float* x, std::size_t cols);

  Activations view(const float* x, std::size_t tokens) const {
    return {x,     q8_.data(), q8_scale_.data(), q8k_.data(), q8k_scale_.data(), q8k_sums_.data(),
            tokens};
  }

 private:
  std::vector<std::int8_t> q8_, q8k_;
  std::vector<float> q8_scale_, q8k_scale_;
  std::vector<std::int16_t> q8k_sums_;
};

}  // namespace assay::engine
