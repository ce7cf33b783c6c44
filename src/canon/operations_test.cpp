#include <cmath>
#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "canon/attention.hpp"
#include "canon/canon_testutil.hpp"
#include "canon/fp16.hpp"
#include "canon/layer.hpp"
#include "canon/q8.hpp"

namespace assay::canon {
namespace {

using test::bits;
using test::Random;

struct Quantized {
  bool ok;
  std::vector<std::int8_t> q;
  std::vector<float> scale;
};

Quantized quantize(const std::vector<float>& x) {
  Quantized r{false, std::vector<std::int8_t>(x.size()), std::vector<float>(x.size() / kBlock)};
  r.ok = quantize_q8(x, r.q, r.scale);
  return r;
}

TEST(Q8, RoundsTiesToEvenAndClamps) {
  std::vector<float> x(32, 0.0f);
  x[0] = 127.0f, x[1] = 0.5f, x[2] = 1.5f, x[3] = -2.5f, x[4] = -127.0f;
  const auto r = quantize(x);
  ASSERT_TRUE(r.ok);
  EXPECT_EQ(r.scale[0], 1.0f);
  EXPECT_EQ(r.q[0], 127);
  EXPECT_EQ(r.q[1], 0);
  EXPECT_EQ(r.q[2], 2);
  EXPECT_EQ(r.q[3], -2);
  EXPECT_EQ(r.q[4], -127);
  // A scale that was rounded down to a subnormal: x / d exceeds 127.
  std::vector<float> tiny(32, 127.0f * 1.4f * 0x1p-24f);
  EXPECT_EQ(quantize(tiny).scale[0], 0x1p-24f);
  EXPECT_EQ(quantize(tiny).q[7], 127);
}

TEST(Q8, ZeroScaleGivesZeroAndOverflowIsAFault) {
  const auto zero = quantize(std::vector<float>(32, 127.0f * 0x1p-26f));
  EXPECT_TRUE(zero.ok);
  EXPECT_EQ(zero.scale[0], 0.0f);
  EXPECT_EQ(zero.q[0], 0);
  EXPECT_TRUE(quantize(std::vector<float>(32, 65519.0f * 127.0f)).ok);
  EXPECT_FALSE(quantize(std::vector<float>(32, 65520.0f * 127.0f)).ok);
  for (const float bad : {test::kInfinity, -test::kInfinity, test::kNan}) {
    std::vector<float> x(64, 1.0f);
    x[40] = bad;
    EXPECT_FALSE(quantize(x).ok);
  }
}

// Against long double sums of the same integers: the chain's rounding is all that differs.
TEST(RowProduct, QuantizedRowsAreTheSumOfTheirBlocks) {
  Random random(5);
  for (const std::size_t blocks : {1, 7, 8, 9, 33}) {
    const auto x = quantize(random.hostile_values(blocks * kBlock, 1e4f));
    Bytes q8, q4;
    long double want8 = 0, want4 = 0, size8 = 0, size4 = 0;
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::uint16_t d = random.finite_half();
      append_le(q8, d);
      append_le(q4, d);
      for (int i = 0; i < 32; ++i) q8.push_back(static_cast<std::uint8_t>(random.bits()));
      for (int i = 0; i < 16; ++i) q4.push_back(static_cast<std::uint8_t>(random.bits()));
      std::int32_t dot8 = 0, dot4 = 0;
      for (std::size_t i = 0; i < 32; ++i) {
        const int nibble = i < 16 ? q4[b * 18 + 2 + i] & 15 : q4[b * 18 + 2 + i - 16] >> 4;
        dot8 += static_cast<std::int8_t>(q8[b * 34 + 2 + i]) * x.q[b * 32 + i];
        dot4 += (nibble - 8) * x.q[b * 32 + i];
      }
      const long double s = static_cast<long double>(from_fp16(d)) * x.scale[b];
      want8 += s * dot8, size8 += std::fabs(s * dot8);
      want4 += s * dot4, size4 += std::fabs(s * dot4);
    }
    EXPECT_NEAR(row_q8_0(q8.data(), x.q, x.scale), static_cast<double>(want8),
                static_cast<double>(size8) * 1e-6);
    EXPECT_NEAR(row_q4_0(q4.data(), x.q, x.scale), static_cast<double>(want4),
                static_cast<double>(size4) * 1e-6);
  }
}

TEST(RowProduct, PlainRowsAgreeAcrossFormatsThatHoldTheSameValues) {
  Random random(6);
  const auto x = random.hostile_values(300, 100.0f);
  Bytes f32, f16, bf16;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float w = static_cast<float>(random.below(255)) - 127.0f;  // exact in all three
    append_le(f32, bits(w));
    append_le(f16, to_fp16(w));
    append_le(bf16, static_cast<std::uint16_t>(bits(w) >> 16));
  }
  EXPECT_EQ(bits(row_f32(f32.data(), x)), bits(row_f16(f16.data(), x)));
  EXPECT_EQ(bits(row_f32(f32.data(), x)), bits(row_bf16(bf16.data(), x)));
}

TEST(RmsNorm, InfiniteSumOfSquaresIsAFaultThoughEveryResultIsZero) {
  std::vector<float> x(300, 1.0f), w(300, 1.0f), y(300);
  EXPECT_TRUE(rms_norm(x, w, 0.0f, y));
  EXPECT_EQ(y[299], 1.0f);
  x[280] = 1e20f;  // its square overflows
  EXPECT_FALSE(rms_norm(x, w, 1e-5f, y));
  x[280] = test::kNan;
  EXPECT_FALSE(rms_norm(x, w, 1e-5f, y));
  std::fill(x.begin(), x.end(), 0.0f);
  EXPECT_FALSE(rms_norm(x, w, 0.0f, y));  // 1 / 0
}

TEST(RmsNorm, HeadsAreNormedOneByOne) {
  Random random(12);
  const auto weight = random.hostile_values(16, 2.0f);
  auto heads = random.hostile_values(48, 10.0f);
  std::vector<float> want(48);
  for (std::size_t at = 0; at < 48; at += 16)
    ASSERT_TRUE(
        rms_norm(std::span(heads).subspan(at, 16), weight, 1e-6f, std::span(want).subspan(at, 16)));
  ASSERT_TRUE(rms_norm_heads(heads, weight, 1e-6f));
  for (std::size_t i = 0; i < 48; ++i) EXPECT_EQ(bits(heads[i]), bits(want[i]));
  heads[20] = 1e30f;  // in the second head only
  EXPECT_FALSE(rms_norm_heads(heads, weight, 1e-6f));
}

TEST(SwiGlu, ValuesAndFaults) {
  EXPECT_NEAR(silu(1.0f), 0.731058578, 1e-7);
  EXPECT_NEAR(silu(-1.0f), -0.268941421, 1e-7);
  EXPECT_EQ(bits(silu(-100.0f)), bits(-0.0f));
  EXPECT_EQ(bits(silu(-0.0f)), bits(-0.0f));
  EXPECT_EQ(silu(100.0f), 100.0f);
  for (const float bad : {test::kInfinity, -test::kInfinity, test::kNan}) {
    const std::vector<float> good{1.0f, 0.0f}, with{bad, bad};
    std::vector<float> y(2);
    EXPECT_FALSE(swiglu(with, good, y));
    EXPECT_FALSE(swiglu(good, with, y));
    // In place as well, where the inputs are overwritten: the result itself is not finite.
    auto gate = with;
    EXPECT_FALSE(swiglu(gate, good, gate));
  }
}

TEST(Cache, OverflowOfFp16IsAFault) {
  std::vector<std::uint16_t> out(1);
  EXPECT_TRUE(to_fp16(std::vector<float>{65519.0f}, out));
  EXPECT_FALSE(to_fp16(std::vector<float>{-65520.0f}, out));
  EXPECT_FALSE(to_fp16(std::vector<float>{test::kNan}, out));
}

struct AttentionCase {
  std::size_t head_dim, positions;
  std::vector<float> q;
  std::vector<std::uint16_t> k, v;
  AttentionCase(std::size_t dim, std::size_t n, std::uint32_t seed, float largest)
      : head_dim(dim), positions(n), k(dim * n), v(dim * n) {
    Random random(seed);
    q = random.hostile_values(dim, largest);
    for (auto& h : k) h = to_fp16(random.hostile(4.0f));
    for (auto& h : v) h = random.finite_half();
  }
  CacheRows rows() const { return {k.data(), head_dim, v.data(), head_dim}; }
};

TEST(Attention, AgreesWithATextbookSoftmaxInDoubles) {
  for (const std::size_t n : {1, 2, 255, 256, 257, 700}) {
    AttentionCase c(64, n, static_cast<std::uint32_t>(n), 2.0f);
    // Large scores lose what exp then multiplies: small ones leave the chain's own error.
    for (float& v : c.q) v = std::fmod(v, 1.0f);
    std::vector<float> out(64);
    ASSERT_TRUE(attend(c.q, c.rows(), n, out));
    std::vector<double> p(n);
    double m = -1e300, l = 0;
    for (std::size_t j = 0; j < n; ++j) {
      double dot = 0;
      for (std::size_t d = 0; d < 64; ++d) dot += double{c.q[d]} * from_fp16(c.k[j * 64 + d]);
      p[j] = dot / 8.0;
      m = std::max(m, p[j]);
    }
    for (double& v : p) l += v = std::exp(v - m);
    for (std::size_t d = 0; d < 64; ++d) {
      double o = 0, size = 0;
      for (std::size_t j = 0; j < n; ++j) {
        o += p[j] * from_fp16(c.v[j * 64 + d]);
        size += p[j] * std::fabs(from_fp16(c.v[j * 64 + d]));
      }
      EXPECT_NEAR(out[d], o / l, size / l * 4e-6) << n << " " << d;
    }
  }
}

TEST(Attention, ANonFiniteScoreIsAFaultEvenWhereItsWeightWouldBeZero) {
  AttentionCase c(64, 300, 9, 1.0f);
  std::vector<float> out(64);
  EXPECT_TRUE(attend(c.q, c.rows(), 300, out));
  c.q[0] = 3e38f;
  c.k[290 * 64] = to_fp16(-60000.0f);  // -infinity: the largest score stays finite
  EXPECT_FALSE(attend(c.q, c.rows(), 300, out));
  AttentionCase huge(64, 2, 10, 1.0f);
  std::fill(huge.q.begin(), huge.q.end(), 0.0f);
  huge.q[0] = 1e33f;
  huge.k[0] = to_fp16(60000.0f), huge.k[64] = to_fp16(-60000.0f);
  EXPECT_TRUE(attend(huge.q, huge.rows(), 2, out));  // a difference beyond the range: weight +0
}

}  // namespace
}  // namespace assay::canon
