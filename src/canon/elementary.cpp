#include "canon/elementary.hpp"

#include <bit>
#include <cmath>

namespace assay::canon {
using namespace constants;

float exp(float x) {
  if (!(x >= kExpCut)) return 0.0f;
  // Adding the magic number leaves round(x / ln 2) in the low bits of t.
  const float t = std::fma(x, kLog2E, kMagic), n = t - kMagic;
  float r = std::fma(n, -kLn2High, x);
  r = std::fma(n, -kLn2Low, r);
  float p = kExp[0];
  for (int i = 1; i < 8; ++i) p = std::fma(p, r, kExp[i]);
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(p) +
                              (std::bit_cast<std::uint32_t>(t) << 23));
}

float log(float x) {
  // x = 2^e m with m in [sqrt(1/2), sqrt 2).
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::int32_t e = static_cast<std::int32_t>(bits - kSqrtHalfBits) >> 23;
  const float m = std::bit_cast<float>(bits - (static_cast<std::uint32_t>(e) << 23));
  const float f = m - 1.0f, z = f * f;
  float p = kLog[0];
  for (int i = 1; i < 9; ++i) p = std::fma(p, f, kLog[i]);
  float y = (p * f) * z;
  const auto exponent = static_cast<float>(e);
  y = std::fma(exponent, kLogLn2Low, y);
  y = std::fma(-0.5f, z, y);
  y = f + y;
  return std::fma(exponent, kLogLn2High, y);
}

}  // namespace assay::canon
