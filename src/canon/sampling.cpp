#include "canon/sampling.hpp"

#include <algorithm>
#include <bit>
#include <vector>

#include "canon/chain.hpp"
#include "canon/elementary.hpp"
#include "canon/layer.hpp"

namespace assay::canon {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c,
                                    std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = 0xD2511F53ull * c[0], b = 0xCD9E8D57ull * c[2];
    c = {static_cast<std::uint32_t>(b >> 32) ^ c[1] ^ key[0], static_cast<std::uint32_t>(b),
         static_cast<std::uint32_t>(a >> 32) ^ c[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return c;
}

float gumbel_of(std::uint32_t k) {
  const float u = static_cast<float>(2 * k + 1) * 0x1p-24f;  // exact: 24 bits
  return -log(-log(u));
}

float gumbel(std::uint64_t seed, std::uint32_t position, std::uint32_t token) {
  const auto words = philox({position, token, 0, 0}, {static_cast<std::uint32_t>(seed),
                                                      static_cast<std::uint32_t>(seed >> 32)});
  return gumbel_of(words[0] >> 9);
}

void exp_from_max(std::span<const float> z, std::span<float> p) {
  const float maximum = *std::ranges::max_element(z);
  for (std::size_t i = 0; i < z.size(); ++i) p[i] = exp(z[i] - maximum);
}

float top_p_threshold(std::span<const float> p, float top_p) {
  const float target = top_p * chain_sum(p.size(), [&](std::size_t i) { return p[i]; });
  const auto reaches = [&](float threshold) {
    // An id below the threshold is absent; adding +0 for it gives the same bits.
    return chain_sum(p.size(), [&](std::size_t i) { return p[i] >= threshold ? p[i] : 0.0f; }) >=
           target;
  };
  // Float addition is monotone, so the sum falls as the threshold rises, and positive floats order
  // as their bits do. 0 always reaches, anything above the largest p (which is 1) never does.
  std::uint32_t low = 0, high = std::bit_cast<std::uint32_t>(1.0f) + 1;
  while (high - low > 1) {
    const std::uint32_t middle = low + (high - low) / 2;
    (reaches(std::bit_cast<float>(middle)) ? low : high) = middle;
  }
  return std::bit_cast<float>(low);
}

std::uint32_t arg_max(std::span<const float> values) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < values.size(); ++i)
    if (values[i] > values[best]) best = i;
  return static_cast<std::uint32_t>(best);
}

std::optional<std::uint32_t> sample(std::span<const float> logits, const Draw& draw) {
  if (!all_finite(logits)) return std::nullopt;
  if (draw.temperature == 0.0f) return arg_max(logits);
  std::vector<float> z(logits.size());
  for (std::size_t i = 0; i < z.size(); ++i) z[i] = logits[i] / draw.temperature;
  if (!all_finite(z)) return std::nullopt;

  std::vector<float> p;
  float threshold = 0.0f;
  if (draw.top_p < 1.0f) {
    p.resize(z.size());
    exp_from_max(z, p);
    threshold = top_p_threshold(p, draw.top_p);
  }
  std::optional<std::uint32_t> best;
  float best_score = 0.0f;
  for (std::uint32_t id = 0; id < z.size(); ++id) {
    if (!p.empty() && p[id] < threshold) continue;
    const float score = z[id] + gumbel(draw.seed, draw.position, id);
    if (!best || score > best_score) best = id, best_score = score;
  }
  return best;
}

}  // namespace assay::canon
