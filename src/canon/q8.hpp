// Q8 activations and the product of a weight row with them. spec/canon.md, "Q8 activations" and
// "Row products".
#pragma once
#include <cstdint>
#include <span>

namespace assay::canon {

inline constexpr std::size_t kBlock = 32;

// x: a multiple of 32 values; q: as many; scale: one per 32, each the value of a binary16.
// Per block d = fp16(max|x| / 127), q = clamp(round(x / d), -127, 127), or q = 0 where d = 0.
// False (a numeric fault; outputs unspecified) if any x is not finite or a scale overflows fp16.
bool quantize_q8(std::span<const float> x, std::span<std::int8_t> q, std::span<float> scale);
// The same rule for blocks of `block` values (Q8K: 256).
bool quantize_blocks(std::span<const float> x, std::span<std::int8_t> q, std::span<float> scale,
                     std::size_t block);

// Nearest integer, ties to even, as an integer; |x| < 2^22.
std::int32_t round_to_int(float x);

// One GGUF row (cols values; cols a multiple of 32) with quantized activations.
// Chain of fma(float(integer dot of block b), d_w(b) * d_x(b), acc), 8 blocks to a segment.
// Never non-finite for finite scales.
float row_q8_0(const std::uint8_t* row, std::span<const std::int8_t> q,
               std::span<const float> scale);
float row_q4_0(const std::uint8_t* row, std::span<const std::int8_t> q,
               std::span<const float> scale);

// Rows of plain numbers with plain activations: chain of fma(w, x, acc).
float row_f32(const std::uint8_t* row, std::span<const float> x);
float row_f16(const std::uint8_t* row, std::span<const float> x);
float row_bf16(const std::uint8_t* row, std::span<const float> x);

// The 32 integers of one block, in value order.
void block_q8_0(const std::uint8_t* block, std::int8_t* values);
void block_q4_0(const std::uint8_t* block, std::int8_t* values);

}  // namespace assay::canon
