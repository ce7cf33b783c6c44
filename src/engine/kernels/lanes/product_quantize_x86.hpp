// Q8 and Q8K activations (canon/q8.hpp, canon/q8k.hpp) in 256-bit vectors.
#pragma once
#include "engine/kernels/lanes/product_x86.hpp"

namespace assay::engine::lanes {

// The largest magnitude of n values, n a multiple of 8. Magnitudes of floats order as their bits
// do, NaN and infinity on top.
template <class S>
[[gnu::always_inline]] inline std::int32_t largest_magnitude(const float* x, int n) {
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  __m256i largest = _mm256_setzero_si256();
  for (int i = 0; i < n; i += 8)
    largest = _mm256_max_epi32(largest, _mm256_and_si256(load256<S>(x + i), magnitude));
  __m128i m = _mm_max_epi32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));
  return _mm_cvtsi128_si32(m);
}

// One scale for n values, a multiple of 32; false if it is not finite.
// q in memory is XOR flip.
template <class S, std::uint8_t flip>
[[gnu::always_inline]] inline bool quantize_values(const float* x, int n, std::int8_t* q,
                                                   float* scale) {
  const __m128i largest = _mm_cvtsi32_si128(largest_magnitude<S>(x, n));
  const __m128i half = _mm_cvtps_ph(_mm_div_ss(_mm_castsi128_ps(largest), _mm_set_ss(127.0f)),
                                    _MM_FROUND_TO_NEAREST_INT);
  if ((_mm_extract_epi16(half, 0) & 0x7c00) == 0x7c00) return false;
  const float d = _mm_cvtss_f32(_mm_cvtph_ps(half));
  const __m256i flipped = _mm256_set1_epi8(static_cast<char>(flip));
  *scale = d;
  if (d == 0.0f) {
    for (int i = 0; i < n; i += 32) store256<S>(q + i, flipped);
    return true;
  }
  const __m256 divisor = _mm256_set1_ps(d);
  for (int i = 0; i < n; i += 32) {
    __m256i r[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k)
      r[k] = _mm256_cvtps_epi32(_mm256_div_ps(_mm256_loadu_ps(x + i + 8 * k), divisor));
    // Packing saturates to 127 and -128; the latter is clamped, then lanes go back in order.
    const __m256i packed = _mm256_max_epi8(
        _mm256_packs_epi16(_mm256_packs_epi32(r[0], r[1]), _mm256_packs_epi32(r[2], r[3])),
        _mm256_set1_epi8(-127));
    const __m256i in_order =
        _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    store256<S>(q + i, _mm256_xor_si256(in_order, flipped));
  }
  return true;
}

template <class S>
bool quantize_q8(const float* x, std::size_t n, std::int8_t* q, float* scale) {
  for (std::size_t b = 0; b < n / 32; ++b)
    if (!quantize_values<S, S::q8_flip>(x + 32 * b, 32, q + 32 * b, scale + b)) return false;
  return true;
}

template <class S>
bool quantize_q8k(const float* x, std::size_t n, std::int8_t* q, float* scale, std::int16_t* sums) {
  const __m256i ones8 = _mm256_set1_epi8(1), ones16 = _mm256_set1_epi16(1);
  for (std::size_t b = 0; b < n / 256; ++b) {
    if (!quantize_values<S, 0>(x + 256 * b, 256, q + 256 * b, scale + b)) return false;
    for (int i = 0; i < 256; i += 128) {
      __m256i m[4];
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k)
        m[k] = _mm256_madd_epi16(_mm256_maddubs_epi16(ones8, load256<S>(q + 256 * b + i + 32 * k)),
                                 ones16);
      // A half of m[k] is a group of 16: dwords of the low halves, then of the high ones.
      const __m256i v =
          _mm256_hadd_epi32(_mm256_hadd_epi32(m[0], m[1]), _mm256_hadd_epi32(m[2], m[3]));
      const __m128i low = _mm256_castsi256_si128(v), high = _mm256_extracti128_si256(v, 1);
      const __m128i packed =
          _mm_packs_epi32(_mm_unpacklo_epi32(low, high), _mm_unpackhi_epi32(low, high));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(sums + 16 * b + i / 16), packed);
    }
  }
  return true;
}

}  // namespace assay::engine::lanes
