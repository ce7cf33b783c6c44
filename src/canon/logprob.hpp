// Log-probabilities of a head's tokens under its raw logits. spec/canon.md, "Log-probabilities".
#pragma once
#include <span>

namespace assay::canon {

// What all log-probabilities of one head share: the largest logit and log Σ exp(logit - maximum),
// the sum a chain in id order. logits: finite, 1 … 2^24 of them.
struct LogNormalizer {
  float maximum, log_sum;
};
LogNormalizer log_normalizer(std::span<const float> logits);

// (logit - maximum) - log_sum; -infinity where the difference is out of range.
float logprob(float logit, const LogNormalizer& n);

}  // namespace assay::canon
