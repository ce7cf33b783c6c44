// The one reduction rule of the canon (DESIGN section 5; spec/canon.md, "Chain").
#pragma once
#include <cmath>
#include <cstddef>

namespace assay::canon {

inline constexpr std::size_t kSegment = 256;

// chain over i in [0, n) of a(i) * b(i): within each segment of 256 indices acc = fma(a, b, acc)
// from +0 in index order, then total = total + acc from +0 in segment order. Absent indices of the
// last segment are skipped.
template <class A, class B>
float chain(std::size_t n, A a, B b) {
  float total = 0.0f;
  for (std::size_t begin = 0; begin < n; begin += kSegment) {
    const std::size_t end = begin + kSegment < n ? begin + kSegment : n;
    float acc = 0.0f;
    for (std::size_t i = begin; i < end; ++i) acc = std::fma(a(i), b(i), acc);
    total = total + acc;
  }
  return total;
}

// The same with plain terms: acc = acc + a(i).
template <class A>
float chain_sum(std::size_t n, A a) {
  float total = 0.0f;
  for (std::size_t begin = 0; begin < n; begin += kSegment) {
    const std::size_t end = begin + kSegment < n ? begin + kSegment : n;
    float acc = 0.0f;
    for (std::size_t i = begin; i < end; ++i) acc = acc + a(i);
    total = total + acc;
  }
  return total;
}

}  // namespace assay::canon
