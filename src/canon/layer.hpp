// The operations between the matrix products of one Llama layer. spec/canon.md, "Layer".
// Each returns false on a numeric fault (a NaN or infinity it is told to look for); its outputs
// are then unspecified.
#pragma once
#include <cstdint>
#include <span>

namespace assay::canon {

// y = (x * inv) * weight, inv = 1 / sqrt(chain(x x) / n + epsilon). Fault: the sum of squares or
// any y is not finite. Paper: Zhang & Sennrich 2019 (arXiv:1910.07467).
bool rms_norm(std::span<const float> x, std::span<const float> weight, float epsilon,
              std::span<float> y);
// The same of each head of `heads` in place (heads.size() a multiple of weight.size(), the width of
// a head): qwen3's norm of queries and keys before rotation.
bool rms_norm_heads(std::span<float> heads, std::span<const float> weight, float epsilon);

// silu(g) = g / (1 + e) for g ≥ 0 (−0 included), (g * e) / (1 + e) below, with e = exp(-|g|).
// y = silu(gate) * up. Fault: any gate, up or y is not finite. Paper: Shazeer 2020
// (arXiv:2002.05202).
float silu(float g);
bool swiglu(std::span<const float> gate, std::span<const float> up, std::span<float> y);

// x = x + y: the residual stream and a projection, or queries, keys, values and their bias
// (qwen2). Fault: any result is not finite.
bool add_residual(std::span<float> x, std::span<const float> y);

// What the cache holds. Fault: any input is NaN or rounds to an infinity.
bool to_fp16(std::span<const float> x, std::span<std::uint16_t> out);

bool all_finite(std::span<const float> x);

}  // namespace assay::canon
