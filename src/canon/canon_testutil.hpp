// Hostile random numbers for the canon's tests, and the bits of a float as text.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "canon/gumbel.hpp"

namespace assay::canon::test {

// Philox as a stream: the same numbers on every machine.
class Random {
 public:
  explicit Random(std::uint32_t seed) : seed_(seed) {}
  std::uint32_t bits() {
    if (used_ == 4) {
      words_ = philox({counter_++, 0, 0, 0}, {seed_, 0x7e57u});
      used_ = 0;
    }
    return words_[used_++];
  }
  std::uint32_t below(std::uint32_t n) { return bits() % n; }
  float unit() { return static_cast<float>(bits() >> 8) * 0x1p-23f - 1.0f; }  // [-1, 1)

  // Finite values of every kind: ordinary, tiny, subnormal, ±0, ties, up to `largest`.
  float hostile(float largest) {
    switch (below(12)) {
      case 0:
        return 0.0f;
      case 1:
        return -0.0f;
      case 2:
        return std::bit_cast<float>(bits() & 0x807fffffu);  // subnormal
      case 3:
        return unit() * largest;
      case 4: {
        const float fraction = unit();  // named: the order of argument evaluation is open
        return std::ldexp(fraction, -static_cast<int>(below(120)));
      }
      case 5:
        return (static_cast<float>(below(255)) - 127.0f) * 0.5f;  // ties
      default:
        return unit();
    }
  }
  std::vector<float> hostile_values(std::size_t n, float largest) {
    std::vector<float> out(n);
    for (float& v : out) v = hostile(largest);
    return out;
  }
  std::uint16_t finite_half() {
    const auto h = static_cast<std::uint16_t>(bits());
    return (h & 0x7c00u) == 0x7c00u ? static_cast<std::uint16_t>(h & 0x83ffu) : h;
  }

 private:
  std::uint32_t seed_, counter_ = 0;
  std::array<std::uint32_t, 4> words_{};
  std::size_t used_ = 4;
};

inline std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Distance in units in the last place of the exact value.
inline double ulps(float got, double exact) {
  if (exact == 0.0) return got == 0.0f ? 0.0 : 1e9;
  int exponent;
  std::frexp(exact, &exponent);
  return std::fabs(got - exact) / std::ldexp(1.0, std::max(exponent, -125) - 24);
}

}  // namespace assay::canon::test
