#include "engine/sampler.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <ranges>

#include "canon/chain.hpp"
#include "canon/elementary.hpp"
#include "canon/logprob.hpp"
#include "engine/constraint.hpp"
#include "engine/sampler_noise.hpp"

namespace assay::engine {
namespace {

// A token still in the draw and its exp(z - max z).
struct Candidate {
  Token id;
  float p;
};

bool adjusts(const Sampling& s) {
  return !s.logit_bias.empty() || s.repetition_penalty != 1.0f || s.presence_penalty != 0.0f ||
         s.frequency_penalty != 0.0f;
}

// The k-th largest, keeping the k largest seen in a heap: most values fail its first comparison.
float top_k_threshold(std::span<const float> z, std::uint32_t k) {
  constexpr std::uint32_t kHeapIsFaster = 1024;
  if (k == 0 || k > kHeapIsFaster || k > z.size()) return canon::top_k_threshold(z, k);
  std::vector<float> heap(z.begin(), z.begin() + k);  // its least on top
  std::ranges::make_heap(heap, std::greater<>());
  for (const float v : z.subspan(k)) {
    if (v <= heap.front()) continue;
    std::ranges::pop_heap(heap, std::greater<>());
    heap.back() = v;
    std::ranges::push_heap(heap, std::greater<>());
  }
  return heap.front();
}

// The chain over ids of the p ≥ threshold; absent ids change nothing.
float sum_from(const std::vector<Candidate>& list, float threshold) {
  float total = 0.0f, acc = 0.0f;
  std::size_t segment = 0;
  for (const Candidate& c : list) {
    if (c.p < threshold) continue;
    if (c.id / canon::kSegment != segment) {
      total = total + acc;
      acc = 0.0f;
      segment = c.id / canon::kSegment;
    }
    acc = acc + c.p;
  }
  return total + acc;
}

// Buckets of floats in [0, 1] by their leading bits.
constexpr int kBucketShift = 20;
constexpr std::uint32_t kOne = 0x3f800000u;

// The bucket in which the mass from above first reaches the target, approximately: sums in another
// order only choose where the search begins.
std::uint32_t likely_bucket(const std::vector<Candidate>& list, float target) {
  std::vector<double> mass((kOne >> kBucketShift) + 1);
  for (const Candidate& c : list) mass[std::bit_cast<std::uint32_t>(c.p) >> kBucketShift] += c.p;
  double sum = 0.0;
  for (std::size_t b = mass.size(); b-- > 0;)
    if ((sum += mass[b]) >= target) return static_cast<std::uint32_t>(b);
  return 0;
}

// canon::top_p_threshold's search over a list that shrinks as the threshold rises: what is below a
// threshold that reaches the target counts for no higher one.
float top_p_threshold(std::vector<Candidate>& list, float top_p) {
  const float target = top_p * sum_from(list, 0.0f);
  std::uint32_t low = 0, high = kOne + 1;
  const auto probe = [&](std::uint32_t bits) {
    if (bits <= low || bits >= high) return;
    const auto threshold = std::bit_cast<float>(bits);
    if (sum_from(list, threshold) >= target) {
      low = bits;
      std::erase_if(list, [&](const Candidate& c) { return c.p < threshold; });
    } else {
      high = bits;
    }
  };
  const std::uint32_t bucket = likely_bucket(list, target);
  probe(bucket << kBucketShift);
  probe((bucket + 1) << kBucketShift);
  while (high - low > 1) probe(low + (high - low) / 2);
  return std::bit_cast<float>(low);
}

// The tokens that top-k, top-p and min-p leave, ids ascending; the arg-max is always one.
std::vector<Candidate> filter(const Kernels& kernels, std::span<const float> z, float maximum,
                              const Sampling& s) {
  std::vector<Candidate> list;
  if (s.top_k == 0) {
    std::vector<float> p(z.size());
    kernels.exp_below(z.data(), z.size(), maximum, p.data());
    list.resize(z.size());
    for (Token id = 0; id < z.size(); ++id) list[id] = {id, p[id]};
  } else {
    const float lowest = top_k_threshold(z, s.top_k);
    for (Token id = 0; id < z.size(); ++id)
      if (z[id] >= lowest) list.push_back({id, canon::exp(z[id] - maximum)});
  }
  if (s.top_p < 1.0f) {
    const float nucleus = top_p_threshold(list, s.top_p);
    std::erase_if(list, [&](const Candidate& c) { return c.p < nucleus; });
  }
  std::erase_if(list, [&](const Candidate& c) { return c.p < s.min_p; });
  return list;
}

// Arg-max of z + noise. Float addition is monotone: a token whose score could not even with the
// most its noise can be reach the best one's needs no noise.
class Draw {
 public:
  Draw(std::span<const float> z, std::uint64_t seed, std::uint32_t position, Token first)
      : z_(z), seed_(seed), position_(position), best_(first) {
    best_score_ = z[first] + canon::gumbel(seed, position, first);
  }
  void offer(Token id) {
    if (possible(id)) offer(id, canon::gumbel_key(seed_, position_, id));
  }
  void offer_all() {
    constexpr std::size_t kChunk = 32;
    std::uint32_t keys[kChunk];
    for (std::size_t begin = 0; begin < z_.size(); begin += kChunk) {
      const auto chunk = z_.subspan(begin, std::min(kChunk, z_.size() - begin));
      const auto first = static_cast<Token>(begin);
      if (std::ranges::max(chunk) + noise_bound() < best_score_) continue;
      gumbel_keys(seed_, position_, first, {keys, chunk.size()});
      for (Token i = 0; i < chunk.size(); ++i) offer(first + i, keys[i]);
    }
  }
  Token best() const { return best_; }

 private:
  bool possible(Token id) const { return z_[id] + noise_bound() >= best_score_; }
  void offer(Token id, std::uint32_t key) {
    if (z_[id] + noise_bound(key) < best_score_) return;
    const float score = z_[id] + canon::gumbel_of(key);
    if (score > best_score_ || (score == best_score_ && id < best_))
      best_ = id, best_score_ = score;
  }

  std::span<const float> z_;
  std::uint64_t seed_;
  std::uint32_t position_;
  Token best_;
  float best_score_ = 0.0f;
};

void constrain(std::span<float> z, const Sampling& sampling, std::span<const Token> tape) {
  sampling.constraint->apply(
      z, tape.subspan(std::min<std::size_t>(sampling.answer_from, tape.size())));
}

}  // namespace

canon::Draw draw_of(const Sampling& s, std::uint32_t position, std::span<const Token> tape) {
  return {.logit_bias = s.logit_bias,
          .repetition_penalty = s.repetition_penalty,
          .presence_penalty = s.presence_penalty,
          .frequency_penalty = s.frequency_penalty,
          .temperature = s.temperature,
          .constraint = s.constraint ? &s.constraint->reference() : nullptr,
          .top_k = s.top_k,
          .top_p = s.top_p,
          .min_p = s.min_p,
          .seed = s.seed,
          .position = position,
          .tape = tape,
          .answer_from = s.answer_from};
}

bool is_arg_max(const Sampling& sampling) {
  return sampling.temperature == 0.0f && !adjusts(sampling) && !sampling.constraint;
}

std::optional<Token> choose_token(const Kernels& kernels, std::span<const float> logits,
                                  const Sampling& sampling, std::uint32_t position,
                                  std::span<const Token> tape) {
  Token top = 0;
  if (!kernels.arg_max(logits.data(), logits.size(), &top)) return std::nullopt;
  std::vector<float> z;
  if (adjusts(sampling)) {
    z.assign(logits.begin(), logits.end());
    canon::adjust_logits(z, draw_of(sampling, position, tape));
    if (!kernels.arg_max(z.data(), z.size(), &top)) return std::nullopt;
    logits = z;
  }
  if (sampling.temperature == 0.0f) {
    if (!sampling.constraint) return top;
    if (z.empty()) z.assign(logits.begin(), logits.end());  // else they are its own
    constrain(z, sampling, tape);
    (void)kernels.arg_max(z.data(), z.size(), &top);
    return top;
  }
  z.resize(logits.size());
  for (std::size_t i = 0; i < z.size(); ++i) z[i] = logits[i] / sampling.temperature;
  if (!kernels.arg_max(z.data(), z.size(), &top)) return std::nullopt;
  if (sampling.constraint) {
    constrain(z, sampling, tape);
    (void)kernels.arg_max(z.data(), z.size(), &top);
  }

  Draw draw(z, sampling.seed, position, top);
  if (sampling.top_k == 0 && sampling.top_p == 1.0f && sampling.min_p == 0.0f) {
    draw.offer_all();
  } else {
    for (const Candidate& c : filter(kernels, z, z[top], sampling)) draw.offer(c.id);
  }
  return draw.best();
}

HeadLogprobs head_logprobs(std::span<const float> logits, Token token, std::size_t count) {
  const canon::LogNormalizer normalizer = canon::log_normalizer(logits);
  std::vector<Token> ids(std::min(count, logits.size()));
  std::ranges::partial_sort_copy(
      std::views::iota(Token{0}, static_cast<Token>(logits.size())), ids,
      [&](Token a, Token b) { return logits[a] > logits[b] || (logits[a] == logits[b] && a < b); });
  HeadLogprobs out{canon::logprob(logits[token], normalizer), {}};
  for (const Token id : ids) out.top.push_back({id, canon::logprob(logits[id], normalizer)});
  return out;
}

}  // namespace assay::engine
