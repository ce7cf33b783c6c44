// Unpacking of GGUF rows into panels, eight rows at a time.
#pragma once
#include "engine/kernels/lanes/product_x86.hpp"

namespace assay::engine::lanes {

// Sixteen-bit steps: bytes 0 and 2 of a quad, then (eight steps later) bytes 1 and 3.
template <class S>
[[gnu::always_inline]] inline __m256i even_bytes(__m256i quads) {
  return _mm256_srai_epi16(_mm256_slli_epi16(quads, 8), 8);
}

template <class S>
[[gnu::always_inline]] inline __m256i odd_bytes(__m256i quads) {
  return _mm256_srai_epi16(quads, 8);
}

// The activations to multiply them with.
template <class S>
[[gnu::always_inline]] inline void prepare_pairs(const std::int8_t* q, int blocks,
                                                 std::int32_t* words) {
  for (int b = 0; b < blocks; ++b) {
    const __m256i v = load256<S>(q + 32 * b);
    store256<S>(words + 16 * b, even_bytes<S>(v));
    store256<S>(words + 16 * b + 8, odd_bytes<S>(v));
  }
}

// -128 times the sum of a block: what multiplying with activations + 128 adds too much.
template <class S>
[[gnu::always_inline]] inline __m256i start_of(const __m256i (&quads)[8]) {
  const __m256i ones8 = _mm256_set1_epi8(1), ones16 = _mm256_set1_epi16(1);
  __m256i sum = _mm256_setzero_si256();
#pragma GCC unroll 8
  for (int k = 0; k < 8; ++k)
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(ones8, quads[k]));  // |sum| ≤ 8 · 256
  return _mm256_slli_epi32(_mm256_sub_epi32(_mm256_setzero_si256(), _mm256_madd_epi16(sum, ones16)),
                           7);
}

template <class S, class Values>
[[gnu::always_inline]] inline void unpack_blocks_of(const UnitRows& rows, std::size_t first_block,
                                                    int blocks, std::size_t block_bytes,
                                                    BlockPanel& panel, Values values) {
  for (std::uint32_t row = 0; row < rows.count; row += 8)
    for (int b = 0; b < blocks; ++b) {
      const std::size_t offset = (first_block + b) * block_bytes;
      __m256i q[8];
#pragma GCC unroll 8
      for (std::uint32_t i = 0; i < 8; ++i) {
        if (rows.ahead != 0) prefetch(rows.row[row + i] + offset, rows.ahead);
        q[i] = values(rows.row[row + i] + offset);
      }
      transpose8<S>(q);
#pragma GCC unroll 8
      for (int k = 0; k < 8; ++k)
        if constexpr (S::block_steps == 16) {
          store256<S>(&panel.steps[16 * b + k][row], even_bytes<S>(q[k]));
          store256<S>(&panel.steps[16 * b + 8 + k][row], odd_bytes<S>(q[k]));
        } else {
          store256<S>(&panel.steps[8 * b + k][row], q[k]);
        }
      if constexpr (S::starts) store256<S>(&panel.start[b][row], start_of<S>(q));
      _mm256_storeu_ps(&panel.scale[b][row], halves_of_rows<S>(rows, row, offset));
    }
}

template <class S>
void unpack_blocks(canon::Format format, const UnitRows& rows, std::size_t first_block, int blocks,
                   BlockPanel& panel) {
  if (format == canon::Format::q8_0)
    unpack_blocks_of<S>(rows, first_block, blocks, 34, panel, values_q8_0<S>);
  else
    unpack_blocks_of<S>(rows, first_block, blocks, 18, panel, values_q4_0<S>);
}

template <class S, class K>
void unpack_super(const UnitRows& rows, std::size_t superblock, SuperPanel& panel) {
  using Layout = SuperLayout<S, K>;
  const std::size_t offset = superblock * K::bytes;
  for (std::uint32_t row = 0; row < rows.count; row += 8) {
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
      __m256i q[8];
#pragma GCC unroll 8
      for (std::uint32_t i = 0; i < 8; ++i) {
        const std::uint8_t* block = rows.row[row + i] + offset;
        if (rows.ahead != 0 && 64 * j < static_cast<int>(K::bytes))
          prefetch(block + 64 * j, rows.ahead);
        q[i] = Layout::values(block, j);
      }
      transpose8<S>(q);
#pragma GCC unroll 8
      for (int k = 0; k < 8; ++k) store256<S>(&panel.quads[8 * j + k][row], q[k]);
    }
    const Heads h = heads_of_rows<S, K>(rows, row, offset);
#pragma GCC unroll 16
    for (int g = 0; g < K::groups; ++g) store256<S>(&panel.scales[g][row], scale_pairs<S, K>(h, g));
#pragma GCC unroll 8
    for (int i = 0; i < K::sum_steps; ++i)
      store256<S>(&panel.sum_weights[i][row], sum_weight_pairs<S, K>(h, i));
    _mm256_storeu_ps(&panel.d[row], h.d);
    if constexpr (K::has_mins) _mm256_storeu_ps(&panel.dmin[row], h.dmin);
  }
}

// Eight columns of a row as floats.
template <class S>
[[gnu::always_inline]] inline __m256i plain_values(canon::Format format, const std::uint8_t* row,
                                                   std::size_t column) {
  if (format == canon::Format::f32) return load256<S>(row + 4 * column);
  const __m128i halves = load128<S>(row + 2 * column);
  if (format == canon::Format::f16) return _mm256_castps_si256(_mm256_cvtph_ps(halves));
  return _mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16);
}

template <class S>
void unpack_plain(canon::Format format, const UnitRows& rows, std::size_t column, int columns,
                  PlainPanel& panel) {
  const std::size_t bytes = format == canon::Format::f32 ? 4 : 2;
  for (std::uint32_t row = 0; row < rows.count; row += 8)
    for (int c = 0; c < columns; c += 8) {
      __m256i q[8];
      const int here = columns - c < 8 ? columns - c : 8;
#pragma GCC unroll 8
      for (std::uint32_t i = 0; i < 8; ++i) {
        const std::uint8_t* p = rows.row[row + i] + (column + c) * bytes;
        alignas(32) std::uint8_t last[32] = {};
        if (here < 8) {
          for (std::size_t j = 0; j < here * bytes; ++j) last[j] = p[j];
          p = last;
        }
        q[i] = plain_values<S>(format, p, 0);
      }
      transpose8<S>(q);
      for (int k = 0; k < here; ++k) store256<S>(&panel.values[c + k][row], q[k]);
    }
}

}  // namespace assay::engine::lanes
