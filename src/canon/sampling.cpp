#include "canon/sampling.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <vector>

#include "canon/chain.hpp"
#include "canon/elementary.hpp"
#include "canon/layer.hpp"

namespace assay::canon {

void adjust_logits(std::span<float> logits, const Draw& draw) {
  for (const LogitBias& b : draw.logit_bias)
    if (b.token < logits.size()) logits[b.token] = logits[b.token] + b.bias;

  std::vector<bool> seen(logits.size());
  std::vector<std::uint32_t> count(logits.size());
  for (std::size_t position = 0; position < draw.tape.size(); ++position) {
    const std::uint32_t token = draw.tape[position];
    seen[token] = true;
    if (position >= draw.answer_from) ++count[token];
  }
  for (std::size_t i = 0; i < logits.size(); ++i) {
    float& l = logits[i];
    if (seen[i]) l = l > 0.0f ? l / draw.repetition_penalty : l * draw.repetition_penalty;
    if (count[i] == 0) continue;
    l = l - static_cast<float>(count[i]) * draw.frequency_penalty;
    l = l - draw.presence_penalty;
  }
}

void constrain(std::span<float> z, const Draw& draw) {
  if (draw.constraint == nullptr) return;
  const std::uint32_t state =
      state_after(*draw.constraint,
                  draw.tape.subspan(std::min<std::size_t>(draw.answer_from, draw.tape.size())));
  const auto& [automaton, pieces] = *draw.constraint;
  for (std::size_t i = 0; i < z.size(); ++i)
    if (i >= pieces.size() || walk(automaton, state, pieces[i]) == kDead) z[i] = kForbidden;
}

float top_k_threshold(std::span<const float> z, std::uint32_t k) {
  if (k == 0 || k > z.size()) return -std::numeric_limits<float>::infinity();
  std::vector<float> sorted(z.begin(), z.end());
  std::ranges::nth_element(sorted, sorted.begin() + (k - 1), std::greater<>());
  return sorted[k - 1];
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
  std::vector<float> z(logits.begin(), logits.end());
  adjust_logits(z, draw);
  if (!all_finite(z)) return std::nullopt;
  if (draw.temperature == 0.0f) {
    constrain(z, draw);
    return arg_max(z);
  }
  for (float& v : z) v = v / draw.temperature;
  if (!all_finite(z)) return std::nullopt;
  constrain(z, draw);

  const float lowest = top_k_threshold(z, draw.top_k);
  std::vector<float> p(z.size());
  exp_from_max(z, p);
  for (std::size_t i = 0; i < z.size(); ++i)
    if (z[i] < lowest) p[i] = 0.0f;
  const float nucleus = draw.top_p < 1.0f ? top_p_threshold(p, draw.top_p) : 0.0f;

  std::optional<std::uint32_t> best;
  float best_score = 0.0f;
  for (std::uint32_t id = 0; id < z.size(); ++id) {
    if (z[id] < lowest || p[id] < nucleus || p[id] < draw.min_p) continue;
    const float score = z[id] + gumbel(draw.seed, draw.position, id);
    if (!best || score > best_score) best = id, best_score = score;
  }
  return best;
}

}  // namespace assay::canon
