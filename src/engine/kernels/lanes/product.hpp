// y = W x for any vector width: rows in lanes, one segment of columns at a time, so that the totals
// in y receive segment sums in order. A lane set S of internal linkage provides, beside what the
// functions below name:
//   F, I           floats and int32, one lane per row; Partial: sums of K-quant quads
//   width          lanes; tile_vectors, tile_tokens: shape of the block kept in registers
//   block_steps    steps per block of 32 (product_panel.hpp); starts: BlockPanel::start is used
//   short_sums     Partial is int16 and obeys short_quads
//   takes_q8       blocks of activations multiply as they lie in memory, else
//   prepare        makes words of them, one per step
//   reads_rows     few tokens multiply straight from the rows
#pragma once
#include "engine/kernels/lanes/product_panel.hpp"

namespace assay::engine::lanes {

// Defined for x86 (product_unpack_x86.hpp, product_rows_x86.hpp) and in plain code
// (product_unpack.hpp).
template <class S>
void unpack_blocks(canon::Format format, const UnitRows& rows, std::size_t first_block, int blocks,
                   BlockPanel& panel);
template <class S, class K>
void unpack_super(const UnitRows& rows, std::size_t superblock, SuperPanel& panel);
template <class S>
void unpack_plain(canon::Format format, const UnitRows& rows, std::size_t column, int columns,
                  PlainPanel& panel);
// What multiplies sum_weights: sums of 16 activations for Q6_K, of 32 for the others.
template <class S, class K>
void sums_of_groups(const std::int16_t* sums, std::int32_t* pairs);
template <class S>
void few_tokens(const Matrix& w, std::uint32_t begin, std::uint32_t end, const Activations& a,
                std::uint32_t tokens, float* y, std::size_t y_stride);

inline constexpr std::uint32_t kFewTokens = 4;
inline constexpr std::uint32_t kSpreadTiles = 8;  // from which a segment is asked for between them

// Where segment sums are added: the totals of a unit lie side by side in the scratch until the last
// segment. In y they are as far from each other as the matrix has rows, often a power of two, which
// few places in a cache serve.
using Totals = float (*)[kUnit];  // [token][row of the unit]

template <class S>
[[gnu::always_inline]] inline void add_total(Totals totals, int token, int vector,
                                             typename S::F sum) {
  float* at = totals[token] + static_cast<std::size_t>(vector) * S::width;
  S::store(at, S::add(S::load(at), sum));
}

// From one token's words of a segment to the next one's.
template <class S>
inline constexpr std::size_t kWordsBytes =
    S::takes_q8 ? kSegmentColumns : 4 * kBlocksPerSegment * S::block_steps;

template <class S, int T>
[[gnu::always_inline]] inline void block_tile(const BlockPanel& panel, int vector, int blocks,
                                              const std::byte* words, const float* scale,
                                              Totals totals) {
  constexpr std::size_t words_stride = kWordsBytes<S>;
  constexpr int R = S::tile_vectors;
  typename S::F acc[R][T];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) acc[r][t] = S::zero();
  for (int b = 0; b < blocks; ++b) {
    typename S::I sum[R][T];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t)
        sum[r][t] =
            S::starts ? S::load_words(&panel.start[b][(vector + r) * S::width]) : S::zero_words();
#pragma GCC unroll 16
    for (int s = 0; s < S::block_steps; ++s) {
      typename S::I w[R];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
        w[r] = S::load_words(&panel.steps[b * S::block_steps + s][(vector + r) * S::width]);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        const typename S::I x =
            S::broadcast(words + t * words_stride + 4 * (b * S::block_steps + s));
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) S::block_step(sum[r][t], w[r], x);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const typename S::F dw = S::load(&panel.scale[b][(vector + r) * S::width]);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t)
        acc[r][t] = S::fma(S::to_float(sum[r][t]),
                           S::mul(dw, S::set(scale[t * kBlocksPerSegment + b])), acc[r][t]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) add_total<S>(totals, t, vector + r, acc[r][t]);
}

template <class S, class K, int T>
[[gnu::always_inline]] inline void super_tile(const SuperPanel& panel, int vector,
                                              const std::int8_t* q, const std::int32_t (*sums)[8],
                                              const float* scale, Totals totals) {
  constexpr int R = S::tile_vectors, quads = kQuads / K::groups;
  constexpr int run = S::short_sums ? K::short_quads : quads;
  typename S::I isum[R][T];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) isum[r][t] = S::zero_words();
  for (int group = 0; group < K::groups; ++group) {
#pragma GCC unroll 2
    for (int begin = group * quads; begin < (group + 1) * quads; begin += run) {
      typename S::Partial part[R][T];
#pragma GCC unroll 8
      for (int k = 0; k < run; ++k) {
        typename S::I w[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r)
          w[r] = S::load_words(&panel.quads[begin + k][(vector + r) * S::width]);
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) {
          const typename S::I x = S::broadcast(q + t * kSegmentColumns + 4 * (begin + k));
#pragma GCC unroll 8
          for (int r = 0; r < R; ++r)
            if (k == 0)
              part[r][t] = S::first_quad(w[r], x);
            else
              S::next_quad(part[r][t], w[r], x);
        }
      }
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const typename S::I s = S::load_words(&panel.scales[group][(vector + r) * S::width]);
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) S::add_scaled(isum[r][t], part[r][t], s);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const typename S::F d = S::load(&panel.d[(vector + r) * S::width]);
    typename S::I of_sums[T];
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) of_sums[t] = S::zero_words();
#pragma GCC unroll 8
    for (int i = 0; i < K::sum_steps; ++i) {
      const typename S::I w = S::load_words(&panel.sum_weights[i][(vector + r) * S::width]);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) S::pair_step(of_sums[t], w, S::broadcast(&sums[t][i]));
    }
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
      const typename S::F dx = S::set(scale[t]);
      typename S::F acc;
      if constexpr (K::has_mins) {
        const typename S::F dmin = S::load(&panel.dmin[(vector + r) * S::width]);
        acc = S::fma(S::to_float(isum[r][t]), S::mul(d, dx), S::zero());
        acc = S::negated_fma(S::to_float(of_sums[t]), S::mul(dmin, dx), acc);
      } else {
        acc = S::fma(S::to_float(S::minus_32_times(isum[r][t], of_sums[t])), S::mul(d, dx),
                     S::zero());
      }
      add_total<S>(totals, t, vector + r, acc);
    }
  }
}

template <class S, int T>
[[gnu::always_inline]] inline void plain_tile(const PlainPanel& panel, int vector, int columns,
                                              const float* x, std::size_t cols, Totals totals) {
  constexpr int R = S::tile_vectors;
  typename S::F acc[R][T];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) acc[r][t] = S::zero();
  for (int c = 0; c < columns; ++c) {
    typename S::F w[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) w[r] = S::load(&panel.values[c][(vector + r) * S::width]);
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
      const typename S::F v = S::set(x[t * cols + c]);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) acc[r][t] = S::fma(w[r], v, acc[r][t]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) add_total<S>(totals, t, vector + r, acc[r][t]);
}

// One unit of rows against tokens [token, tokens), T at a time and the rest in smaller tiles.
struct Work {
  const Matrix& w;
  const Activations& a;
  std::uint32_t tokens, rows;
  std::size_t column;  // where the segment begins
  int columns;         // and how many it has
  Totals totals;
  float* y;  // after the last segment: of token 0 and the unit's first row; else null
  std::size_t y_stride;
  Ahead* ahead;  // null: asked for already
};

template <class S, class Tile>
[[gnu::always_inline]] inline void each_vector(std::uint32_t rows, Tile tile) {
  for (int v = 0; static_cast<std::uint32_t>(v) * S::width < rows; v += S::tile_vectors) tile(v);
}

// The next smaller tile of tokens: a power of two, so that 16 are 6, 6, 4.
template <int T>
inline constexpr int kFewer = T > 4 ? 4 : T / 2;

// Before a tile: asks for what comes after it. Activations lie together, as the machine expects.
template <int T>
[[gnu::always_inline]] inline void before_tile(const Work& k, std::uint32_t token) {
  if (k.ahead != nullptr) k.ahead->some();
  if (k.y == nullptr || token + 2 * T > k.tokens) return;
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) {
    const float* next = k.y + (token + T + static_cast<std::uint32_t>(t)) * k.y_stride;
    __builtin_prefetch(next, 1);
    __builtin_prefetch(next + kLine / sizeof(float), 1);
  }
}

// After the last segment's tile: its totals are the results.
template <class S, int T>
[[gnu::always_inline]] inline void after_tile(const Work& k, std::uint32_t token) {
  if (k.y == nullptr) return;
  for (std::uint32_t t = token; t < token + T; ++t) {
    const float* totals = k.totals[t];
    float* y = k.y + t * k.y_stride;
    std::uint32_t row = 0;
    for (; row + S::width <= k.rows; row += S::width) S::store(y + row, S::load(totals + row));
    for (; row < k.rows; ++row) y[row] = totals[row];
  }
}

template <class S, int T>
void block_tokens(const Work& k, const BlockPanel& panel, std::uint32_t token) {
  const int here = k.columns / kBlockColumns;
  for (; token + T <= k.tokens; token += T) {
    const std::size_t place = k.column / kSegmentColumns * k.a.tokens + token;
    const std::int8_t* q = k.a.q8 + place * kSegmentColumns;
    const void* words = q;
    alignas(64) std::int32_t prepared[S::takes_q8 ? 1 : T * kBlocksPerSegment * S::block_steps];
    if constexpr (!S::takes_q8) {
      for (int t = 0; t < T; ++t)
        S::prepare(q + t * kSegmentColumns, here,
                   prepared + t * kBlocksPerSegment * S::block_steps);
      words = prepared;
    }
    before_tile<T>(k, token);
    each_vector<S>(k.rows, [&](int v) __attribute__((always_inline)) {
      block_tile<S, T>(panel, v, here, static_cast<const std::byte*>(words),
                       k.a.q8_scale + place * kBlocksPerSegment, k.totals + token);
    });
    after_tile<S, T>(k, token);
  }
  if constexpr (T > 1)
    if (token < k.tokens) block_tokens<S, kFewer<T>>(k, panel, token);
}

template <class S, class K, int T>
void super_tokens(const Work& k, const SuperPanel& panel, std::uint32_t token) {
  for (; token + T <= k.tokens; token += T) {
    const std::size_t place = k.column / kSegmentColumns * k.a.tokens + token;
    const std::int16_t* sums = k.a.q8k_sums + place * (kSegmentColumns / 16);
    std::int32_t pairs[T][8];
    for (int t = 0; t < T; ++t) sums_of_groups<S, K>(sums + t * (kSegmentColumns / 16), pairs[t]);
    before_tile<T>(k, token);
    each_vector<S>(k.rows, [&](int v) __attribute__((always_inline)) {
      super_tile<S, K, T>(panel, v, k.a.q8k + place * kSegmentColumns, pairs, k.a.q8k_scale + place,
                          k.totals + token);
    });
    after_tile<S, T>(k, token);
  }
  if constexpr (T > 1)
    if (token < k.tokens) super_tokens<S, K, kFewer<T>>(k, panel, token);
}

template <class S, int T>
void plain_tokens(const Work& k, const PlainPanel& panel, std::uint32_t token) {
  const std::size_t cols = k.w.cols;
  for (; token + T <= k.tokens; token += T) {
    if (k.ahead != nullptr) k.ahead->some();
    each_vector<S>(k.rows, [&](int v) __attribute__((always_inline)) {
      plain_tile<S, T>(panel, v, k.columns, k.a.x + token * cols + k.column, cols,
                       k.totals + token);
    });
    after_tile<S, T>(k, token);
  }
  if constexpr (T > 1)
    if (token < k.tokens) plain_tokens<S, kFewer<T>>(k, panel, token);
}

template <class S>
void multiply_segment(const Work& k, const UnitRows& rows, Panel& panel) {
  constexpr int T = S::tile_tokens;
  const int blocks = k.columns / kBlockColumns;
  switch (k.w.format) {
    case canon::Format::q8_0:
    case canon::Format::q4_0:
      unpack_blocks<S>(k.w.format, rows, k.column / kBlockColumns, blocks, panel.block);
      return block_tokens<S, T>(k, panel.block, 0);
    case canon::Format::q4_k:
      unpack_super<S, Q4K>(rows, k.column / kSegmentColumns, panel.super);
      return super_tokens<S, Q4K, T>(k, panel.super, 0);
    case canon::Format::q5_k:
      unpack_super<S, Q5K>(rows, k.column / kSegmentColumns, panel.super);
      return super_tokens<S, Q5K, T>(k, panel.super, 0);
    case canon::Format::q6_k:
      unpack_super<S, Q6K>(rows, k.column / kSegmentColumns, panel.super);
      return super_tokens<S, Q6K, T>(k, panel.super, 0);
    case canon::Format::f32:
    case canon::Format::f16:
    case canon::Format::bf16:
      unpack_plain<S>(k.w.format, rows, k.column, k.columns, panel.plain);
      return plain_tokens<S, T>(k, panel.plain, 0);
  }
}

template <class S>
void product(const Matrix& w, std::uint32_t begin, std::uint32_t end, const Activations& a,
             std::uint32_t tokens, float* y, std::size_t y_stride, std::byte* scratch) {
  if constexpr (S::reads_rows)
    if (tokens <= kFewTokens && !is_plain(w.format))
      return few_tokens<S>(w, begin, end, a, tokens, y, y_stride);
  auto& [panel, totals] = *reinterpret_cast<ProductScratch*>(scratch);
  for (std::uint32_t row = begin; row < end; row += kRowGroup) {
    const std::uint32_t count = end - row < kRowGroup ? end - row : kRowGroup;
    UnitRows rows;
    find_rows<S>(w, row, count, kUnit, rows);
    __builtin_memset(totals, 0, tokens * sizeof totals[0]);
    for (std::size_t column = 0; column < w.cols; column += kSegmentColumns) {
      const std::size_t left = w.cols - column;
      const int columns = left < kSegmentColumns ? static_cast<int>(left) : kSegmentColumns;
      const std::size_t here = w.row_bytes * column / w.cols;
      const std::size_t bytes = w.row_bytes * static_cast<std::size_t>(columns) / w.cols,
                        distance = left > kSegmentColumns ? bytes : kRowGroup * w.row_bytes - here;
      const std::uint32_t tiles = tokens / S::tile_tokens;
      const bool spread = tiles >= kSpreadTiles;
      rows.ahead = spread ? 0 : distance;
      Ahead ahead{rows, here + distance, spread ? (count + tiles - 1) / tiles : 0};
      const bool last = left <= kSegmentColumns;
      multiply_segment<S>({w, a, tokens, count, column, columns, totals, last ? y + row : nullptr,
                           y_stride, spread ? &ahead : nullptr},
                          rows, panel);
    }
  }
}

}  // namespace assay::engine::lanes
