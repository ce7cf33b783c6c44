// Rotary position embedding. Paper: Su et al. 2021 (arXiv:2104.09864). spec/canon.md, "RoPE".
// A head of width n has n / 2 pairs: of neighbours (2i, 2i + 1) as llama.cpp's "llama" architecture
// stores them, or of halves (i, i + n / 2) as "qwen2" and "qwen3" do.
#pragma once
#include <cstdint>
#include <span>

namespace assay::canon {

// What a factor or scale may be: finite and ≥ 1, so no angle grows beyond its position.
bool rope_divisor_valid(float divisor);

// out: [position][pair][cos, sin], positions * head_dim floats. The angle is position * f(pair),
// f(pair) = base^(-2 pair / head_dim), divided by factors[pair] (llama 3.1's `rope_freqs`; empty:
// none) and then by `linear` (1: none), all in binary64 by fixed polynomials (no libm), rounded to
// binary32 once at the end: within 2^-25 + position * 2^-48 of the real value.
// Requires head_dim even, base finite and ≥ 1, positions ≤ 2^24, head_dim / 2 valid factors or
// none, a valid `linear`.
void rope_table(std::uint32_t positions, std::uint32_t head_dim, float base,
                std::span<const float> factors, float linear, std::span<float> out);
// Rows of the same table from position `first` on, as many as fit `out`.
void rope_rows(std::uint32_t first, std::uint32_t head_dim, float base,
               std::span<const float> factors, float linear, std::span<float> out);

// Rotates one head in place by its row of the table (head_dim floats):
// (a, b) → (fma(a, cos, -(b * sin)), fma(a, sin, b * cos)).
void rope_rotate(std::span<float> head, std::span<const float> row);         // neighbours
void rope_rotate_halves(std::span<float> head, std::span<const float> row);  // halves

// The binary64 routines of the table, for tests and other implementations.
double rope_log(double x);                              // x ≥ 1, finite
double rope_exp(double x);                              // -700 ≤ x ≤ 0
void rope_cos_sin(double angle, double& c, double& s);  // 0 ≤ angle ≤ 2^24
double rope_frequency(std::uint32_t pair, std::uint32_t head_dim, float base);

}  // namespace assay::canon
