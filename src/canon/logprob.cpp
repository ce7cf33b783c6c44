#include "canon/logprob.hpp"

#include <algorithm>

#include "canon/chain.hpp"
#include "canon/elementary.hpp"

namespace assay::canon {

LogNormalizer log_normalizer(std::span<const float> logits) {
  const float maximum = *std::ranges::max_element(logits);
  const float sum =
      chain_sum(logits.size(), [&](std::size_t i) { return exp(logits[i] - maximum); });
  return {maximum, log(sum)};
}

float logprob(float logit, const LogNormalizer& n) { return (logit - n.maximum) - n.log_sum; }

}  // namespace assay::canon
