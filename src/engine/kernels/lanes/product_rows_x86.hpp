// Few tokens: straight from the GGUF rows, each byte of which is read once. Eight rows give exact
// integer sums, which then become lanes for the chain of floats.
#pragma once
#include "engine/kernels/lanes/product.hpp"
#include "engine/kernels/lanes/product_x86.hpp"

namespace assay::engine::lanes {

template <class S>
[[gnu::always_inline]] inline void store_total(float* y, std::uint32_t rows, __m256 total) {
  if (rows >= 8) return _mm256_storeu_ps(y, total);
  float buffer[8];
  _mm256_storeu_ps(buffer, total);
  for (std::uint32_t i = 0; i < rows; ++i) y[i] = buffer[i];
}

// A block of 32 weights of one row with one token's, as eight int32 that add up to their product.
// Lane sets with other instructions specialize it. |w| ≤ 128 as unsigned times x, within ±127, with
// the sign of w: pairs stay within int16.
template <class S>
struct RowBlock {
  __m256i signed_w, magnitude;
  [[gnu::always_inline]] static RowBlock of(__m256i w) { return {w, _mm256_abs_epi8(w)}; }
  // A token's values as they multiply, and what each of its products begins with.
  [[gnu::always_inline]] static __m256i token(const std::int8_t* q) { return load256<S>(q); }
  [[gnu::always_inline]] static __m256i start(__m256i) { return _mm256_setzero_si256(); }
  [[gnu::always_inline]] __m256i times(__m256i x, __m256i) const {
    return _mm256_madd_epi16(_mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(x, signed_w)),
                             _mm256_set1_epi16(1));
  }
  // sum + the products of 32 unsigned weights, scaled by int16 a pair.
  [[gnu::always_inline]] static __m256i add_scaled(__m256i sum, __m256i w, __m256i x,
                                                   __m256i scale) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), scale));
  }
};

template <class S, int T, class Values>
[[gnu::always_inline]] inline void block_rows(const UnitRows& rows, std::size_t ahead,
                                              std::size_t block_bytes, std::size_t cols,
                                              const Activations& a, float* y, std::size_t y_stride,
                                              Values values) {
  const std::size_t blocks = cols / kBlockColumns;
  __m256 total[T];
#pragma GCC unroll 4
  for (int t = 0; t < T; ++t) total[t] = _mm256_setzero_ps();
  for (std::size_t begin = 0; begin < blocks; begin += kBlocksPerSegment) {
    const std::size_t end = begin + kBlocksPerSegment < blocks ? begin + kBlocksPerSegment : blocks;
    const std::size_t place = begin / kBlocksPerSegment * a.tokens;
    __m256 acc[T];
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) acc[t] = _mm256_setzero_ps();
    for (std::size_t b = begin; b < end; ++b) {
      const std::size_t offset = b * block_bytes;
      __m256i m[T][8], x[T], start[T];
#pragma GCC unroll 4
      for (int t = 0; t < T; ++t) {
        x[t] =
            RowBlock<S>::token(a.q8 + (place + t) * kSegmentColumns + (b - begin) * kBlockColumns);
        start[t] = RowBlock<S>::start(x[t]);
      }
#pragma GCC unroll 8
      for (std::uint32_t r = 0; r < 8; ++r) {
        const std::uint8_t* block = rows.row[r] + offset;
        prefetch(block, ahead);
        const auto w = RowBlock<S>::of(values(block));
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) m[t][r] = w.times(x[t], start[t]);
      }
      const __m256 dw = halves_of_rows<S>(rows, 0, offset);
#pragma GCC unroll 4
      for (int t = 0; t < T; ++t)
        acc[t] = _mm256_fmadd_ps(
            _mm256_cvtepi32_ps(sum_rows<S>(m[t])),
            _mm256_mul_ps(dw,
                          _mm256_set1_ps(a.q8_scale[(place + t) * kBlocksPerSegment + b - begin])),
            acc[t]);
    }
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) total[t] = _mm256_add_ps(total[t], acc[t]);
  }
#pragma GCC unroll 4
  for (int t = 0; t < T; ++t) store_total<S>(y + t * y_stride, rows.count, total[t]);
}

template <class S, int how>
[[gnu::always_inline]] inline __m256i shuffle_dwords(__m256i a, __m256i b) {
  return _mm256_castps_si256(
      _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), how));
}

// sum_rows with blends in the place of shuffles where that is possible: they run on any port, and
// hadd takes four of two.
template <class S>
[[gnu::always_inline]] inline __m256i blended_sums(const __m256i (&m)[8]) {
  __m256i pair[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    pair[i] = _mm256_add_epi32(_mm256_blend_epi32(m[2 * i], m[2 * i + 1], 0xcc),
                               shuffle_dwords<S, 0x4e>(m[2 * i], m[2 * i + 1]));
  const __m256i low = _mm256_add_epi32(shuffle_dwords<S, 0x88>(pair[0], pair[1]),
                                       shuffle_dwords<S, 0xdd>(pair[0], pair[1])),
                high = _mm256_add_epi32(shuffle_dwords<S, 0x88>(pair[2], pair[3]),
                                        shuffle_dwords<S, 0xdd>(pair[2], pair[3]));
  return _mm256_add_epi32(_mm256_blend_epi32(low, high, 0xf0),
                          _mm256_permute2x128_si256(low, high, 0x21));
}

// Put together as words, which leaves the ports of the vectors to the products.
template <class S>
[[gnu::always_inline]] inline __m256 eight_halves(const std::uint16_t (&h)[8]) {
  const std::uint32_t a = h[0] | std::uint32_t{h[1]} << 16, b = h[2] | std::uint32_t{h[3]} << 16,
                      c = h[4] | std::uint32_t{h[5]} << 16, d = h[6] | std::uint32_t{h[7]} << 16;
  return _mm256_cvtph_ps(_mm_set_epi64x(static_cast<long long>(c | std::uint64_t{d} << 32),
                                        static_cast<long long>(a | std::uint64_t{b} << 32)));
}

// Rows so short that eight of them are little more than what is on its way from the cache at any
// time: they are asked for in the order of their lines, and their weights are not far.
inline constexpr std::size_t kShortRow = 1024;

// The only token and eight whole short rows, which lie a stride apart: few addresses to keep.
template <class S, class Values>
[[gnu::always_inline]] inline void block_rows_of_one(const std::uint8_t* block, std::size_t stride,
                                                     std::size_t block_bytes, std::size_t cols,
                                                     const Activations& a, float* y,
                                                     Values values) {
  const std::size_t blocks = cols / kBlockColumns;
  std::size_t three = 3 * stride;
  asm("" : "+r"(three));  // kept, not computed again
  const std::uint8_t* ahead = block + 8 * stride;
  __m256 total = _mm256_setzero_ps();
  for (std::size_t begin = 0; begin < blocks; begin += kBlocksPerSegment) {
    const std::size_t end = begin + kBlocksPerSegment < blocks ? begin + kBlocksPerSegment : blocks;
    __m256 acc = _mm256_setzero_ps();
    for (std::size_t b = begin; b < end; ++b) {
      const std::uint8_t* fourth = block + 4 * stride;
      asm("" : "+r"(fourth));
      const std::uint8_t* const row[8] = {
          block,  block + stride,  block + 2 * stride,  block + three,
          fourth, fourth + stride, fourth + 2 * stride, fourth + three};
      const __m256i x = RowBlock<S>::token(a.q8 + b * kBlockColumns), start = RowBlock<S>::start(x);
#pragma GCC unroll 5
      for (std::size_t line = 0; line < 5; ++line) __builtin_prefetch(ahead + 64 * line);
      __m256i m[8];
#pragma GCC unroll 8
      for (int r = 0; r < 8; ++r) m[r] = RowBlock<S>::of(values(row[r])).times(x, start);
      std::uint16_t h[8];
#pragma GCC unroll 8
      for (int r = 0; r < 8; ++r) __builtin_memcpy(&h[r], row[r], 2);
      acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(blended_sums<S>(m)),
                            _mm256_mul_ps(eight_halves<S>(h), _mm256_set1_ps(a.q8_scale[b])), acc);
      block += block_bytes;
      ahead += 8 * block_bytes;
    }
    total = _mm256_add_ps(total, acc);
  }
  _mm256_storeu_ps(y, total);
}

// The scales of one row, each as eight or sixteen int16 (group_scale).
template <class S, class K>
[[gnu::always_inline]] inline __m256i row_scales(const std::uint8_t* block,
                                                 const std::uint64_t* bytes) {
  if constexpr (K::has_mins)
    return _mm256_set1_epi64x(static_cast<long long>(*bytes));
  else {
    const __m128i s = load128<S>(block + 192);
    return join<S>(_mm_srai_epi16(_mm_slli_epi16(s, 8), 8), _mm_srai_epi16(s, 8));
  }
}

// For values [32 j, 32 j + 32).
template <class S, class K>
[[gnu::always_inline]] inline __m256i group_scale(__m256i scales, int j) {
  if constexpr (K::has_mins)
    return _mm256_shuffle_epi8(scales, _mm256_set1_epi16(static_cast<short>(0x8000 | j)));
  else  // the low half of a lane set has groups 2 j, the high one 2 j + 1
    return _mm256_shuffle_epi8(scales,
                               _mm256_set1_epi16(static_cast<short>((2 * j + 1) << 8 | 2 * j)));
}

// The integer products of a superblock of eight rows with each token, scaled by their groups:
// eight int32 a row that add up to them. scales: of rows with minimums, eight bytes each. Lane sets
// with wider vectors specialize it.
template <class S, class K, int T>
struct SuperSums {
  [[gnu::always_inline]] static void of(const UnitRows& rows, std::size_t offset, std::size_t ahead,
                                        const std::uint64_t* scales, const std::int8_t* q,
                                        __m256i (&m)[T][8]) {
    using Layout = SuperLayout<S, K>;
#pragma GCC unroll 1
    for (std::uint32_t r = 0; r < 8; ++r) {
      __m256i sum[T];
      const std::uint8_t* block = rows.row[r] + offset;
#pragma GCC unroll 4
      for (std::size_t line = 0; line < K::bytes; line += 64) prefetch(block, ahead + line);
      const __m256i of_groups = row_scales<S, K>(block, &scales[r]);
#pragma GCC unroll 8
      for (int j = 0; j < 8; ++j) {
        const __m256i w = Layout::values(block, j), s = group_scale<S, K>(of_groups, j);
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) {
          const __m256i x = load256<S>(q + t * kSegmentColumns + 32 * j);
          sum[t] = RowBlock<S>::add_scaled(j == 0 ? _mm256_setzero_si256() : sum[t], w, x, s);
          keep<S>(sum[t]);
        }
      }
#pragma GCC unroll 4
      for (int t = 0; t < T; ++t) m[t][r] = sum[t];
    }
  }
};

template <class S, class K, int T>
[[gnu::always_inline]] inline void super_rows(const UnitRows& rows, std::size_t ahead,
                                              std::size_t cols, const Activations& a, float* y,
                                              std::size_t y_stride) {
  const std::size_t count = cols / kSegmentColumns;
  __m256 total[T];
#pragma GCC unroll 4
  for (int t = 0; t < T; ++t) total[t] = _mm256_setzero_ps();
  for (std::size_t b = 0; b < count; ++b) {
    const std::size_t offset = b * K::bytes;
    const Heads h = heads_of_rows<S, K>(rows, 0, offset);
    alignas(32) std::uint64_t bytes[8];
    if constexpr (K::has_mins) {
      const __m256i low = _mm256_unpacklo_epi32(h.scales[0], h.scales[1]),
                    high = _mm256_unpackhi_epi32(h.scales[0], h.scales[1]);
      store256<S>(bytes, _mm256_permute2x128_si256(low, high, 0x20));
      store256<S>(bytes + 4, _mm256_permute2x128_si256(low, high, 0x31));
    }
    __m256i m[T][8];
    const std::size_t place = b * a.tokens;
    SuperSums<S, K, T>::of(rows, offset, ahead, bytes, a.q8k + place * kSegmentColumns, m);
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) {
      std::int32_t pairs[8];
      sums_of_groups<S, K>(a.q8k_sums + (place + t) * (kSegmentColumns / 16), pairs);
      __m256i of_sums = _mm256_setzero_si256();
#pragma GCC unroll 8
      for (int i = 0; i < K::sum_steps; ++i)
        of_sums = _mm256_add_epi32(
            of_sums, _mm256_madd_epi16(sum_weight_pairs<S, K>(h, i), _mm256_set1_epi32(pairs[i])));
      const __m256 dx = _mm256_set1_ps(a.q8k_scale[place + t]);
      const __m256i isum = sum_rows<S>(m[t]);
      __m256 acc;
      if constexpr (K::has_mins) {
        acc =
            _mm256_fmadd_ps(_mm256_cvtepi32_ps(isum), _mm256_mul_ps(h.d, dx), _mm256_setzero_ps());
        acc = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(of_sums), _mm256_mul_ps(h.dmin, dx), acc);
      } else {
        acc = _mm256_fmadd_ps(
            _mm256_cvtepi32_ps(_mm256_sub_epi32(isum, _mm256_slli_epi32(of_sums, 5))),
            _mm256_mul_ps(h.d, dx), _mm256_setzero_ps());
      }
      total[t] = _mm256_add_ps(total[t], acc);
    }
  }
#pragma GCC unroll 4
  for (int t = 0; t < T; ++t) store_total<S>(y + t * y_stride, rows.count, total[t]);
}

template <class S, int T>
void rows_product(const Matrix& w, std::uint32_t begin, std::uint32_t end, const Activations& a,
                  float* y, std::size_t y_stride) {
  const std::size_t ahead = 8 * w.row_bytes;  // far enough for the memory, near enough for L2
  for (std::uint32_t row = begin; row < end; row += 8) {
    if constexpr (T == 1)
      if (w.format == canon::Format::q8_0 && w.row_bytes <= kShortRow && end - row >= 8 &&
          a.tokens == 1) {
        block_rows_of_one<S>(w.data + row * w.row_bytes, w.row_bytes, 34, w.cols, a, y + row,
                             values_q8_0<S>);
        continue;
      }
    UnitRows rows;
    find_rows<S>(w, row, end - row < 8 ? end - row : 8, 8, rows);
    float* out = y + row;
    switch (w.format) {
      case canon::Format::q8_0:
        block_rows<S, T>(rows, ahead, 34, w.cols, a, out, y_stride, values_q8_0<S>);
        break;
      case canon::Format::q4_0:
        block_rows<S, T>(rows, ahead, 18, w.cols, a, out, y_stride, values_q4_0<S>);
        break;
      case canon::Format::q4_k:
        super_rows<S, Q4K, T>(rows, ahead, w.cols, a, out, y_stride);
        break;
      case canon::Format::q5_k:
        super_rows<S, Q5K, T>(rows, ahead, w.cols, a, out, y_stride);
        break;
      case canon::Format::q6_k:
        super_rows<S, Q6K, T>(rows, ahead, w.cols, a, out, y_stride);
        break;
      default:
        break;
    }
  }
}

template <class S>
void few_tokens(const Matrix& w, std::uint32_t begin, std::uint32_t end, const Activations& a,
                std::uint32_t tokens, float* y, std::size_t y_stride) {
  switch (tokens) {
    case 1:
      return rows_product<S, 1>(w, begin, end, a, y, y_stride);
    case 2:
      return rows_product<S, 2>(w, begin, end, a, y, y_stride);
    case 3:
      return rows_product<S, 3>(w, begin, end, a, y, y_stride);
    default:
      return rows_product<S, 4>(w, begin, end, a, y, y_stride);
  }
}

}  // namespace assay::engine::lanes
