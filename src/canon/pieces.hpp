// The pieces of canonical operations that are smaller than a vector or a row: what one step of a
// dispute executes, and what the whole operations are made of. spec/canon.md, sections 2 to 7.
#pragma once
#include <cstdint>
#include <span>

#include "canon/format.hpp"

namespace assay::canon {

// The accumulator of one segment of a row product: at most 256 columns, `weights` their GGUF bytes,
// `a` their activations alone. Adding these from +0 in order gives row_product.
float segment_product(Format format, const std::uint8_t* weights, std::size_t cols,
                      const ActivationRow& a);

// fma(x, x, acc) over at most 256 values, from +0.
float segment_squares(std::span<const float> x);
// 1 / sqrt(sum / n + epsilon).
float norm_inverse(float sum, std::size_t n, float epsilon);

// d of a block of activations as a binary16; an infinity or NaN where it does not exist.
std::uint16_t block_scale(std::span<const float> x);
// q = clamp(round(x / d), -127, 127), 0 where d = 0. Any numbers whose quotient is not NaN.
std::int8_t block_quant(float x, float d);

// (a, b) rotated by cos c and sin s.
float rotate_first(float a, float b, float c, float s);
float rotate_second(float a, float b, float c, float s);

}  // namespace assay::canon
