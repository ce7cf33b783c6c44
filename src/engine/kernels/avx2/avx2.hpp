// What the translation units of this folder give to the AVX2 table.
#pragma once
#include "engine/kernels/kernels.hpp"

namespace assay::engine {

void avx2_product(const Matrix&, std::uint32_t begin, std::uint32_t end, const Activations&,
                  std::uint32_t tokens, float* y, std::size_t y_stride, std::byte* scratch);
bool avx2_quantize_q8(const float* x, std::size_t n, std::int8_t* q, float* scale);
bool avx2_quantize_q8k(const float* x, std::size_t n, std::int8_t* q, float* scale,
                       std::int16_t* sums);

}  // namespace assay::engine
