// 256-bit pieces that AVX2 and AVX-512 share: how blocks of GGUF rows become integers, and
// transposes between rows and lanes. Templates over the lane set S, so that each object keeps its
// own copy.
#pragma once
#include <immintrin.h>

#include "engine/kernels/lanes/product.hpp"

namespace assay::engine::lanes {

template <class S>
[[gnu::always_inline]] inline __m256i load256(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}

template <class S>
[[gnu::always_inline]] inline __m128i load128(const void* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}

template <class S>
[[gnu::always_inline]] inline void store256(void* p, __m256i v) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), v);
}

template <class S>
[[gnu::always_inline]] inline __m256i join(__m128i low, __m128i high) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

// Keeps the compiler from turning a running sum into a tree, which needs more registers than there
// are.
template <class S>
[[gnu::always_inline]] inline void keep(__m256i& v) {
  asm("" : "+x"(v));
}

// Dword k of row r becomes dword r of vector k.
template <class S>
[[gnu::always_inline]] inline void transpose8(__m256i (&r)[8]) {
  __m256i a[8], b[8];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm256_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    a[2 * i + 1] = _mm256_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    b[4 * i] = _mm256_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
    b[4 * i + 1] = _mm256_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
    b[4 * i + 2] = _mm256_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
    b[4 * i + 3] = _mm256_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm256_permute2x128_si256(b[i], b[4 + i], 0x20);
    r[4 + i] = _mm256_permute2x128_si256(b[i], b[4 + i], 0x31);
  }
}

// Sixteen bytes of eight rows; dword k of row r becomes dword r of vector k.
template <class S>
[[gnu::always_inline]] inline void transpose4(const UnitRows& rows, std::uint32_t first,
                                              std::size_t offset, __m256i (&out)[4]) {
  __m256i r[4];
#pragma GCC unroll 4
  for (std::uint32_t i = 0; i < 4; ++i)
    r[i] = join<S>(load128<S>(rows.row[first + i] + offset),
                   load128<S>(rows.row[first + 4 + i] + offset));
  const __m256i a = _mm256_unpacklo_epi32(r[0], r[1]), b = _mm256_unpackhi_epi32(r[0], r[1]),
                c = _mm256_unpacklo_epi32(r[2], r[3]), d = _mm256_unpackhi_epi32(r[2], r[3]);
  out[0] = _mm256_unpacklo_epi64(a, c);
  out[1] = _mm256_unpackhi_epi64(a, c);
  out[2] = _mm256_unpacklo_epi64(b, d);
  out[3] = _mm256_unpackhi_epi64(b, d);
}

// Lane r: the sum of the eight dwords of m[r].
template <class S>
[[gnu::always_inline]] inline __m256i sum_rows(const __m256i (&m)[8]) {
  const __m256i a = _mm256_hadd_epi32(m[0], m[1]), b = _mm256_hadd_epi32(m[2], m[3]),
                c = _mm256_hadd_epi32(m[4], m[5]), d = _mm256_hadd_epi32(m[6], m[7]);
  const __m256i low = _mm256_hadd_epi32(a, b), high = _mm256_hadd_epi32(c, d);
  return _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20),
                          _mm256_permute2x128_si256(low, high, 0x31));
}

// A binary16 of eight rows as floats.
template <class S>
[[gnu::always_inline]] inline __m256 halves_of_rows(const UnitRows& rows, std::uint32_t first,
                                                    std::size_t offset) {
  std::int16_t h[8];
#pragma GCC unroll 8
  for (std::uint32_t i = 0; i < 8; ++i) __builtin_memcpy(&h[i], rows.row[first + i] + offset, 2);
  return _mm256_cvtph_ps(_mm_setr_epi16(h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]));
}

// The 32 signed values of a block.
template <class S>
[[gnu::always_inline]] inline __m256i values_q8_0(const std::uint8_t* block) {
  return load256<S>(block + 2);
}

template <class S>
[[gnu::always_inline]] inline __m256i values_q4_0(const std::uint8_t* block) {
  const __m128i packed = load128<S>(block + 2);
  const __m256i nibbles =
      _mm256_and_si256(join<S>(packed, _mm_srli_epi16(packed, 4)), _mm256_set1_epi8(15));
  return _mm256_sub_epi8(nibbles, _mm256_set1_epi8(8));
}

// Layout of a superblock: the unsigned values [32 j, 32 j + 32), and where the head is.
template <class S>
[[gnu::always_inline]] inline __m256i nibbles(__m256i packed, bool high) {
  return _mm256_and_si256(high ? _mm256_srli_epi16(packed, 4) : packed, _mm256_set1_epi8(15));
}

template <class S, class K>
struct SuperLayout;

template <class S>
struct SuperLayout<S, Q4K> {
  static constexpr std::size_t head = 0;
  [[gnu::always_inline]] static __m256i values(const std::uint8_t* block, int j) {
    return nibbles<S>(load256<S>(block + 16 + 32 * (j / 2)), j % 2 != 0);
  }
};

template <class S>
struct SuperLayout<S, Q5K> {
  static constexpr std::size_t head = 0;
  [[gnu::always_inline]] static __m256i values(const std::uint8_t* block, int j) {
    const __m256i bits = _mm256_srl_epi16(load256<S>(block + 16), _mm_cvtsi32_si128(j));
    const __m256i bit4 = _mm256_slli_epi16(_mm256_and_si256(bits, _mm256_set1_epi8(1)), 4);
    return _mm256_or_si256(nibbles<S>(load256<S>(block + 48 + 32 * (j / 2)), j % 2 != 0), bit4);
  }
};

template <class S>
struct SuperLayout<S, Q6K> {
  static constexpr std::size_t head = 192;
  [[gnu::always_inline]] static __m256i values(const std::uint8_t* block, int j) {
    const int half = j / 4, i = j % 4;
    const __m256i low = load256<S>(block + 64 * half + 32 * (i % 2));
    const __m256i bits =
        _mm256_srl_epi16(load256<S>(block + 128 + 32 * half), _mm_cvtsi32_si128(2 * i));
    const __m256i high = _mm256_slli_epi16(_mm256_and_si256(bits, _mm256_set1_epi8(3)), 4);
    return _mm256_or_si256(nibbles<S>(low, i >= 2), high);
  }
};

// Scales and minimums of eight rows' superblocks. Q4_K, Q5_K: in a lane the bytes of groups 0…3 and
// 4…7. Q6_K: scales of groups 4 i … 4 i + 3 in scales[i].
struct Heads {
  __m256i scales[4], mins[2];
  __m256 d, dmin;
};

template <class S>
[[gnu::always_inline]] inline __m256 low_halves(__m256i dwords) {
  const __m256i clean = _mm256_and_si256(dwords, _mm256_set1_epi32(0xffff));
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(clean, clean), 0x08);
  return _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
}

template <class S, class K>
[[gnu::always_inline]] inline Heads heads_of_rows(const UnitRows& rows, std::uint32_t first,
                                                  std::size_t offset) {
  Heads h;
  __m256i v[4];
  transpose4<S>(rows, first, offset + SuperLayout<S, K>::head, v);
  if constexpr (K::has_mins) {
    const __m256i six = _mm256_set1_epi8(63), four = _mm256_set1_epi8(15),
                  top = _mm256_set1_epi8(0x30);
    h.d = low_halves<S>(v[0]);
    h.dmin = low_halves<S>(_mm256_srli_epi32(v[0], 16));
    h.scales[0] = _mm256_and_si256(v[1], six);
    h.mins[0] = _mm256_and_si256(v[2], six);
    h.scales[1] = _mm256_or_si256(_mm256_and_si256(v[3], four),
                                  _mm256_and_si256(_mm256_srli_epi16(v[1], 2), top));
    h.mins[1] = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(v[3], 4), four),
                                _mm256_and_si256(_mm256_srli_epi16(v[2], 2), top));
  } else {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) h.scales[i] = v[i];
    h.d = halves_of_rows<S>(rows, first, offset + 208);
  }
  return h;
}

// Bytes i and j of every lane as int16, for unsigned and for signed bytes.
template <class S>
[[gnu::always_inline]] inline __m256i byte_pairs(__m256i v, int i, int j) {
  const int four = i | 0x80 << 8 | j << 16 | static_cast<int>(0x80u << 24);
  const __m256i pick = _mm256_add_epi8(
      _mm256_set1_epi32(four), _mm256_setr_epi8(0, 0, 0, 0, 4, 0, 4, 0, 8, 0, 8, 0, 12, 0, 12, 0, 0,
                                                0, 0, 0, 4, 0, 4, 0, 8, 0, 8, 0, 12, 0, 12, 0));
  return _mm256_shuffle_epi8(v, pick);
}

template <class S>
[[gnu::always_inline]] inline __m256i signed_byte_pairs(__m256i v, int i, int j) {
  return _mm256_srai_epi16(_mm256_slli_epi16(byte_pairs<S>(v, i, j), 8), 8);
}

template <class S, class K>
[[gnu::always_inline]] inline __m256i scale_pairs(const Heads& h, int group) {
  const __m256i v = h.scales[group / 4];
  return K::has_mins ? byte_pairs<S>(v, group % 4, group % 4)
                     : signed_byte_pairs<S>(v, group % 4, group % 4);
}

template <class S, class K>
[[gnu::always_inline]] inline __m256i sum_weight_pairs(const Heads& h, int i) {
  const int byte = 2 * i % 4;
  return K::has_mins ? byte_pairs<S>(h.mins[i / 2], byte, byte + 1)
                     : signed_byte_pairs<S>(h.scales[i / 2], byte, byte + 1);
}

template <class S, class K>
void sums_of_groups(const std::int16_t* sums, std::int32_t* pairs) {
  const __m256i all = load256<S>(sums);
  if constexpr (K::has_mins) {
    // |sum of 32| ≤ 4064: packing does not saturate.
    const __m256i wide = _mm256_madd_epi16(all, _mm256_set1_epi16(1));
    const __m128i packed =
        _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(pairs), packed);
  } else {
    store256<S>(pairs, all);
  }
}

}  // namespace assay::engine::lanes
