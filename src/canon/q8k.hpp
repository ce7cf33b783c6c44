// Q8K activations and the product of a K-quant superblock row with them. spec/canon.md, "Q8K
// activations" and "Products of K-quants".
#pragma once
#include <cstdint>
#include <span>

namespace assay::canon {

inline constexpr std::size_t kSuperblock = 256;

// x: a multiple of 256 values; q: as many; scale: one per 256, each the value of a binary16.
// d = fp16(max|x| / 127), q = clamp(round(x / d), -127, 127), or q = 0 where d = 0.
// False (a numeric fault; outputs unspecified) if any x is not finite or a scale overflows fp16.
bool quantize_q8k(std::span<const float> x, std::span<std::int8_t> q, std::span<float> scale);

// The integers of one superblock, in value order: unsigned quants (Q4_K: 0…15, Q5_K: 0…31) with a
// scale and a minimum per 32, or signed ones (Q6_K: -32…31) with a scale per 16 and no minimum.
struct Superblock {
  std::int8_t quants[kSuperblock];
  std::int8_t scales[16];  // Q4_K, Q5_K: 8 used, 0…63; Q6_K: 16 used
  std::uint8_t mins[8];    // Q4_K, Q5_K: 0…63
  std::uint16_t d, dmin;   // binary16; Q6_K has no dmin
};
void superblock_q4_k(const std::uint8_t* block, Superblock& out);
void superblock_q5_k(const std::uint8_t* block, Superblock& out);
void superblock_q6_k(const std::uint8_t* block, Superblock& out);

// Per superblock: isum = Σ scale_j Σ_i q_i a_i and msum = Σ min_j Σ_i a_i, exact integers;
//   acc = fma(f32(isum), d · d_x, +0)               f32(isum) rounds to even, d · d_x is exact
//   acc = fma(-f32(msum), dmin · d_x, acc)          Q4_K, Q5_K only
//   total = total + acc
float row_q4_k(const std::uint8_t* row, std::span<const std::int8_t> q,
               std::span<const float> scale);
float row_q5_k(const std::uint8_t* row, std::span<const std::int8_t> q,
               std::span<const float> scale);
float row_q6_k(const std::uint8_t* row, std::span<const std::int8_t> q,
               std::span<const float> scale);

}  // namespace assay::canon
