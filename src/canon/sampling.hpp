// Choosing the next token. spec/canon.md, "Sampling".
#pragma once
#include <optional>
#include <span>

#include "canon/automaton.hpp"
#include "canon/gumbel.hpp"

namespace assay::canon {

struct LogitBias {
  std::uint32_t token;
  float bias;  // finite
  bool operator==(const LogitBias&) const = default;
};

// What a choice depends on beside the logits, in the order it is applied. The defaults change
// nothing.
struct Draw {
  std::span<const LogitBias> logit_bias{};  // ascending ids, each once; a foreign id names nothing
  float repetition_penalty = 1.0f, presence_penalty = 0.0f, frequency_penalty = 0.0f;
  float temperature = 0.0f;                // 0: arg-max
  const Constraint* constraint = nullptr;  // none: any answer
  std::uint32_t top_k = 0;                 // 0: every token
  float top_p = 1.0f, min_p = 0.0f;
  std::uint64_t seed = 0;
  std::uint32_t position = 0;             // of the head: the token goes to position + 1
  std::span<const std::uint32_t> tape{};  // tokens at positions 0 … position, in the vocabulary
  std::uint32_t answer_from = 0;  // where the answer begins: counted and constrained from here
};

// The next token, lowest id on ties. nullopt (a fault): a logit, an adjusted logit or, if
// temperature ≠ 0, its quotient is not finite. logits: not empty.
std::optional<std::uint32_t> sample(std::span<const float> logits, const Draw& draw);

// What a token has that the constraint does not let follow: less than any other, and finite.
inline constexpr float kForbidden = -0x1.fffffep127f;

// Bias and penalties, in place.
void adjust_logits(std::span<float> logits, const Draw& draw);

// The constraint, in place. Where no token may follow, all of them are forbidden alike.
void constrain(std::span<float> z, const Draw& draw);

// The largest value v with at least k of z ≥ v; -infinity if k is 0 or exceeds the count.
float top_k_threshold(std::span<const float> z, std::uint32_t k);

// The nucleus of p: the largest threshold t with Σ{p ≥ t} ≥ top_p * Σ p, each sum a chain in id
// order. Ties at the threshold are kept. p: exp_from_max, +0 for ids that are out. top_p < 1.
// Paper: Holtzman et al. 2019 (arXiv:1904.09751).
float top_p_threshold(std::span<const float> p, float top_p);

// p_i = exp(z_i - max z). z finite, not empty.
void exp_from_max(std::span<const float> z, std::span<float> p);

// Lowest id among the largest values.
std::uint32_t arg_max(std::span<const float> values);

}  // namespace assay::canon
