// What the translation units of this folder give to the AVX-512 tables.
#pragma once
#include "engine/kernels/kernels.hpp"

namespace assay::engine {

void avx512_product(const Matrix&, std::uint32_t begin, std::uint32_t end, const Activations&,
                    std::uint32_t tokens, float* y, std::size_t y_stride, std::byte* scratch);
void avx512vnni_product(const Matrix&, std::uint32_t begin, std::uint32_t end, const Activations&,
                        std::uint32_t tokens, float* y, std::size_t y_stride, std::byte* scratch);
bool avx512_quantize_q8(const float* x, std::size_t n, std::int8_t* q, float* scale);
bool avx512vnni_quantize_q8(const float* x, std::size_t n, std::int8_t* q, float* scale);
bool avx512_quantize_q8k(const float* x, std::size_t n, std::int8_t* q, float* scale,
                         std::int16_t* sums);

}  // namespace assay::engine
