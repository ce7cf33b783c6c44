#include "canon/format.hpp"

#include <cmath>
#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "canon/canon_testutil.hpp"
#include "canon/fp16.hpp"
#include "canon/q8.hpp"
#include "canon/q8k.hpp"

namespace assay::canon {
namespace {

using test::bits;
using test::Random;

// Where a block's halves are: d, and dmin where there is one.
std::vector<std::size_t> halves_of(Format format) {
  switch (format) {
    case Format::q4_k:
    case Format::q5_k:
      return {0, 2};
    case Format::q6_k:
      return {208};
    default:
      return {0};
  }
}

void put(Bytes& row, std::size_t at, std::uint16_t half) {
  row[at] = static_cast<std::uint8_t>(half), row[at + 1] = static_cast<std::uint8_t>(half >> 8);
}

Bytes random_row(Format format, std::size_t blocks, Random& random) {
  const FormatInfo& f = info(format);
  Bytes row(blocks * f.block_bytes);
  for (auto& b : row) b = static_cast<std::uint8_t>(random.bits());
  for (std::size_t b = 0; b < blocks; ++b) {
    if (format == Format::f32) {
      const std::uint32_t v = bits(random.unit());
      for (std::size_t i = 0; i < 4; ++i) row[b * 4 + i] = static_cast<std::uint8_t>(v >> (8 * i));
      continue;
    }
    for (const std::size_t at : halves_of(format)) {
      const float v = random.unit();
      put(row, b * f.block_bytes + at,
          format == Format::bf16 ? static_cast<std::uint16_t>(bits(v) >> 16) : to_fp16(v));
    }
  }
  return row;
}

TEST(Format, TableKnowsTheSupportedTypesAndNoOther) {
  EXPECT_EQ(formats().size(), 8u);
  for (const FormatInfo& f : formats()) {
    EXPECT_EQ(format_of(static_cast<std::uint32_t>(f.format)), f.format);
    EXPECT_EQ(&info(f.format), &f);
    EXPECT_EQ(kSuperblock % f.block_values, 0u);
  }
  EXPECT_EQ(format_of(12), Format::q4_k);
  for (const std::uint32_t refused : {3u, 6u, 10u, 11u, 15u, 20u, 39u, 99u, ~0u})
    EXPECT_EQ(format_of(refused), std::nullopt) << refused;
}

TEST(Format, FindsTheFirstBlockThatIsNotFinite) {
  Random random(61);
  for (const FormatInfo& f : formats()) {
    const std::size_t blocks = 4, cols = blocks * f.block_values;
    const Bytes good = random_row(f.format, blocks, random);
    EXPECT_EQ(find_non_finite(f.format, good.data(), cols), std::nullopt) << f.name;
    // Quants and small scales of all ones are no NaN.
    for (const int nan_or_infinity : {0x7c00, 0xfc00, 0x7e01})
      for (std::size_t at : halves_of(f.format))
        for (const std::size_t block : {0, 3}) {
          Bytes bad = good;
          at += f.format == Format::f32 ? 2 : 0;
          const auto half = static_cast<std::uint16_t>(nan_or_infinity);
          const bool eight_bits = f.format == Format::f32 || f.format == Format::bf16;
          put(bad, block * f.block_bytes + at,
              eight_bits ? static_cast<std::uint16_t>(half | 0x7f80) : half);
          EXPECT_EQ(find_non_finite(f.format, bad.data(), cols), block) << f.name;
          if (f.format == Format::f32) break;
        }
  }
}

// Against sums of the dequantized numbers in long double, every format.
TEST(Format, ProductsAreTheSumOfTheNumbersTheRowHolds) {
  Random random(62);
  for (const FormatInfo& f : formats())
    for (const std::size_t cols : {256, 512, 1280}) {
      const Bytes row = random_row(f.format, cols / f.block_values, random);
      std::vector<float> x(cols), w(cols), q8_scale(cols / kBlock), q8k_scale(cols / kSuperblock);
      for (float& v : x) v = random.unit();
      std::vector<std::int8_t> q8(cols), q8k(cols);
      ASSERT_TRUE(quantize_q8(x, q8, q8_scale));
      ASSERT_TRUE(quantize_q8k(x, q8k, q8k_scale));
      dequantize_row(f.format, row.data(), w);
      long double want = 0, size = 0;
      for (std::size_t i = 0; i < cols; ++i) {
        const float a = f.activation == Activation::plain ? x[i]
                        : f.activation == Activation::q8
                            ? static_cast<float>(q8[i]) * q8_scale[i / kBlock]
                            : static_cast<float>(q8k[i]) * q8k_scale[i / kSuperblock];
        want += static_cast<long double>(w[i]) * a;
        size += std::fabs(static_cast<long double>(w[i]) * a);
      }
      EXPECT_NEAR(row_product(f.format, row.data(), cols, {x, q8, q8_scale, q8k, q8k_scale}),
                  static_cast<double>(want), static_cast<double>(size) * 2e-6)
          << f.name << " " << cols;
    }
}

// The bounds of spec/canon.md, met exactly: nothing wraps, msum converts without rounding.
TEST(Format, ExtremesOfSuperblocks) {
  const std::vector<std::int8_t> ones(kSuperblock, 127);
  const std::vector<float> unit(1, 1.0f);
  const auto of = [](std::size_t bytes, std::uint8_t fill, std::size_t d_at, std::uint16_t d,
                     std::uint16_t dmin) {
    Bytes block(bytes, fill);
    put(block, d_at, d);
    if (d_at == 0) put(block, 2, dmin);
    return block;
  };
  constexpr std::uint16_t kOne = 0x3c00, kZero = 0;
  EXPECT_EQ(row_q4_k(of(144, 0xff, 0, kOne, kZero).data(), ones, unit), 63 * 15 * 127 * 256);
  EXPECT_EQ(row_q5_k(of(176, 0xff, 0, kOne, kZero).data(), ones, unit), 63 * 31 * 127 * 256);
  EXPECT_EQ(row_q5_k(of(176, 0xff, 0, kZero, kOne).data(), ones, unit), -63 * 127 * 256);
  Bytes q6 = of(210, 0x00, 208, kOne, kZero);
  std::fill(q6.begin() + 192, q6.begin() + 208, std::uint8_t{0x80});
  EXPECT_EQ(row_q6_k(q6.data(), ones, unit), 128 * 32 * 127 * 256);
  // The largest scales there are: finite.
  put(q6, 208, 0x7bff);
  EXPECT_TRUE(finite(row_q6_k(q6.data(), ones, std::vector<float>{65504.0f})));
}

TEST(Format, DequantizedKQuantsRoundOnce) {
  Random random(63);
  for (const Format format : {Format::q4_k, Format::q5_k, Format::q6_k})
    for (int i = 0; i < 200; ++i) {
      Bytes row = random_row(format, 1, random);
      for (const std::size_t at : halves_of(format)) put(row, at, random.finite_half());
      Superblock s;
      (format == Format::q4_k   ? superblock_q4_k
       : format == Format::q5_k ? superblock_q5_k
                                : superblock_q6_k)(row.data(), s);
      std::vector<float> w(kSuperblock);
      dequantize_row(format, row.data(), w);
      for (std::size_t j = 0; j < kSuperblock; ++j) {
        const bool six = format == Format::q6_k;
        const double exact = double{from_fp16(s.d)} * s.scales[j / (six ? 16 : 32)] * s.quants[j] -
                             (six ? 0.0 : double{from_fp16(s.dmin)} * s.mins[j / 32]);
        ASSERT_EQ(w[j], static_cast<float>(exact));
        if (six) {
          ASSERT_EQ(double{w[j]}, exact);
        }
      }
    }
}

}  // namespace
}  // namespace assay::canon
