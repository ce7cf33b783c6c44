#include <cmath>
#include <gtest/gtest.h>

#include "canon/canon_testutil.hpp"
#include "canon/chain.hpp"
#include "canon/elementary.hpp"
#include "canon/fp16.hpp"
#include "canon/rope.hpp"

namespace assay::canon {
namespace {

using test::bits;

TEST(Fp16, EveryHalfSurvivesTheRoundTrip) {
  for (std::uint32_t h = 0; h < 0x10000; ++h) {
    const auto half = static_cast<std::uint16_t>(h);
    if (!fp16_finite(half)) continue;
    ASSERT_EQ(to_fp16(from_fp16(half)), half);
  }
  EXPECT_EQ(from_fp16(0x3c00), 1.0f);
  EXPECT_EQ(from_fp16(0x0001), 0x1p-24f);
  EXPECT_EQ(from_fp16(0x7bff), 65504.0f);
}

// Between neighbours: the midpoint goes to the even one, a hair beside it to the nearer one.
TEST(Fp16, RoundsToNearestEvenEverywhere) {
  for (std::uint32_t h = 0; h < 0x7bff; ++h) {
    const auto low = static_cast<std::uint16_t>(h), high = static_cast<std::uint16_t>(h + 1);
    const float middle = (from_fp16(low) + from_fp16(high)) * 0.5f;  // exact
    ASSERT_EQ(to_fp16(middle), h % 2 == 0 ? low : high) << h;
    ASSERT_EQ(to_fp16(std::nextafter(middle, 0.0f)), low) << h;
    ASSERT_EQ(to_fp16(std::nextafter(middle, test::kInfinity)), high) << h;
    ASSERT_EQ(to_fp16(-middle), (h % 2 == 0 ? low : high) | 0x8000) << h;
  }
  EXPECT_EQ(to_fp16(65519.996f), 0x7bff);
  EXPECT_EQ(to_fp16(65520.0f), 0x7c00);
  EXPECT_EQ(to_fp16(-test::kInfinity), 0xfc00);
  EXPECT_FALSE(fp16_finite(to_fp16(test::kNan)));
  EXPECT_EQ(to_fp16(0x1p-25f), 0);
  EXPECT_EQ(to_fp16(std::nextafter(0x1p-25f, 1.0f)), 1);
}

TEST(Chain, SegmentsOf256FromPlusZero) {
  // 2^24 absorbs ones one at a time; a segment sum of 255 does not vanish.
  std::vector<float> x(513, 1.0f);
  x[0] = 0x1p24f;
  const auto at = [&](std::size_t i) { return x[i]; };
  EXPECT_EQ(chain_sum(x.size(), at), 0x1p24f + 256.0f);  // ties to even drop the final 1
  EXPECT_EQ(bits(chain(
                1, [](std::size_t) { return -0.0f; }, [](std::size_t) { return 1.0f; })),
            bits(0.0f));
  EXPECT_EQ(bits(chain_sum(0, at)), bits(0.0f));
}

TEST(Exp, StatedErrorCutAndExactOne) {
  double worst = 0;
  for (std::uint32_t b = 0; b <= bits(69.0f); b += 97) {  // magnitudes
    const float x = -std::bit_cast<float>(b);
    worst = std::max(worst, test::ulps(exp(x), std::exp(static_cast<double>(x))));
  }
  RecordProperty("max_ulp", std::to_string(worst));
  EXPECT_LT(worst, 0.95);
  EXPECT_EQ(bits(exp(0.0f)), bits(1.0f));
  EXPECT_EQ(bits(exp(-0.0f)), bits(1.0f));
  EXPECT_GT(exp(-69.0f), 0x1p-100f);
  EXPECT_EQ(bits(exp(std::nextafter(-69.0f, -70.0f))), 0u);
  EXPECT_EQ(bits(exp(-test::kInfinity)), 0u);
}

TEST(Log, StatedErrorAndExactZero) {
  double worst = 0;
  for (std::uint32_t b = bits(0x1p-24f); b <= bits(0x1p24f); b += 53) {
    const auto x = std::bit_cast<float>(b);
    worst = std::max(worst, test::ulps(log(x), std::log(static_cast<double>(x))));
  }
  for (std::int32_t i = -20000; i < 20000; ++i) {  // where the result crosses zero
    const auto x = std::bit_cast<float>(static_cast<std::int32_t>(bits(1.0f)) + i);
    worst = std::max(worst, test::ulps(log(x), std::log(static_cast<double>(x))));
  }
  RecordProperty("max_ulp", std::to_string(worst));
  EXPECT_LT(worst, 1.0);
  EXPECT_EQ(bits(log(1.0f)), 0u);
}

TEST(Rope, BinaryRoutinesAreAccurate) {
  test::Random random(11);
  for (int i = 0; i < 20000; ++i) {
    const double fraction = std::ldexp(random.below(1u << 30), -30);
    const double x = 1.0 + std::ldexp(fraction, static_cast<int>(random.below(100)));
    EXPECT_NEAR(rope_log(x), std::log(x), 4e-16 * std::max(1.0, std::log(x)));
    const double y = -std::ldexp(random.below(1u << 30), -26);
    EXPECT_NEAR(rope_exp(y) / std::exp(y), 1.0, 5e-16);
    const double angle = std::ldexp(random.below(1u << 30), -6);
    double c, s;
    rope_cos_sin(angle, c, s);
    EXPECT_NEAR(c, std::cos(angle), 3e-16);
    EXPECT_NEAR(s, std::sin(angle), 3e-16);
  }
}

TEST(Rope, TableIsWithinItsBound) {
  for (const auto& [head_dim, base] :
       {std::pair{64u, 1e4f}, {128u, 5e5f}, {48u, 1e6f}, {2u, 1.0f}}) {
    const std::uint32_t positions = 3000;
    std::vector<float> table(std::size_t{positions} * head_dim);
    rope_table(positions, head_dim, base, {}, 1.0f, table);
    for (std::uint32_t p = 0; p < positions; ++p)
      for (std::uint32_t i = 0; i < head_dim / 2; ++i) {
        const double angle =
            p * std::pow(static_cast<double>(base), -2.0 * i / static_cast<double>(head_dim));
        const double bound = 0x1p-25 + p * 0x1p-48;
        const std::size_t at = std::size_t{p} * head_dim + 2 * i;
        ASSERT_NEAR(table[at], std::cos(angle), bound) << p << " " << i;
        ASSERT_NEAR(table[at + 1], std::sin(angle), bound) << p << " " << i;
      }
    EXPECT_EQ(table[0], 1.0f);
    EXPECT_EQ(table[1], 0.0f);
  }
}

TEST(Rope, FactorsAndLinearScalingDivideTheFrequency) {
  const std::uint32_t positions = 2000, head_dim = 8;
  const std::vector<float> factors{1.0f, 1.75f, 8.0f, 32.0f};
  for (const float linear : {1.0f, 4.0f})
    for (const bool scaled : {false, true}) {
      std::vector<float> table(std::size_t{positions} * head_dim);
      rope_table(positions, head_dim, 5e5f, scaled ? factors : std::vector<float>{}, linear, table);
      for (std::uint32_t p = 0; p < positions; ++p)
        for (std::uint32_t i = 0; i < head_dim / 2; ++i) {
          const double angle =
              p * std::pow(5e5, -0.25 * i) / (scaled ? double{factors[i]} : 1.0) / double{linear};
          const std::size_t at = std::size_t{p} * head_dim + 2 * i;
          ASSERT_NEAR(table[at], std::cos(angle), 0x1p-25 + p * 0x1p-48) << p << " " << i;
          ASSERT_NEAR(table[at + 1], std::sin(angle), 0x1p-25 + p * 0x1p-48) << p << " " << i;
        }
    }
  for (const float refused : {0.99f, 0.0f, -2.0f, test::kInfinity, test::kNan})
    EXPECT_FALSE(rope_divisor_valid(refused));
}

TEST(Rope, RotatesHalves) {
  std::vector<float> head{1, 3, 2, 4};  // pairs (1, 2) and (3, 4)
  rope_rotate_halves(head, std::vector<float>{0, 1, 1, 0});
  EXPECT_EQ(head, (std::vector<float>{-2, 3, 1, 4}));
}

TEST(Rope, RotatesAdjacentPairs) {
  std::vector<float> head{1, 2, 3, 4};
  rope_rotate(head, std::vector<float>{0, 1, 1, 0});
  EXPECT_EQ(head, (std::vector<float>{-2, 1, 3, 4}));
}

}  // namespace
}  // namespace assay::canon
