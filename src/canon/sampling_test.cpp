#include "canon/sampling.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

#include "canon/canon_testutil.hpp"
#include "canon/chain.hpp"
#include "canon/logprob.hpp"

namespace assay::canon {
namespace {

using test::Random;

// Known answers of the authors' Random123 distribution (kat_vectors).
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}),
            (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const std::uint32_t f = 0xffffffff;
  EXPECT_EQ(philox({f, f, f, f}, {f, f}),
            (std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// choose_token in engine/ relies on the largest k having the largest noise.
TEST(Gumbel, EveryValueIsFiniteAndTheLastIsTheLargest) {
  const float last = gumbel_of((1u << 23) - 1);
  for (std::uint32_t k = 0; k < 1u << 23; k += 1) {
    const float g = gumbel_of(k);
    ASSERT_TRUE(std::isfinite(g));
    ASSERT_LE(g, last);
  }
  EXPECT_NEAR(last, -std::log(-std::log(1 - 0x1p-24)), 1e-5);
  EXPECT_NEAR(gumbel_of(0), -std::log(24 * std::log(2.0)), 1e-5);
}

TEST(TopP, TheThresholdIsTheOneTheDesignDefines) {
  Random random(3);
  for (const std::size_t n : {1, 2, 255, 256, 257, 1000}) {
    for (const float top_p : {1e-30f, 0.1f, 0.5f, 0.9f, 0.99999994f}) {
      std::vector<float> z(n), p(n);
      for (float& v : z) v = static_cast<float>(random.below(40)) * 0.25f;  // many ties
      exp_from_max(z, p);
      const float t = top_p_threshold(p, top_p);
      EXPECT_NE(std::ranges::find(p, t), p.end());
      const float target = top_p * chain_sum(n, [&](std::size_t i) { return p[i]; });
      const float at = chain_sum(n, [&](std::size_t i) { return p[i] >= t ? p[i] : 0.0f; });
      const float above = chain_sum(n, [&](std::size_t i) { return p[i] > t ? p[i] : 0.0f; });
      EXPECT_GE(at, target);
      EXPECT_LT(above, target);
    }
  }
}

TEST(TopK, KeepsTiesAtTheThreshold) {
  const std::vector<float> z{3, 1, 2, 2, -5};
  EXPECT_EQ(top_k_threshold(z, 1), 3.0f);
  EXPECT_EQ(top_k_threshold(z, 2), 2.0f);
  EXPECT_EQ(top_k_threshold(z, 3), 2.0f);
  EXPECT_EQ(top_k_threshold(z, 5), -5.0f);
  EXPECT_EQ(top_k_threshold(z, 6), -test::kInfinity);
  EXPECT_EQ(top_k_threshold(z, 0), -test::kInfinity);
}

TEST(Penalties, FollowTheTape) {
  const std::vector<LogitBias> bias{{1, 0.5f}, {9, 7.0f}};
  const std::vector<std::uint32_t> tape{0, 0, 1, 2, 2, 2};
  const Draw draw{.logit_bias = bias,
                  .repetition_penalty = 2.0f,
                  .presence_penalty = 0.25f,
                  .frequency_penalty = 0.125f,
                  .tape = tape,
                  .answer_from = 3};
  std::vector<float> l{4, -1.5f, 3, -0.0f, 5};
  adjust_logits(l, draw);
  // Seen in the prompt; biased to -1, then seen; seen, and three times in the answer; not seen.
  EXPECT_EQ(l, (std::vector<float>{2, -2, 1.5f - 0.375f - 0.25f, 0, 5}));
}

TEST(Logprob, AgreesWithDoubles) {
  Random random(4);
  for (const std::size_t n : {1, 10, 1000, 150000}) {
    std::vector<float> logits(n);
    for (float& v : logits) v = random.unit() * 12.0f;
    double largest = -1e300, sum = 0;
    for (const float v : logits) largest = std::max<double>(largest, v);
    for (const float v : logits) sum += std::exp(v - largest);
    const LogNormalizer normalizer = log_normalizer(logits);
    for (std::size_t i = 0; i < n; i += 97)
      EXPECT_NEAR(logprob(logits[i], normalizer), logits[i] - largest - std::log(sum), 1e-5);
  }
  const LogNormalizer one = log_normalizer(std::vector<float>{-7.0f});
  EXPECT_EQ(logprob(-7.0f, one), 0.0f);
  const std::vector<float> apart{3e38f, -3e38f};
  EXPECT_EQ(logprob(-3e38f, log_normalizer(apart)), -test::kInfinity);
}

TEST(Sample, ArgMaxTakesTheLowestIdOnTies) {
  EXPECT_EQ(sample(std::vector<float>{1, 3, 3, 2}, {}), 1u);
  EXPECT_EQ(sample(std::vector<float>{-0.0f, 0.0f}, {}), 0u);
}

TEST(Sample, NonFiniteLogitsAndQuotientsAreFaults) {
  for (const float bad : {test::kInfinity, -test::kInfinity, test::kNan}) {
    EXPECT_EQ(sample(std::vector<float>{1, bad}, {}), std::nullopt);
    EXPECT_EQ(sample(std::vector<float>{1, bad}, {.temperature = 1.0f}), std::nullopt);
  }
  EXPECT_EQ(sample(std::vector<float>{1e10f, 0}, {.temperature = 1e-30f}), std::nullopt);
}

// Frequencies over many positions follow the softmax, with and without the nucleus.
TEST(Sample, FollowsTheDistribution) {
  const std::vector<float> logits{0.0f, 1.0f, 2.0f, -1.0f};
  const int draws = 40000;
  for (const float top_p : {1.0f, 0.8f}) {
    std::vector<int> seen(4);
    for (int i = 0; i < draws; ++i)
      ++seen[*sample(logits, {.temperature = 1.0f,
                              .top_p = top_p,
                              .seed = 77,
                              .position = static_cast<std::uint32_t>(i)})];
    double total = 0;
    std::vector<double> p(4);
    for (std::size_t i = 0; i < 4; ++i) {
      p[i] = top_p < 1 && i != 1 && i != 2 ? 0 : std::exp(double{logits[i]});
      total += p[i];
    }
    for (std::size_t i = 0; i < 4; ++i)
      EXPECT_NEAR(seen[i] / double{draws}, p[i] / total, 0.012) << i;
  }
}

}  // namespace
}  // namespace assay::canon
