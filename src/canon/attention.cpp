#include "canon/attention.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "canon/chain.hpp"
#include "canon/elementary.hpp"
#include "canon/fp16.hpp"

namespace assay::canon {
namespace {

struct Partial {
  float maximum = 0.0f, weight_sum = 0.0f;
  std::vector<float> values;  // head_dim
};

// Local maximum m, sum of p = exp(score - m) and fold of p * V over one segment of positions.
bool attend_segment(std::span<const float> q, const CacheRows& cache, std::size_t begin,
                    std::size_t end, float scale, Partial& out) {
  const std::size_t n = end - begin;
  std::vector<float> p(n);
  for (std::size_t j = 0; j < n; ++j) {
    const std::uint16_t* key = cache.keys + (begin + j) * cache.key_stride;
    const float dot = chain(
        q.size(), [&](std::size_t d) { return q[d]; },
        [&](std::size_t d) { return from_fp16(key[d]); });
    p[j] = dot * scale;
    if (!finite(p[j])) return false;
  }
  out.maximum = *std::ranges::max_element(p);
  for (float& v : p) v = exp(v - out.maximum);
  out.weight_sum = 0.0f;
  for (float v : p) out.weight_sum = out.weight_sum + v;
  out.values.assign(q.size(), 0.0f);
  for (std::size_t j = 0; j < n; ++j) {
    const std::uint16_t* value = cache.values + (begin + j) * cache.value_stride;
    for (std::size_t d = 0; d < q.size(); ++d)
      out.values[d] = std::fma(p[j], from_fp16(value[d]), out.values[d]);
  }
  return true;
}

}  // namespace

float attention_scale(std::uint32_t head_dim) {
  return 1.0f / std::sqrt(static_cast<float>(head_dim));
}

bool attend(std::span<const float> q, const CacheRows& cache, std::size_t positions,
            std::span<float> out) {
  const float scale = attention_scale(static_cast<std::uint32_t>(q.size()));
  std::vector<Partial> partials((positions + kSegment - 1) / kSegment);
  for (std::size_t s = 0; s < partials.size(); ++s)
    if (!attend_segment(q, cache, s * kSegment, std::min(positions, (s + 1) * kSegment), scale,
                        partials[s]))
      return false;

  float maximum = partials[0].maximum;
  for (const Partial& s : partials) maximum = std::max(maximum, s.maximum);
  std::vector<float> weight(partials.size());
  for (std::size_t s = 0; s < partials.size(); ++s) weight[s] = exp(partials[s].maximum - maximum);

  const auto w = [&](std::size_t s) { return weight[s]; };
  const float total =
      chain(partials.size(), w, [&](std::size_t s) { return partials[s].weight_sum; });
  for (std::size_t d = 0; d < out.size(); ++d)
    out[d] =
        chain(partials.size(), w, [&](std::size_t s) { return partials[s].values[d]; }) / total;
  return true;
}

}  // namespace assay::canon
