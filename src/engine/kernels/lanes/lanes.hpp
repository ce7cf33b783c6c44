// The layer's operations for any vector width. A lane set S names one instruction set's vectors;
// each kernels/<isa>/ instantiates these templates with an S of internal linkage, so that every
// copy stays inside its own object file. Plain loops and pointers only (see kernels.hpp).
//
// S provides: F (floats), M (lane mask), width; zero, set, load, store, load_fp16, add, sub, mul,
// div, fma(a, b, c), max, abs, keep(mask, a) (a or +0), blend(mask, a, b) (a where set),
// ge(a, b), below(n) (the first n lanes, n any integer), not_finite, either(m, m), both(m, m),
// any(m), shift_in(p, t) (bits of p + (bits of t << 23)).
#pragma once
#include <cstddef>
#include <cstdint>

#include "canon/elementary.hpp"

namespace assay::engine::lanes {

inline constexpr std::size_t kSegmentSize = 256;

// canon::exp, step by step.
template <class S>
[[gnu::always_inline]] inline typename S::F exp_lanes(typename S::F x) {
  namespace c = canon::constants;
  using F = typename S::F;
  const F t = S::fma(x, S::set(c::kLog2E), S::set(c::kMagic)), n = S::sub(t, S::set(c::kMagic));
  F r = S::fma(n, S::set(-c::kLn2High), x);
  r = S::fma(n, S::set(-c::kLn2Low), r);
  F p = S::set(c::kExp[0]);
#pragma GCC unroll 8
  for (int i = 1; i < 8; ++i) p = S::fma(p, r, S::set(c::kExp[i]));
  return S::keep(S::ge(x, S::set(c::kExpCut)), S::shift_in(p, t));
}

// A short last vector, padded with +0.
template <class S>
typename S::F load_some(const float* p, std::size_t n) {
  float buffer[S::width] = {};
  for (std::size_t i = 0; i < n; ++i) buffer[i] = p[i];
  return S::load(buffer);
}

template <class S>
void store_some(float* p, typename S::F v, std::size_t n) {
  float buffer[S::width];
  S::store(buffer, v);
  for (std::size_t i = 0; i < n; ++i) p[i] = buffer[i];
}

// y[i] = f(a[i], b[i]); true if every result is finite.
template <class S, class Function>
[[gnu::always_inline]] inline bool map(const float* a, const float* b, std::size_t n, float* y,
                                       Function f) {
  constexpr std::size_t width = S::width;
  typename S::M bad = S::below(0);
  std::size_t i = 0;
  for (; i + width <= n; i += width) {
    const auto v = f(S::load(a + i), S::load(b + i));
    bad = S::either(bad, S::not_finite(v));
    S::store(y + i, v);
  }
  if (i < n) {
    const auto v = f(load_some<S>(a + i, n - i), load_some<S>(b + i, n - i));
    bad = S::either(bad, S::both(S::below(static_cast<int>(n - i)), S::not_finite(v)));
    store_some<S>(y + i, v, n - i);
  }
  return !S::any(bad);
}

template <class S>
bool add_residual(float* x, const float* y, std::size_t n) {
  return map<S>(x, y, n, x, [](auto a, auto b) { return S::add(a, b); });
}

// Non-finite gates and ups always leave a non-finite product, so y alone tells.
template <class S>
bool swiglu(const float* gate, const float* up, std::size_t n, float* y) {
  return map<S>(gate, up, n, y, [](auto g, auto u) {
    const auto e = exp_lanes<S>(S::sub(S::zero(), S::abs(g)));
    const auto numerator = S::blend(S::ge(g, S::zero()), g, S::mul(g, e));
    return S::mul(S::div(numerator, S::add(S::set(1.0f), e)), u);
  });
}

template <class S>
bool all_finite(const float* x, std::size_t n) {
  constexpr std::size_t width = S::width;
  typename S::M bad = S::below(0);
  std::size_t i = 0;
  for (; i + width <= n; i += width) bad = S::either(bad, S::not_finite(S::load(x + i)));
  if (i < n) bad = S::either(bad, S::not_finite(load_some<S>(x + i, n - i)));
  return !S::any(bad);
}

// Eight chains of squares side by side: one chain's fmas wait for each other, eight fill the gaps.
template <class S>
void squares_of_8(const float* const (&x)[8], std::size_t n, float (&acc)[8]) {
  float a[8] = {};
  for (std::size_t i = 0; i < n; ++i) {
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) a[k] = S::fma1(x[k][i], x[k][i], a[k]);
  }
  for (int k = 0; k < 8; ++k) acc[k] = a[k];
}

template <class S>
bool rms_norm(const float* x, const float* weight, std::size_t n, float epsilon, float* y) {
  float total = 0.0f;
  std::size_t begin = 0;
  for (; begin + 8 * kSegmentSize <= n; begin += 8 * kSegmentSize) {
    const float* at[8];
    float acc[8];
    for (std::size_t k = 0; k < 8; ++k) at[k] = x + begin + k * kSegmentSize;
    squares_of_8<S>(at, kSegmentSize, acc);
    for (float a : acc) total = total + a;
  }
  for (; begin < n; begin += kSegmentSize) {
    const std::size_t end = begin + kSegmentSize < n ? begin + kSegmentSize : n;
    float acc = 0.0f;
    for (std::size_t i = begin; i < end; ++i) acc = S::fma1(x[i], x[i], acc);
    total = total + acc;
  }
  const float inv = 1.0f / S::sqrt1(total / static_cast<float>(n) + epsilon);
  const auto scale = S::set(inv);
  const bool ok =
      map<S>(x, weight, n, y, [&](auto v, auto w) { return S::mul(S::mul(v, scale), w); });
  return ok && total - total == 0.0f;
}

}  // namespace assay::engine::lanes
