// Few tokens and K-quants (lanes/product_rows_x86.hpp) in vectors of 64 weights: a superblock of a
// row is four of them, and the activations stay in registers while eight rows pass.
#pragma once
#include "engine/kernels/avx512/product_lanes.hpp"

namespace assay::engine {
namespace {

__m512i joined(__m256i low, __m256i high) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}
// Words of the low and of the high half.
__m512i halves(int low, int high) {
  return joined(_mm256_set1_epi16(static_cast<short>(low)),
                _mm256_set1_epi16(static_cast<short>(high)));
}
__m512i load_twice(const std::uint8_t* p) {
  return _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
// Bits of a where the mask is set, else of b.
__m512i choose(__m512i mask, __m512i a, __m512i b) {
  return _mm512_ternarylogic_epi32(mask, a, b, 0xca);
}

// values: the unsigned quants, four vectors. block_of: which 32 of the superblock are the low and
// the high half of vector i.
template <class K>
struct WideLayout;

// Neighbouring blocks of 32 share their bytes, so a vector has every other block.
struct WideNibbles {
  static constexpr int block_of(int i, int half) { return i / 2 * 4 + i % 2 + 2 * half; }
};

template <>
struct WideLayout<lanes::Q4K> : WideNibbles {
  static void values(const std::uint8_t* block, __m512i (&w)[4]) {
    const __m512i four = halves(0x0f0f, 0x0f0f);
    for (int p = 0; p < 2; ++p) {
      const __m512i packed = _mm512_loadu_si512(block + 16 + 64 * p);
      w[2 * p] = _mm512_and_si512(packed, four);
      w[2 * p + 1] = _mm512_and_si512(_mm512_srli_epi16(packed, 4), four);
    }
  }
};

template <>
struct WideLayout<lanes::Q5K> : WideNibbles {
  static void values(const std::uint8_t* block, __m512i (&w)[4]) {
    const __m512i four = halves(0x0f0f, 0x0f0f), fifth = halves(0x1010, 0x1010);
    // Bit j of a byte belongs to block j.
    const __m512i bits = load_twice(block + 16);
    const __m512i top[4] = {
        _mm512_sllv_epi16(bits, halves(4, 2)), _mm512_sllv_epi16(bits, halves(3, 1)),
        _mm512_srlv_epi16(bits, halves(0, 2)), _mm512_srlv_epi16(bits, halves(1, 3))};
    for (int p = 0; p < 2; ++p) {
      const __m512i packed = _mm512_loadu_si512(block + 48 + 64 * p);
      w[2 * p] = choose(fifth, top[2 * p], _mm512_and_si512(packed, four));
      w[2 * p + 1] =
          choose(fifth, top[2 * p + 1], _mm512_and_si512(_mm512_srli_epi16(packed, 4), four));
    }
  }
};

template <>
struct WideLayout<lanes::Q6K> {
  static constexpr int block_of(int i, int half) { return 2 * i + half; }
  static void values(const std::uint8_t* block, __m512i (&w)[4]) {
    const __m512i four = halves(0x0f0f, 0x0f0f), six = halves(0x3f3f, 0x3f3f);
    for (int p = 0; p < 2; ++p) {
      const __m512i packed = _mm512_loadu_si512(block + 64 * p),
                    bits = load_twice(block + 128 + 32 * p);
      w[2 * p] = _mm512_and_si512(choose(four, packed, _mm512_sllv_epi16(bits, halves(4, 2))), six);
      w[2 * p + 1] = _mm512_and_si512(
          choose(four, _mm512_srli_epi16(packed, 4), _mm512_srlv_epi16(bits, halves(0, 2))), six);
    }
  }
};

// The int16 scale of every pair of vector i's products.
template <class K>
struct WideScales {
  __m512i all;
  static WideScales of(const std::uint8_t* block, const std::uint64_t* bytes) {
    if constexpr (K::has_mins)
      return {_mm512_set1_epi64(static_cast<long long>(*bytes))};
    else
      return {joined(
          _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 192))),
          _mm256_setzero_si256())};
  }
  __m512i vector(int i) const {
    using Layout = WideLayout<K>;
    if constexpr (K::has_mins)
      return _mm512_shuffle_epi8(
          all, halves(0x8000 | Layout::block_of(i, 0), 0x8000 | Layout::block_of(i, 1)));
    else {
      const __m256i eight = _mm256_setr_epi16(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
      const auto from = [&](int half) {
        return _mm256_add_epi16(
            eight, _mm256_set1_epi16(static_cast<short>(2 * Layout::block_of(i, half))));
      };
      return _mm512_permutexvar_epi16(joined(from(0), from(1)), all);
    }
  }
};

template <class S, class K, int T>
struct WideSums {
  [[gnu::always_inline]] static void of(const lanes::UnitRows& rows, std::size_t offset,
                                        std::size_t ahead, const std::uint64_t* scales,
                                        const std::int8_t* q, __m256i (&m)[T][8]) {
    using Layout = WideLayout<K>;
    __m512i x[T][4];
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t)
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i)
        x[t][i] =
            joined(lanes::load256<S>(q + t * lanes::kSegmentColumns + 32 * Layout::block_of(i, 0)),
                   lanes::load256<S>(q + t * lanes::kSegmentColumns + 32 * Layout::block_of(i, 1)));
#pragma GCC unroll 1
    for (std::uint32_t r = 0; r < 8; ++r) {
      const std::uint8_t* block = rows.row[r] + offset;
#pragma GCC unroll 4
      for (std::size_t line = 0; line < K::bytes; line += 64) lanes::prefetch(block, ahead + line);
      const auto of_groups = WideScales<K>::of(block, &scales[r]);
      __m512i w[4], sum[T];
      Layout::values(block, w);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const __m512i s = of_groups.vector(i);
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t)
          sum[t] = _mm512_dpwssd_epi32(i == 0 ? _mm512_setzero_si512() : sum[t],
                                       _mm512_maddubs_epi16(w[i], x[t][i]), s);
      }
#pragma GCC unroll 4
      for (int t = 0; t < T; ++t)
        m[t][r] =
            _mm256_add_epi32(_mm512_castsi512_si256(sum[t]), _mm512_extracti64x4_epi64(sum[t], 1));
    }
  }
};

}  // namespace
}  // namespace assay::engine
