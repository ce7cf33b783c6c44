// Choosing the next token. spec/canon.md, "Sampling".
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace assay::canon {

// Philox4x32-10. Paper: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key);

// -log(-log u), u = (2k + 1) 2^-24, k = the top 23 bits of word 0 of
// philox((position, token, 0, 0), (low, high word of seed)).
float gumbel(std::uint64_t seed, std::uint32_t position, std::uint32_t token);
float gumbel_of(std::uint32_t k);  // k < 2^23

// The nucleus of p_i = exp(z_i - max z): the largest threshold t with Σ{p ≥ t} ≥ top_p * Σ p,
// each sum a chain in id order. Ties at the threshold are kept. z finite, not empty.
// Paper: Holtzman et al. 2019 (arXiv:1904.09751).
float top_p_threshold(std::span<const float> p, float top_p);
void exp_from_max(std::span<const float> z, std::span<float> p);

// Lowest id among the largest values.
std::uint32_t arg_max(std::span<const float> values);

struct Draw {
  float temperature, top_p;
  std::uint64_t seed;
  std::uint32_t position;  // of the head: the chosen token goes to position + 1
};
// temperature 0: arg_max(logits). Else z = logit / temperature, filtered by top_p if top_p < 1,
// then arg-max of z + gumbel, lowest id on ties. nullopt (a fault): a logit or a z is not finite.
std::optional<std::uint32_t> sample(std::span<const float> logits, const Draw& draw);

}  // namespace assay::canon
