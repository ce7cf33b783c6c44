// Rotary position embedding. Paper: Su et al. 2021 (arXiv:2104.09864); pairs (2i, 2i+1) as in
// llama.cpp's "llama" architecture. spec/canon.md, "RoPE".
#pragma once
#include <cstdint>
#include <span>

namespace assay::canon {

// out: [position][pair][cos, sin], positions * head_dim floats. The angle is position * f(pair),
// f(pair) = base^(-2 pair / head_dim), all in binary64 by fixed polynomials (no libm), rounded to
// binary32 once at the end: within 2^-25 + position * 2^-48 of the real value.
// Requires head_dim even, base finite and ≥ 1, positions ≤ 2^24.
void rope_table(std::uint32_t positions, std::uint32_t head_dim, float base, std::span<float> out);

// Rotates one head in place by its row of the table (head_dim floats):
// (a, b) → (fma(a, cos, -(b * sin)), fma(a, sin, b * cos)).
void rope_rotate(std::span<float> head, std::span<const float> row);

// The binary64 routines of the table, for tests and other implementations.
double rope_log(double x);                              // x ≥ 1, finite
double rope_exp(double x);                              // -700 ≤ x ≤ 0
void rope_cos_sin(double angle, double& c, double& s);  // 0 ≤ angle ≤ 2^24
double rope_frequency(std::uint32_t pair, std::uint32_t head_dim, float base);

}  // namespace assay::canon
