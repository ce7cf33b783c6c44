#include "canon/rope.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/assert.hpp"
#include "canon/pieces.hpp"

namespace assay::canon {
namespace {

constexpr double kLn2High = 0x1.62e42fefa39efp-1, kLn2Low = 0x1.abc9e3b39803fp-56;
constexpr double kHalfPiHigh = 0x1.921fb54442d18p+0, kHalfPiLow = 0x1.1a62633145c07p-54;
constexpr double kLog2E = 0x1.71547652b82fep+0, kTwoOverPi = 0x1.45f306dc9c883p-1;

// Nearest integer, ties to even, for |x| < 2^51: the addition does the rounding.
double nearest(double x) {
  constexpr double magic = 0x1.8p52;
  return (x + magic) - magic;
}

constexpr double factorial(int n) { return n <= 1 ? 1.0 : n * factorial(n - 1); }

void rotate(float& a, float& b, const float* cos_sin) {
  const float x = a, y = b, c = cos_sin[0], s = cos_sin[1];
  a = rotate_first(x, y, c, s);
  b = rotate_second(x, y, c, s);
}

}  // namespace

double rope_log(double x) {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  auto exponent = static_cast<int>(bits >> 52) - 1023;
  auto m = std::bit_cast<double>((bits & 0x000fffffffffffffu) | 0x3ff0000000000000u);  // [1, 2)
  if (m >= 1.5) {
    m = m * 0.5;
    ++exponent;
  }
  // ln m = 2 artanh(s), |s| ≤ 0.2.
  const double s = (m - 1.0) / (m + 1.0), z = s * s;
  double p = 2.0 / 25.0;
  for (int k = 11; k >= 0; --k) p = std::fma(p, z, 2.0 / (2 * k + 1));
  const double e = exponent;
  return std::fma(e, kLn2High, std::fma(e, kLn2Low, p * s));
}

double rope_exp(double x) {
  const double n = nearest(x * kLog2E);
  double r = std::fma(-n, kLn2High, x);
  r = std::fma(-n, kLn2Low, r);
  double p = 1.0 / factorial(14);
  for (int k = 13; k >= 0; --k) p = std::fma(p, r, 1.0 / factorial(k));
  const auto scale = static_cast<std::uint64_t>(1023 + static_cast<std::int64_t>(n)) << 52;
  return p * std::bit_cast<double>(scale);
}

void rope_cos_sin(double angle, double& c, double& s) {
  const double n = nearest(angle * kTwoOverPi);
  double r = std::fma(-n, kHalfPiHigh, angle);
  r = std::fma(-n, kHalfPiLow, r);
  const double z = r * r;
  double ps = -1.0 / factorial(19);
  for (int k = 17; k >= 1; k -= 2) ps = std::fma(ps, z, (k % 4 == 1 ? 1.0 : -1.0) / factorial(k));
  double pc = 1.0 / factorial(20);
  for (int k = 18; k >= 0; k -= 2) pc = std::fma(pc, z, (k % 4 == 0 ? 1.0 : -1.0) / factorial(k));
  const double sine = ps * r, cosine = pc;
  switch (static_cast<std::int64_t>(n) & 3) {
    case 0:
      c = cosine, s = sine;
      break;
    case 1:
      c = -sine, s = cosine;
      break;
    case 2:
      c = -cosine, s = -sine;
      break;
    default:
      c = sine, s = -cosine;
      break;
  }
}

double rope_frequency(std::uint32_t pair, std::uint32_t head_dim, float base) {
  const double fraction = (2.0 * pair) / head_dim;
  return rope_exp(-(fraction * rope_log(base)));
}

bool rope_divisor_valid(float divisor) { return divisor >= 1.0f && std::isfinite(divisor); }

void rope_rows(std::uint32_t first, std::uint32_t head_dim, float base,
               std::span<const float> factors, float linear, std::span<float> out) {
  ASSAY_ASSERT(head_dim > 0 && head_dim % 2 == 0 && base >= 1.0f && std::isfinite(base));
  ASSAY_ASSERT(out.size() % head_dim == 0 && first + out.size() / head_dim <= 1u << 24);
  ASSAY_ASSERT(factors.empty() || factors.size() == head_dim / 2);
  ASSAY_ASSERT(rope_divisor_valid(linear) && std::ranges::all_of(factors, rope_divisor_valid));
  for (std::uint32_t pair = 0; pair < head_dim / 2; ++pair) {
    double frequency = rope_frequency(pair, head_dim, base);
    if (!factors.empty()) frequency = frequency / static_cast<double>(factors[pair]);
    frequency = frequency / static_cast<double>(linear);
    for (std::size_t row = 0; row < out.size() / head_dim; ++row) {
      double c, s;
      rope_cos_sin(static_cast<double>(first + row) * frequency, c, s);
      float* entry = &out[row * head_dim + 2 * pair];
      entry[0] = static_cast<float>(c);
      entry[1] = static_cast<float>(s);
    }
  }
}

void rope_table(std::uint32_t positions, std::uint32_t head_dim, float base,
                std::span<const float> factors, float linear, std::span<float> out) {
  ASSAY_ASSERT(out.size() == static_cast<std::size_t>(positions) * head_dim);
  rope_rows(0, head_dim, base, factors, linear, out);
}

void rope_rotate(std::span<float> head, std::span<const float> row) {
  for (std::size_t i = 0; i < head.size(); i += 2) rotate(head[i], head[i + 1], &row[i]);
}

void rope_rotate_halves(std::span<float> head, std::span<const float> row) {
  const std::size_t half = head.size() / 2;
  for (std::size_t i = 0; i < half; ++i) rotate(head[i], head[i + half], &row[2 * i]);
}

}  // namespace assay::canon
