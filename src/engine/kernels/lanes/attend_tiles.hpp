// Attention of many rows (queries × heads of one KV head): lanes are rows from scores to results,
// so maxima, sums and combinations are vertical. A segment's keys and values become binary32 once
// for all rows; a tile of rows then meets each broadcast key and value.
//
// S adds: tile_vectors (of rows), tile_positions, tile_dims of a full tile (powers of two, ≤ 16 and
// ≤ width), tile_from (rows from which this is faster than attend_rows).
#pragma once
#include "engine/kernels/kernels.hpp"
#include "engine/kernels/lanes/lanes.hpp"

namespace assay::engine::lanes {

// The layout of keys, in every vector table.
inline constexpr std::size_t kKeyLanes = 16;

// Asks for cache lines that will be read soon: keys and values lie in pages anywhere, so the
// machine cannot guess where the next ones are.
template <class S>
[[gnu::always_inline]] inline void prefetch(const std::uint16_t* p, std::size_t values) {
  for (std::size_t i = 0; i < values; i += 32) __builtin_prefetch(p + i, 0, 2);
}

// [position / kKeyLanes][dim][kKeyLanes], as in the cache.
template <class S>
void widen_keys(const std::uint16_t* const* pages, const AttentionCache& cache, std::size_t n,
                float* out) {
  for (std::size_t p = 0; p < n; p += kPagePositions) {
    const std::size_t here = n - p < kPagePositions ? n - p : kPagePositions;
    const std::size_t values = (here + kKeyLanes - 1) / kKeyLanes * kKeyLanes * cache.head_dim;
    const std::uint16_t* from = pages[p / kPagePositions] + cache.keys_offset;
    for (std::size_t i = 0; i < values; i += S::width)
      S::store(out + p * cache.head_dim + i, S::load_fp16(from + i));
  }
}

// [dim / width][position][width]: a tile reads a few dimensions of every position.
template <class S>
void widen_values(const std::uint16_t* const* pages, const AttentionCache& cache, std::size_t n,
                  float* out) {
  for (std::size_t p = 0; p < n; ++p) {
    const std::uint16_t* from =
        pages[p / kPagePositions] + cache.values_offset + p % kPagePositions * cache.value_stride;
    for (std::size_t d = 0; d < cache.value_stride; d += S::width)
      S::store(out + d * kSegmentSize + p * S::width, S::load_fp16(from + d));
  }
}

// One tile of V vectors of rows. Arrays are [position or dim or segment][row].
template <class S, int V>
struct Tile {
  using F = typename S::F;
  static constexpr std::size_t kRows = V * S::width;
  static constexpr bool kFull = V == S::tile_vectors;
  static constexpr int kPositions = kFull ? S::tile_positions : V == 1 ? 8 : 4;
  static constexpr int kDims = kFull ? S::tile_dims : V == 1 && S::width >= 8 ? 8 : 4;

  // What a block of scores needs beside its place. Every row sees positions below `common`; row r
  // sees those below seen[r].
  struct Scores {
    const float* q;
    std::size_t head_dim;
    float scale;
    const float* seen;
    float* s;
  };

  // One chain over dimensions [begin, end), at most a segment, for kPositions keys.
  [[gnu::always_inline]] static void chain(const Scores& k, const float* keys, std::size_t begin,
                                           std::size_t end, F (&acc)[kPositions][V]) {
#pragma GCC unroll 16
    for (int j = 0; j < kPositions; ++j)
#pragma GCC unroll 3
      for (int v = 0; v < V; ++v) acc[j][v] = S::zero();
    for (std::size_t d = begin; d < end; ++d) {
      F x[V];
#pragma GCC unroll 3
      for (int v = 0; v < V; ++v) x[v] = S::load(k.q + d * kRows + v * S::width);
#pragma GCC unroll 16
      for (int j = 0; j < kPositions; ++j) {
        const F key = S::set(keys[d * kKeyLanes + j]);
#pragma GCC unroll 3
        for (int v = 0; v < V; ++v) acc[j][v] = S::fma(x[v], key, acc[j][v]);
      }
    }
  }

  // Scores of positions [p, p + kPositions); those that a row does not see become −infinity. On its
  // own, or the loops around it take the registers.
  template <bool masked>
  [[gnu::noinline]] static void block(const Scores& k, const float* keys, std::size_t p, F* m,
                                      F* bad) {
    F acc[kPositions][V];
    float* at = k.s + p * kRows;
    std::size_t begin = 0;
    for (; k.head_dim - begin > kSegmentSize; begin += kSegmentSize) {
      chain(k, keys, begin, begin + kSegmentSize, acc);
      for (int j = 0; j < kPositions; ++j)
        for (int v = 0; v < V; ++v) {
          float* sum = at + j * kRows + v * S::width;
          S::store(sum, S::add(begin == 0 ? S::zero() : S::load(sum), acc[j][v]));
        }
    }
    chain(k, keys, begin, k.head_dim, acc);
    if (begin != 0)
#pragma GCC unroll 16
      for (int j = 0; j < kPositions; ++j)
#pragma GCC unroll 3
        for (int v = 0; v < V; ++v)
          acc[j][v] = S::add(S::load(at + j * kRows + v * S::width), acc[j][v]);
    F most[V], wrong[V];
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v) {
      most[v] = m[v];
      wrong[v] = bad[v];
    }
#pragma GCC unroll 16
    for (int j = 0; j < kPositions; ++j)
#pragma GCC unroll 3
      for (int v = 0; v < V; ++v) {
        // A sum of segments begins at +0, which makes +0 of a chain that ended at -0.
        F x = S::mul(S::add(S::zero(), acc[j][v]), S::set(k.scale));
        F checked = x;
        if constexpr (masked) {
          const auto unseen = S::ge(S::set(static_cast<float>(p + static_cast<std::size_t>(j))),
                                    S::load(k.seen + v * S::width));
          checked = S::blend(unseen, S::zero(), x);
          x = S::blend(unseen, S::set(-__builtin_inff()), x);
        }
        wrong[v] = S::fma(checked, S::zero(), wrong[v]);  // NaN for ever once x is not finite
        most[v] = S::max(x, most[v]);
        S::store(at + j * kRows + v * S::width, x);
      }
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v) {
      m[v] = most[v];
      bad[v] = wrong[v];
    }
  }

  // Scores of positions [0, n) of a segment, n rounded up to kPositions. next: pages of the segment
  // after, or null.
  static void scores(const Scores& k, const float* keys, const AttentionCache& cache,
                     const std::uint16_t* const* next, std::size_t n, std::size_t common, F (&m)[V],
                     F (&bad)[V]) {
    const std::size_t head_dim = cache.head_dim, stride = cache.value_stride;
    for (std::size_t p = 0; p < n; p += kPositions) {
      if (next) {
        const std::uint16_t* page = next[p / kPagePositions];
        const std::size_t in_page = p % kPagePositions;
        prefetch<S>(page + cache.keys_offset + in_page * head_dim, kPositions * head_dim);
        prefetch<S>(page + cache.values_offset + in_page * stride, kPositions * stride);
      }
      const float* from = keys + p / kKeyLanes * kKeyLanes * head_dim + p % kKeyLanes;
      if (p + kPositions > common)
        block<true>(k, from, p, m, bad);
      else
        block<false>(k, from, p, m, bad);
    }
  }

  // o[d] = chain over positions of p · V(d).
  static void fold(const float* s, const float* values, std::size_t dims, std::size_t n, float* o) {
    for (std::size_t d = 0; d < dims; d += kDims) {
      const float* value = values + d / S::width * S::width * kSegmentSize + d % S::width;
      F acc[kDims][V];
#pragma GCC unroll 16
      for (int j = 0; j < kDims; ++j)
#pragma GCC unroll 3
        for (int v = 0; v < V; ++v) acc[j][v] = S::zero();
      for (std::size_t p = 0; p < n; ++p) {
        F w[V];
#pragma GCC unroll 3
        for (int v = 0; v < V; ++v) w[v] = S::load(s + p * kRows + v * S::width);
#pragma GCC unroll 16
        for (int j = 0; j < kDims; ++j) {
          const F x = S::set(value[p * S::width + j]);
#pragma GCC unroll 3
          for (int v = 0; v < V; ++v) acc[j][v] = S::fma(w[v], x, acc[j][v]);
        }
      }
#pragma GCC unroll 16
      for (int j = 0; j < kDims; ++j)
#pragma GCC unroll 3
        for (int v = 0; v < V; ++v) S::store(o + (d + j) * kRows + v * S::width, acc[j][v]);
    }
  }

  // Maximum, sum and fold of one segment. bad: NaN in the lanes of rows with a non-finite score.
  static void segment(const float* q, const float* keys, const float* values,
                      const AttentionCache& cache, const std::uint16_t* const* next, std::size_t n,
                      std::size_t common, const float* seen, float scale, float* s, float* m_out,
                      float* l_out, float* o, float* bad_out) {
    F m[V], l[V], bad[V];
    for (int v = 0; v < V; ++v) {
      m[v] = S::set(-__builtin_inff());
      l[v] = S::zero();
      bad[v] = S::load(bad_out + v * S::width);
    }
    scores({q, cache.head_dim, scale, seen, s}, keys, cache, next, n, common, m, bad);
    // A row that sees none of the segment has m = −infinity: its differences are NaN, its p +0.
    for (std::size_t p = 0; p < n; ++p) {
#pragma GCC unroll 3
      for (int v = 0; v < V; ++v) {
        float* at = s + p * kRows + v * S::width;
        const F e = exp_lanes<S>(S::sub(S::load(at), m[v]));
        S::store(at, e);
        l[v] = S::add(l[v], e);
      }
    }
    fold(s, values, cache.head_dim, n, o);
    for (int v = 0; v < V; ++v) {
      S::store(m_out + v * S::width, m[v]);
      S::store(l_out + v * S::width, l[v]);
      S::store(bad_out + v * S::width, bad[v]);
    }
  }

  // Chains over segments of exp(m_s − m); result[d][row].
  static void combine(std::size_t segments, std::size_t head_dim, std::size_t stride, float* m,
                      const float* l, const float* o, float* result) {
    for (std::size_t v = 0; v < kRows; v += S::width) {
      F maximum = S::load(m + v);
      for (std::size_t s = 1; s < segments; ++s)
        maximum = S::max(S::load(m + s * kRows + v), maximum);
      F total = S::zero();
      for (std::size_t begin = 0; begin < segments; begin += kSegmentSize) {
        F acc = S::zero();
        for (std::size_t s = begin; s < segments && s < begin + kSegmentSize; ++s) {
          const F w = exp_lanes<S>(S::sub(S::load(m + s * kRows + v), maximum));
          S::store(m + s * kRows + v, w);
          acc = S::fma(w, S::load(l + s * kRows + v), acc);
        }
        total = S::add(total, acc);
      }
      for (std::size_t d = 0; d < head_dim; d += 2) {
        F sum[2] = {S::zero(), S::zero()};
        for (std::size_t begin = 0; begin < segments; begin += kSegmentSize) {
          F acc[2] = {S::zero(), S::zero()};
          for (std::size_t s = begin; s < segments && s < begin + kSegmentSize; ++s) {
            const F w = S::load(m + s * kRows + v);
            const float* at = o + s * stride * kRows + d * kRows + v;
            acc[0] = S::fma(w, S::load(at), acc[0]);
            acc[1] = S::fma(w, S::load(at + kRows), acc[1]);
          }
          sum[0] = S::add(sum[0], acc[0]);
          sum[1] = S::add(sum[1], acc[1]);
        }
        S::store(result + d * kRows + v, S::div(sum[0], total));
        S::store(result + (d + 1) * kRows + v, S::div(sum[1], total));
      }
    }
  }
};

// Where the parts of a unit of rows lie in its scratch. Lanes beyond the last row repeat it.
struct TileScratch {
  float *keys, *values, *scores, *queries, *m, *l, *o;
};

template <class S, class Function>
[[gnu::always_inline]] inline void for_tiles(std::uint32_t count, Function f) {
  constexpr std::uint32_t kWidth = S::width, kFull = S::tile_vectors;
  std::uint32_t r = 0;
  for (; r + (kFull - 1) * kWidth < count; r += kFull * kWidth) f(r, Tile<S, kFull>{});
  if constexpr (kFull > 2)
    for (; r + kWidth < count; r += 2 * kWidth) f(r, Tile<S, 2>{});
  if (r < count) f(r, Tile<S, 1>{});
}

template <class S>
void attend_tiles(const AttentionRow* rows, std::uint32_t count, const AttentionCache& cache,
                  float scale, float* scratch) {
  constexpr std::size_t kMostRows = kAttentionRows + S::tile_vectors * S::width;
  const std::size_t stride = cache.value_stride, head_dim = cache.head_dim;
  const std::size_t longest = rows[count - 1].positions;
  const std::size_t segments = (longest + kSegmentSize - 1) / kSegmentSize;
  TileScratch at{};
  at.keys = scratch;
  at.values = at.keys + kSegmentSize * stride;
  at.scores = at.values + kSegmentSize * stride;
  at.queries = at.scores + kSegmentSize * S::tile_vectors * S::width;
  at.m = at.queries + kMostRows * stride;
  at.l = at.m + kMostRows * segments;
  at.o = at.l + kMostRows * segments;
  float bad[kMostRows] = {};
  const auto row_of = [&](std::size_t r) { return r < count ? r : count - 1; };

  for_tiles<S>(count, [&](std::uint32_t first, auto tile) {
    constexpr std::size_t kRows = decltype(tile)::kRows;
    for (std::size_t r = 0; r < kRows; ++r) {
      const float* q = rows[row_of(first + r)].q;
      float* out = at.queries + first * stride + r;
      for (std::size_t d = 0; d < head_dim; ++d) out[d * kRows] = q[d];
    }
  });

  for (std::size_t segment = 0; segment < segments; ++segment) {
    const std::size_t begin = segment * kSegmentSize;
    const std::uint16_t* const* pages = cache.pages + begin / kPagePositions;
    const auto seen_by = [&](std::size_t r) {
      const std::size_t all = rows[row_of(r)].positions;
      return all <= begin ? 0 : all - begin < kSegmentSize ? all - begin : kSegmentSize;
    };
    widen_keys<S>(pages, cache, seen_by(count - 1), at.keys);
    widen_values<S>(pages, cache, seen_by(count - 1), at.values);
    // The first tile asks for the next segment, if all of its pages are there.
    const bool more = longest >= begin + 2 * kSegmentSize;
    for_tiles<S>(count, [&](std::uint32_t first, auto tile) {
      using T = decltype(tile);
      const auto* next = first == 0 && more ? pages + kSegmentSize / kPagePositions : nullptr;
      float seen[T::kRows];
      for (std::size_t r = 0; r < T::kRows; ++r) seen[r] = static_cast<float>(seen_by(first + r));
      const std::size_t n = seen_by(first + T::kRows - 1);
      if (n == 0) return;
      const std::size_t part = first * segments + segment * T::kRows;
      T::segment(at.queries + first * stride, at.keys, at.values, cache, next, n, seen_by(first),
                 seen, scale, at.scores, at.m + part, at.l + part, at.o + part * stride,
                 bad + first);
    });
  }

  for_tiles<S>(count, [&](std::uint32_t first, auto tile) {
    using T = decltype(tile);
    const std::size_t own = (rows[row_of(first + T::kRows - 1)].positions + kSegmentSize - 1) /
                            kSegmentSize,
                      part = first * segments;
    float* result = at.keys;  // kRows × head_dim: the keys are done with
    T::combine(own, head_dim, stride, at.m + part, at.l + part, at.o + part * stride, result);
    for (std::size_t r = 0; r < T::kRows && first + r < count; ++r) {
      const AttentionRow& row = rows[first + r];
      for (std::size_t d = 0; d < head_dim; ++d) row.out[d] = result[d * T::kRows + r];
      if (bad[first + r] != 0.0f) *row.fault = 1;
    }
  });
}

}  // namespace assay::engine::lanes
