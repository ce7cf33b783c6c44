// The layer's operations for any vector width. A lane set S names one instruction set's vectors;
// each kernels/<isa>/ instantiates these templates with an S of internal linkage, so that every
// copy stays inside its own object file. Plain loops and pointers only (see kernels.hpp).
//
// S provides: F (floats), M (lane mask), width; zero, set, load, store, load_fp16, add, sub, mul,
// div, fma(a, b, c), max, abs, keep(mask, a) (a or +0), blend(mask, a, b) (a where set),
// ge(a, b), below(n) (the first n lanes, n any integer), not_finite, either(m, m), both(m, m),
// any(m), shift_in(p, t) (bits of p + (bits of t << 23)); for one float fma1 and sqrt1; for pairs
// of neighbouring lanes double_even, double_odd (each even/odd lane twice), swap_pairs and
// fma_minus_plus(a, b, c) (a·b − c in even, a·b + c in odd lanes); unzip(a, b, even, odd);
// to_fp16(a, out) (width values).
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
bool add(float* x, const float* y, std::size_t n) {
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

// First the largest value, then the first place that reaches it: -0 reaches +0, as it ties with it.
template <class S>
bool arg_max(const float* x, std::size_t n, std::uint32_t* at) {
  constexpr std::size_t width = S::width;
  float largest = x[0];
  typename S::M bad = S::below(0);
  std::size_t i = 0;
  if (n >= width) {
    typename S::F most[2] = {S::load(x), S::load(x)};
    for (; i + 2 * width <= n; i += 2 * width) {
#pragma GCC unroll 2
      for (std::size_t k = 0; k < 2; ++k) {
        const auto v = S::load(x + i + k * width);
        bad = S::either(bad, S::not_finite(v));
        most[k] = S::max(v, most[k]);
      }
    }
    float lane[width];
    S::store(lane, S::max(most[0], most[1]));
    for (const float v : lane) largest = v > largest ? v : largest;
  }
  bool finite = !S::any(bad);
  for (; i < n; ++i) {
    finite = finite && x[i] - x[i] == 0.0f;
    largest = x[i] > largest ? x[i] : largest;
  }
  if (!finite) return false;
  const auto wanted = S::set(largest);
  for (i = 0; i + width <= n && !S::any(S::ge(S::load(x + i), wanted));) i += width;
  while (!(x[i] >= largest)) ++i;
  *at = static_cast<std::uint32_t>(i);
  return true;
}

template <class S>
void exp_below(const float* z, std::size_t n, float maximum, float* p) {
  constexpr std::size_t width = S::width;
  const auto m = S::set(maximum);
  std::size_t i = 0;
  for (; i + width <= n; i += width) S::store(p + i, exp_lanes<S>(S::sub(S::load(z + i), m)));
  if (i < n) store_some<S>(p + i, exp_lanes<S>(S::sub(load_some<S>(z + i, n - i), m)), n - i);
}

// Chains of squares of `count` segments side by side: one chain's fmas wait for each other, eight
// fill the gaps. Their sums are then added in order.
template <class S, int count>
void add_squares(const float* x, float& total) {
  float acc[count] = {};
  for (std::size_t i = 0; i < kSegmentSize; ++i) {
#pragma GCC unroll 8
    for (int k = 0; k < count; ++k) {
      const float v = x[static_cast<std::size_t>(k) * kSegmentSize + i];
      acc[k] = S::fma1(v, v, acc[k]);
    }
  }
  for (int k = 0; k < count; ++k) total = total + acc[k];
}

template <class S>
bool rms_norm(const float* x, const float* weight, std::size_t n, float epsilon, float* y) {
  float total = 0.0f;
  std::size_t i = 0;
  for (; i + 8 * kSegmentSize <= n; i += 8 * kSegmentSize) add_squares<S, 8>(x + i, total);
  for (; i + 3 * kSegmentSize <= n; i += 3 * kSegmentSize) add_squares<S, 3>(x + i, total);
  for (; i + kSegmentSize <= n; i += kSegmentSize) add_squares<S, 1>(x + i, total);
  if (i < n) {
    float acc = 0.0f;
    for (; i < n; ++i) acc = S::fma1(x[i], x[i], acc);
    total = total + acc;
  }
  const float inv = 1.0f / S::sqrt1(total / static_cast<float>(n) + epsilon);
  const auto scale = S::set(inv);
  const bool ok =
      map<S>(x, weight, n, y, [&](auto v, auto w) { return S::mul(S::mul(v, scale), w); });
  return ok && total - total == 0.0f;
}

template <class S>
void rope_neighbours(float* head, const float* row, std::size_t head_dim) {
  std::size_t i = 0;
  for (; i + S::width <= head_dim; i += S::width) {
    const auto x = S::load(head + i), cos_sin = S::load(row + i);
    S::store(head + i, S::fma_minus_plus(S::double_even(x), cos_sin,
                                         S::mul(S::double_odd(x), S::swap_pairs(cos_sin))));
  }
  for (; i < head_dim; i += 2) {
    const float a = head[i], b = head[i + 1], c = row[i], s = row[i + 1];
    head[i] = S::fma1(a, c, -(b * s));
    head[i + 1] = S::fma1(a, s, b * c);
  }
}

template <class S>
void rope_halves(float* head, const float* row, std::size_t head_dim) {
  const std::size_t half = head_dim / 2;
  std::size_t i = 0;
  for (; i + S::width <= half; i += S::width) {
    const auto a = S::load(head + i), b = S::load(head + half + i);
    typename S::F c, s;
    S::unzip(S::load(row + 2 * i), S::load(row + 2 * i + S::width), c, s);
    S::store(head + i, S::fma(a, c, S::sub(S::set(-0.0f), S::mul(b, s))));
    S::store(head + half + i, S::fma(a, s, S::mul(b, c)));
  }
  for (; i < half; ++i) {
    const float a = head[i], b = head[half + i], c = row[2 * i], s = row[2 * i + 1];
    head[i] = S::fma1(a, c, -(b * s));
    head[half + i] = S::fma1(a, s, b * c);
  }
}

template <class S>
bool to_fp16(const float* x, std::size_t n, std::uint16_t* out) {
  unsigned bad = 0;
  for (std::size_t i = 0; i < n; i += S::width) {
    const std::size_t here = n - i < S::width ? n - i : S::width;
    std::uint16_t half[S::width];
    S::to_fp16(here == S::width ? S::load(x + i) : load_some<S>(x + i, here), half);
    for (std::uint16_t h : half) bad |= (h & 0x7c00u) == 0x7c00u;
    __builtin_memcpy(out + i, half, here * sizeof(std::uint16_t));
  }
  return bad == 0;
}

}  // namespace assay::engine::lanes
