#include "canon/sampling.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

#include "canon/canon_testutil.hpp"
#include "canon/chain.hpp"

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

TEST(Sample, ArgMaxTakesTheLowestIdOnTies) {
  EXPECT_EQ(sample(std::vector<float>{1, 3, 3, 2}, {0.0f, 1.0f, 0, 0}), 1u);
  EXPECT_EQ(sample(std::vector<float>{-0.0f, 0.0f}, {0.0f, 1.0f, 0, 0}), 0u);
}

TEST(Sample, NonFiniteLogitsAndQuotientsAreFaults) {
  for (const float bad : {test::kInfinity, -test::kInfinity, test::kNan}) {
    EXPECT_EQ(sample(std::vector<float>{1, bad}, {0.0f, 1.0f, 0, 0}), std::nullopt);
    EXPECT_EQ(sample(std::vector<float>{1, bad}, {1.0f, 1.0f, 0, 0}), std::nullopt);
  }
  EXPECT_EQ(sample(std::vector<float>{1e10f, 0}, {1e-30f, 1.0f, 0, 0}), std::nullopt);
}

// Frequencies over many positions follow the softmax, with and without the nucleus.
TEST(Sample, FollowsTheDistribution) {
  const std::vector<float> logits{0.0f, 1.0f, 2.0f, -1.0f};
  const int draws = 40000;
  for (const float top_p : {1.0f, 0.8f}) {
    std::vector<int> seen(4);
    for (int i = 0; i < draws; ++i)
      ++seen[*sample(logits, {1.0f, top_p, 77, static_cast<std::uint32_t>(i)})];
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
