#include "engine/sampler.hpp"

#include <algorithm>
#include <gtest/gtest.h>

#include "canon/canon_testutil.hpp"
#include "canon/logprob.hpp"
#include "engine/constraint_testutil.hpp"
#include "engine/kernels/self_check.hpp"
#include "engine/sampler_noise.hpp"

namespace assay::engine {
namespace {

using canon::test::bits;
using canon::test::Random;

float pick(Random& random, std::initializer_list<float> values) {
  return values.begin()[random.below(static_cast<std::uint32_t>(values.size()))];
}

Sampling random_sampling(Random& random, std::size_t vocabulary, std::size_t positions) {
  Sampling s;
  for (Token id = random.below(5); id < vocabulary + 3; id += 1 + random.below(200))
    s.logit_bias.push_back({id, pick(random, {-100.0f, -1.0f, 0.5f, 100.0f})});
  if (random.below(2) == 0) s.logit_bias.clear();
  s.repetition_penalty = pick(random, {1.0f, 1.0f, 1.1f, 0.5f, 1e-20f});
  s.presence_penalty = pick(random, {0.0f, 0.0f, -0.0f, 0.6f, -2.0f});
  s.frequency_penalty = pick(random, {0.0f, 0.0f, 0.3f, -1.0f});
  s.temperature = pick(random, {0.0f, 0.1f, 0.7f, 1.0f, 2.0f, 1e-3f});
  s.top_k = random.below(3) == 0 ? 0 : 1 + random.below(random.below(2) == 0 ? 50 : 2000);
  s.top_p = pick(random, {1.0f, 0.99999994f, 0.95f, 0.5f, 0.01f, 1e-30f});
  s.min_p = pick(random, {0.0f, 0.0f, 0.05f, 0.9f, 1.0f});
  s.seed = random.bits();
  s.answer_from = random.below(static_cast<std::uint32_t>(positions) + 2);
  return s;
}

TEST(Sampler, EqualsTheReference) {
  Random random(31);
  std::size_t drawn = 0, faults = 0;
  for (std::uint32_t i = 0; i < 600; ++i) {
    std::vector<float> logits(1 + random.below(i % 20 == 0 ? 5000 : 700));
    for (float& v : logits)
      v = i % 3 ? static_cast<float>(random.below(20)) * 0.5f : random.hostile(30.0f);
    std::vector<Token> tape(random.below(40));
    for (Token& t : tape) t = random.below(static_cast<std::uint32_t>(logits.size()));
    Sampling s = random_sampling(random, logits.size(), tape.size());
    if (random.below(3) == 0)
      s.constraint = random_constraint(random, random_pieces(random, logits.size()));
    const auto want = canon::sample(logits, draw_of(s, i, tape));
    for (const Verdict& v : verdicts())
      ASSERT_EQ(choose_token(*v.kernels, logits, s, i, tape), want) << i;
    ++(want ? drawn : faults);
  }
  EXPECT_GT(drawn, 400u);
  EXPECT_EQ(choose_token(*scalar_kernels(), std::vector<float>{1, canon::test::kNan}, {}, 0, {}),
            std::nullopt);
  EXPECT_EQ(
      choose_token(*scalar_kernels(), std::vector<float>{1e20f, 1}, {.temperature = 1e-30f}, 0, {}),
      std::nullopt);
  EXPECT_EQ(choose_token(*scalar_kernels(), std::vector<float>{-1e20f},
                         {.repetition_penalty = 1e30f}, 0, std::vector<Token>{0}),
            std::nullopt);
}

// All logits equal: every threshold keeps everything, whatever it is.
TEST(Sampler, TiesStayWhole) {
  const std::vector<float> logits(1000, -3.0f);
  for (std::uint32_t position = 0; position < 50; ++position) {
    const auto all =
        choose_token(*scalar_kernels(), logits, {.temperature = 1.0f, .seed = 5}, position, {});
    EXPECT_EQ(choose_token(*scalar_kernels(), logits, {.temperature = 1.0f, .top_k = 1, .seed = 5},
                           position, {}),
              all);
    EXPECT_EQ(choose_token(*scalar_kernels(), logits,
                           {.temperature = 1.0f, .top_p = 1e-3f, .seed = 5}, position, {}),
              all);
    EXPECT_EQ(choose_token(*scalar_kernels(), logits,
                           {.temperature = 1.0f, .min_p = 1.0f, .seed = 5}, position, {}),
              all);
  }
}

TEST(SamplerNoise, KeysAreTheCanonsAndNoNoiseExceedsItsBound) {
  std::vector<std::uint32_t> keys(100);
  for (const std::uint64_t seed : {0ull, 0x123456789abcdef0ull}) {
    gumbel_keys(seed, 7, 4294967000u, keys);
    for (std::uint32_t i = 0; i < keys.size(); ++i)
      ASSERT_EQ(keys[i], canon::gumbel_key(seed, 7, 4294967000u + i));
  }
  std::size_t exceeded = 0, loose = 0;
  for (std::uint32_t key = 0; key < 1u << 23; ++key) {
    const float noise = canon::gumbel_of(key), bound = noise_bound(key);
    exceeded += !(noise <= bound && bound <= noise_bound());
    loose += key >= 1u << 22 && bound > noise + 0.2f;
  }
  EXPECT_EQ(exceeded, 0u);
  EXPECT_EQ(loose, 0u);
}

TEST(Sampler, LogprobsAreTheLikeliestInOrder) {
  Random random(32);
  for (const std::size_t n : {1, 3, 256, 5000}) {
    std::vector<float> logits(n);
    for (float& v : logits) v = static_cast<float>(random.below(30)) * 0.5f;
    const auto normalizer = canon::log_normalizer(logits);
    const auto token = static_cast<Token>(n / 2);
    const HeadLogprobs got = head_logprobs(logits, token, 20);
    EXPECT_EQ(bits(got.token), bits(canon::logprob(logits[token], normalizer)));
    std::vector<Token> order(n);
    for (Token id = 0; id < n; ++id) order[id] = id;
    std::ranges::sort(order, [&](Token a, Token b) {
      return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
    });
    ASSERT_EQ(got.top.size(), std::min<std::size_t>(20, n));
    for (std::size_t i = 0; i < got.top.size(); ++i) {
      EXPECT_EQ(got.top[i].token, order[i]);
      EXPECT_EQ(bits(got.top[i].logprob), bits(canon::logprob(logits[order[i]], normalizer)));
    }
  }
}

}  // namespace
}  // namespace assay::engine
