#include "engine/sampler.hpp"

#include "canon/layer.hpp"
#include "canon/sampling.hpp"

namespace assay::engine {

std::optional<Token> choose_token(std::span<const float> logits, const Sampling& sampling,
                                  std::uint32_t position) {
  if (!canon::all_finite(logits)) return std::nullopt;
  if (sampling.temperature == 0.0f) return canon::arg_max(logits);
  std::vector<float> z(logits.size());
  for (std::size_t i = 0; i < z.size(); ++i) z[i] = logits[i] / sampling.temperature;
  if (!canon::all_finite(z)) return std::nullopt;

  std::vector<float> p;
  float threshold = 0.0f;
  if (sampling.top_p < 1.0f) {
    p.resize(z.size());
    canon::exp_from_max(z, p);
    threshold = canon::top_p_threshold(p, sampling.top_p);
  }
  // No noise exceeds that of the largest k, and float addition is monotone: a token whose score
  // could not even then reach the first candidate's needs no noise. The arg-max always survives
  // top-p, so its score is a valid bar.
  static const float largest_noise = canon::gumbel_of((1u << 23) - 1);
  const Token top = canon::arg_max(z);
  float best_score = z[top] + canon::gumbel(sampling.seed, position, top);
  Token best = top;
  for (Token id = 0; id < z.size(); ++id) {
    if (z[id] + largest_noise < best_score || (!p.empty() && p[id] < threshold)) continue;
    const float score = z[id] + canon::gumbel(sampling.seed, position, id);
    if (score > best_score || (score == best_score && id < best)) best = id, best_score = score;
  }
  return best;
}

}  // namespace assay::engine
