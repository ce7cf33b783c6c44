// Exactly the AVX-512 intrinsics that this folder uses, in plain C++, so that the same sources run
// in tests on machines without AVX-512 (emulated_testutil.cpp). Source of the semantics: Intel's
// Intrinsics Guide. Every operation is a template over the width, so that emulation_test.cpp can
// hold its 256-bit form against the real instruction.
#pragma once
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "canon/fp16.hpp"

namespace assay::engine::emulation {

template <class Tag, std::size_t bytes>
struct alignas(bytes) Vector {
  unsigned char memory[bytes];
};
template <std::size_t bytes>
using Floats = Vector<float, bytes>;
template <std::size_t bytes>
using Ints = Vector<int, bytes>;

template <class T, class Tag, std::size_t bytes>
std::array<T, bytes / sizeof(T)> get(const Vector<Tag, bytes>& v) {
  return std::bit_cast<std::array<T, bytes / sizeof(T)>>(v.memory);
}
template <class V, class T, std::size_t n>
V put(const std::array<T, n>& lanes) {
  static_assert(sizeof(V) == sizeof lanes);
  V v;
  std::memcpy(v.memory, lanes.data(), sizeof v.memory);
  return v;
}

// result[i] = f(a[i], …) over lanes of T.
template <class T, class V, class Function, class... Vs>
V each(Function f, const V& first, const Vs&... others) {
  auto out = get<T>(first);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = f(get<T>(first)[i], get<T>(others)[i]...);
  return put<V>(out);
}

template <class V, class T>
V broadcast(T value) {
  std::array<T, sizeof(V) / sizeof(T)> lanes;
  lanes.fill(value);
  return put<V>(lanes);
}
template <class V>
V load(const void* p) {
  V v;
  std::memcpy(v.memory, p, sizeof v.memory);
  return v;
}
template <class V>
void store(void* p, const V& v) {
  std::memcpy(p, v.memory, sizeof v.memory);
}

template <std::size_t n>
Ints<n> bits(const Floats<n>& a) {
  return std::bit_cast<Ints<n>>(a);
}
template <std::size_t n>
Floats<n> floats(const Ints<n>& a) {
  return std::bit_cast<Floats<n>>(a);
}

template <class V>
V add_ps(const V& a, const V& b) {
  return each<float>([](float x, float y) { return x + y; }, a, b);
}
template <class V>
V sub_ps(const V& a, const V& b) {
  return each<float>([](float x, float y) { return x - y; }, a, b);
}
template <class V>
V mul_ps(const V& a, const V& b) {
  return each<float>([](float x, float y) { return x * y; }, a, b);
}
template <class V>
V div_ps(const V& a, const V& b) {
  return each<float>([](float x, float y) { return x / y; }, a, b);
}
// The second operand if either is NaN or both are zeros.
template <class V>
V max_ps(const V& a, const V& b) {
  return each<float>([](float x, float y) { return x > y ? x : y; }, a, b);
}
template <class V>
V abs_ps(const V& a) {
  return each<std::uint32_t>([](std::uint32_t x) { return x & 0x7fffffffu; }, a);
}
template <class V>
V fmadd_ps(const V& a, const V& b, const V& c) {
  return each<float>([](float x, float y, float z) { return std::fma(x, y, z); }, a, b, c);
}
template <class V>
V fnmadd_ps(const V& a, const V& b, const V& c) {
  return each<float>([](float x, float y, float z) { return std::fma(-x, y, z); }, a, b, c);
}
// a·b − c in even lanes, a·b + c in odd ones.
template <class V>
V fmaddsub_ps(const V& a, const V& b, const V& c) {
  auto out = get<float>(a);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const float z = get<float>(c)[i];
    out[i] = std::fma(out[i], get<float>(b)[i], i % 2 == 0 ? -z : z);
  }
  return put<V>(out);
}

template <class V>
V permuted(const V& a, std::size_t (*from)(std::size_t)) {
  const auto in = get<std::uint32_t>(a);
  auto out = in;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = in[from(i)];
  return put<V>(out);
}
template <class V>
V moveldup_ps(const V& a) {
  return permuted(a, [](std::size_t i) { return i & ~std::size_t{1}; });
}
template <class V>
V movehdup_ps(const V& a) {
  return permuted(a, [](std::size_t i) { return i | 1; });
}
// Within each 128 bits; two bits of the immediate per lane.
template <int immediate, class V>
V permute_ps(const V& a) {
  return permuted(
      a, [](std::size_t i) { return (i & ~std::size_t{3}) | ((immediate >> (i % 4 * 2)) & 3); });
}
// The lane of a (or, with the bit above the lane number set, of b) that the index names.
template <class V, class Index>
V permutex2var_ps(const V& a, const Index& index, const V& b) {
  const auto x = get<float>(a), y = get<float>(b);
  const auto from = get<std::uint32_t>(index);
  auto out = x;
  constexpr std::size_t n = sizeof(V) / 4;
  for (std::size_t i = 0; i < n; ++i) out[i] = from[i] & n ? y[from[i] % n] : x[from[i] % n];
  return put<V>(out);
}

template <class V, class Function>
std::uint32_t mask_of(const V& a, const V& b, Function f) {
  std::uint32_t mask = 0;
  for (std::size_t i = 0; i < sizeof(V) / 4; ++i)
    if (f(get<std::uint32_t>(a)[i], get<std::uint32_t>(b)[i])) mask |= 1u << i;
  return mask;
}
template <class V>
std::uint32_t cmpeq_epi32(const V& a, const V& b) {
  return mask_of(a, b, [](std::uint32_t x, std::uint32_t y) { return x == y; });
}
// _CMP_GE_OQ, the only predicate in use. Ordered: false if either is NaN.
template <int predicate, class V>
std::uint32_t cmp_ps(const V& a, const V& b) {
  static_assert(predicate == 0x1d);
  return mask_of(a, b, [](std::uint32_t x, std::uint32_t y) {
    return std::bit_cast<float>(x) >= std::bit_cast<float>(y);
  });
}
// b's lane where the mask is set, else a's.
template <class V>
V mask_mov_ps(const V& a, std::uint32_t mask, const V& b) {
  auto out = get<std::uint32_t>(a);
  for (std::size_t i = 0; i < out.size(); ++i)
    if (mask >> i & 1) out[i] = get<std::uint32_t>(b)[i];
  return put<V>(out);
}

template <class V>
V add_epi16(const V& a, const V& b) {
  return each<std::uint16_t>(
      [](std::uint16_t x, std::uint16_t y) { return static_cast<std::uint16_t>(x + y); }, a, b);
}
template <class V>
V add_epi32(const V& a, const V& b) {
  return each<std::uint32_t>([](std::uint32_t x, std::uint32_t y) { return x + y; }, a, b);
}
template <class V>
V sub_epi32(const V& a, const V& b) {
  return each<std::uint32_t>([](std::uint32_t x, std::uint32_t y) { return x - y; }, a, b);
}
// The low 32 bits of the product.
template <class V>
V mullo_epi32(const V& a, const V& b) {
  return each<std::uint32_t>([](std::uint32_t x, std::uint32_t y) { return x * y; }, a, b);
}
template <class V>
V and_si(const V& a, const V& b) {
  return each<std::uint32_t>([](std::uint32_t x, std::uint32_t y) { return x & y; }, a, b);
}
template <class V>
V slli_epi32(const V& a, unsigned count) {
  return each<std::uint32_t>([&](std::uint32_t x) { return count > 31 ? 0 : x << count; }, a);
}
template <class V>
V srai_epi32(const V& a, unsigned count) {
  return each<std::int32_t>([&](std::int32_t x) { return x >> (count > 31 ? 31 : count); }, a);
}

template <class V>
V srli_epi16(const V& a, unsigned count) {
  return each<std::uint16_t>(
      [&](std::uint16_t x) { return static_cast<std::uint16_t>(count > 15 ? 0 : x >> count); }, a);
}
template <class V>
V sllv_epi16(const V& a, const V& counts) {
  return each<std::uint16_t>(
      [](std::uint16_t x, std::uint16_t n) {
        return static_cast<std::uint16_t>(n > 15 ? 0 : x << n);
      },
      a, counts);
}
template <class V>
V srlv_epi16(const V& a, const V& counts) {
  return each<std::uint16_t>(
      [](std::uint16_t x, std::uint16_t n) {
        return static_cast<std::uint16_t>(n > 15 ? 0 : x >> n);
      },
      a, counts);
}
// Bit 4 a + 2 b + c of the table.
template <int table, class V>
V ternarylogic(const V& a, const V& b, const V& c) {
  return each<std::uint32_t>(
      [](std::uint32_t x, std::uint32_t y, std::uint32_t z) {
        std::uint32_t out = 0;
        for (unsigned i = 0; i < 8; ++i)
          if (table >> i & 1) out |= (i & 4 ? x : ~x) & (i & 2 ? y : ~y) & (i & 1 ? z : ~z);
        return out;
      },
      a, b, c);
}
// Bytes of the same 128 bits; +0 where the top bit of the index is set.
template <class V>
V shuffle_epi8(const V& a, const V& index) {
  const auto in = get<std::uint8_t>(a), from = get<std::uint8_t>(index);
  auto out = in;
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = from[i] & 0x80 ? std::uint8_t{0} : in[i / 16 * 16 + from[i] % 16];
  return put<V>(out);
}
template <class V>
V permutexvar_epi16(const V& index, const V& a) {
  const auto in = get<std::uint16_t>(a), from = get<std::uint16_t>(index);
  auto out = in;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = in[from[i] % out.size()];
  return put<V>(out);
}
// Half number `which`; b in its place.
template <std::size_t n>
Ints<n / 2> half(const Ints<n>& a, int which) {
  return load<Ints<n / 2>>(a.memory + which * (n / 2));
}
template <std::size_t n>
Ints<2 * n> with_half(Ints<2 * n> a, const Ints<n>& b, int which) {
  store(a.memory + which * n, b);
  return a;
}

// Pairs of products of int16; the sum wraps (only −32768 four times does).
template <class V>
V madd_epi16(const V& a, const V& b) {
  const auto x = get<std::int16_t>(a), y = get<std::int16_t>(b);
  std::array<std::uint32_t, sizeof(V) / 4> out;
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::uint32_t>(x[2 * i] * y[2 * i]) +
             static_cast<std::uint32_t>(x[2 * i + 1] * y[2 * i + 1]);
  return put<V>(out);
}
// Pairs of products of unsigned a with signed b, saturated to int16.
template <class V>
V maddubs_epi16(const V& a, const V& b) {
  const auto x = get<std::uint8_t>(a);
  const auto y = get<std::int8_t>(b);
  std::array<std::int16_t, sizeof(V) / 2> out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int sum = x[2 * i] * y[2 * i] + x[2 * i + 1] * y[2 * i + 1];
    out[i] = static_cast<std::int16_t>(sum > 32767 ? 32767 : sum < -32768 ? -32768 : sum);
  }
  return put<V>(out);
}
// sum + four products of unsigned a with signed b, wrapping.
template <class V>
V dpbusd_epi32(const V& sum, const V& a, const V& b) {
  const auto x = get<std::uint8_t>(a);
  const auto y = get<std::int8_t>(b);
  auto out = get<std::uint32_t>(sum);
  for (std::size_t i = 0; i < 4 * out.size(); ++i)
    out[i / 4] += static_cast<std::uint32_t>(x[i] * y[i]);
  return put<V>(out);
}

template <class V>
V dpwssd_epi32(const V& sum, const V& a, const V& b) {
  const auto x = get<std::int16_t>(a), y = get<std::int16_t>(b);
  auto out = get<std::uint32_t>(sum);
  for (std::size_t i = 0; i < 2 * out.size(); ++i)
    out[i / 2] += static_cast<std::uint32_t>(x[i] * y[i]);
  return put<V>(out);
}

template <std::size_t n>
Floats<n> cvtepi32_ps(const Ints<n>& a) {
  auto out = get<float>(a);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(get<std::int32_t>(a)[i]);
  return put<Floats<n>>(out);
}
template <std::size_t n>
Floats<2 * n> cvtph_ps(const Ints<n>& a) {
  std::array<float, n / 2> out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = canon::from_fp16(get<std::uint16_t>(a)[i]);
  return put<Floats<2 * n>>(out);
}
// To nearest even, the only rounding in use.
template <int rounding, std::size_t n>
Ints<n / 2> cvtps_ph(const Floats<n>& a) {
  static_assert(rounding == 0);
  std::array<std::uint16_t, n / 4> out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = canon::to_fp16(get<float>(a)[i]);
  return put<Ints<n / 2>>(out);
}

}  // namespace assay::engine::emulation
