// What the translation units of this folder give to the NEON tables.
#pragma once
#include "engine/kernels/kernels.hpp"

namespace assay::engine {

void neon_product(const Matrix&, std::uint32_t begin, std::uint32_t end, const Activations&,
                  std::uint32_t tokens, float* y, std::size_t y_stride, std::byte* scratch);
void neondot_product(const Matrix&, std::uint32_t begin, std::uint32_t end, const Activations&,
                     std::uint32_t tokens, float* y, std::size_t y_stride, std::byte* scratch);

}  // namespace assay::engine
