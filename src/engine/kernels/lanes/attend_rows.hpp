// Attention of a few rows: lanes are positions in q·k and in exp, dimensions in p·V and in the
// combination. Rows (heads of one token) share each load of the cache; their chains of l run side
// by side under the fold.
//
// S adds: row_accumulators (vector sums kept in registers).
#pragma once
#include <type_traits>

#include "engine/kernels/lanes/attend_tiles.hpp"

namespace assay::engine::lanes {

// Scores of R rows for positions [0, n) of one segment, n rounded up to P vectors; asks for the
// values of the same positions.
template <class S, int R, int P>
void row_scores(const AttentionRow* rows, const std::uint16_t* const* pages,
                const AttentionCache& cache, std::size_t n, float scale, float* out) {
  constexpr std::size_t width = S::width;
  static_assert(P * width <= kPagePositions);
  const std::size_t head_dim = cache.head_dim;
  for (std::size_t p = 0; p < n; p += P * width) {
    const std::size_t block = p % kPagePositions / kKeyLanes * kKeyLanes;
    const std::uint16_t* keys =
        pages[p / kPagePositions] + cache.keys_offset + block * head_dim + p % kKeyLanes;
    const std::uint16_t* values =
        pages[p / kPagePositions] + cache.values_offset + p % kPagePositions * cache.value_stride;
    // The chain over dimensions: segments of 256.
    for (std::size_t begin = 0; begin < head_dim; begin += kSegmentSize) {
      const std::size_t end = begin + kSegmentSize < head_dim ? begin + kSegmentSize : head_dim;
      typename S::F acc[P][R];
#pragma GCC unroll 16
      for (int v = 0; v < P; ++v)
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) acc[v][r] = S::zero();
      for (std::size_t d = begin; d < end; ++d) {
        prefetch<S>(values + d * P * width, P * width);
        typename S::F k[P];
#pragma GCC unroll 16
        for (int v = 0; v < P; ++v) {
          const std::size_t lane = v * width;
          k[v] = S::load_fp16(keys + lane / kKeyLanes * kKeyLanes * head_dim + d * kKeyLanes +
                              lane % kKeyLanes);
        }
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          const auto q = S::set(rows[r].q[d]);
#pragma GCC unroll 16
          for (int v = 0; v < P; ++v) acc[v][r] = S::fma(q, k[v], acc[v][r]);
        }
      }
#pragma GCC unroll 16
      for (int v = 0; v < P; ++v)
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          float* at = out + r * kSegmentSize + p + v * width;
          auto x = S::add(begin == 0 ? S::zero() : S::load(at), acc[v][r]);
          if (end == head_dim) x = S::mul(x, S::set(scale));
          S::store(at, x);
        }
    }
  }
}

// Scores → exp(score - m) in place, +0 for positions the row does not see. Returns m.
template <class S>
float row_weights(float* s, std::size_t seen, std::size_t n, std::uint8_t* fault) {
  constexpr std::size_t width = S::width;
  const auto minus_infinity = S::set(-__builtin_inff());
  auto maximum = minus_infinity;
  auto bad = S::below(0);
  for (std::size_t p = 0; p < n; p += width) {
    const auto v = S::load(s + p);
    if (p + width <= seen) {
      bad = S::either(bad, S::not_finite(v));
      maximum = S::max(v, maximum);
      continue;
    }
    const auto mask = S::below(static_cast<int>(seen) - static_cast<int>(p));
    bad = S::either(bad, S::both(mask, S::not_finite(v)));
    const auto masked = S::blend(mask, v, minus_infinity);
    S::store(s + p, masked);
    maximum = S::max(masked, maximum);
  }
  if (S::any(bad)) *fault = 1;
  float lane[width];
  S::store(lane, maximum);
  float m = lane[0];
  for (std::size_t i = 1; i < width; ++i) m = lane[i] > m ? lane[i] : m;
  for (std::size_t p = 0; p < n; p += width)
    S::store(s + p, exp_lanes<S>(S::sub(S::load(s + p), S::set(m))));
  return m;
}

// For R rows and D vectors of dimensions from d: chains over positions of p · V, and, on request,
// of p. next: pages of the segment after, whose keys it asks for, or null.
template <class S, int R, int D, bool Sum>
void row_fold(const float* weights, const std::uint16_t* const* pages, const AttentionCache& cache,
              const std::uint16_t* const* next, std::size_t d, std::size_t n, float* out,
              float* l) {
  const std::size_t stride = cache.value_stride, head_dim = cache.head_dim;
  out += d;
  typename S::F acc[R][D];
  float sum[R] = {};
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < D; ++v) acc[r][v] = S::zero();
  for (std::size_t page = 0; page < n; page += kPagePositions) {
    const std::uint16_t* values = pages[page / kPagePositions] + cache.values_offset + d;
    const std::uint16_t* ahead =
        next ? next[page / kPagePositions] + cache.keys_offset + d : values;
    const std::size_t step = next ? head_dim : 0;
    const std::size_t end = n < page + kPagePositions ? n : page + kPagePositions;
    for (std::size_t p = page; p < end; ++p, values += stride, ahead += step) {
      prefetch<S>(ahead, D * S::width);
      typename S::F value[D];
#pragma GCC unroll 16
      for (int v = 0; v < D; ++v) value[v] = S::load_fp16(values + v * S::width);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const float weight = weights[r * kSegmentSize + p];
        if constexpr (Sum) sum[r] = sum[r] + weight;
        const auto w = S::set(weight);
#pragma GCC unroll 16
        for (int v = 0; v < D; ++v) acc[r][v] = S::fma(w, value[v], acc[r][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < D; ++v) S::store(out + r * stride + v * S::width, acc[r][v]);
  if constexpr (Sum)
    for (int r = 0; r < R; ++r) l[r] = sum[r];
}

// All dimensions from d, D vectors at a time and the rest half as many: a single vector waits for
// its own chain. l comes with the first.
template <class S, int R, int D>
void row_folds(const float* weights, const std::uint16_t* const* pages, const AttentionCache& cache,
               const std::uint16_t* const* next, std::size_t d, std::size_t n, float* out,
               float* l) {
  constexpr std::size_t step = D * S::width;
  for (; d + step <= cache.value_stride; d += step)
    if (d == 0)
      row_fold<S, R, D, true>(weights, pages, cache, next, d, n, out, l);
    else
      row_fold<S, R, D, false>(weights, pages, cache, next, d, n, out, nullptr);
  if constexpr (D > 1)
    if (d < cache.value_stride) row_folds<S, R, D / 2>(weights, pages, cache, next, d, n, out, l);
}

// R rows of one segment of positions: m, l and o of each into its place.
template <class S, int R>
void row_segment(const AttentionRow* rows, const AttentionCache& cache, std::size_t begin,
                 bool more, float scale, float* s, float* m, float* l, float* o) {
  constexpr std::size_t width = S::width;
  constexpr int kMost = S::row_accumulators / R < 8 ? S::row_accumulators / R : 8;
  constexpr int kInPage = static_cast<int>(kPagePositions / width);
  std::size_t seen[R], n = 0;
  for (int r = 0; r < R; ++r) {
    const std::size_t all = rows[r].positions;
    seen[r] = all <= begin ? 0 : all - begin < kSegmentSize ? all - begin : kSegmentSize;
    n = seen[r] > n ? seen[r] : n;
  }
  const std::uint16_t* const* pages = cache.pages + begin / kPagePositions;
  const auto* next = more ? pages + kSegmentSize / kPagePositions : nullptr;
  row_scores<S, R, (kMost < kInPage ? kMost : kInPage)>(rows, pages, cache, n, scale, s);
  for (int r = 0; r < R; ++r)
    m[r] = row_weights<S>(s + r * kSegmentSize, seen[r], n, rows[r].fault);
  row_folds<S, R, kMost>(s, pages, cache, next, 0, n, o, l);
}

// One row's segments into its output: l and o are chains over segments of exp(m_s - m).
template <class S>
void row_combine(const AttentionRow& row, const AttentionCache& cache, std::size_t segments,
                 std::size_t step, float* m, const float* l, const float* o) {
  constexpr std::size_t width = S::width;
  const std::size_t stride = cache.value_stride;
  float maximum = m[0];
  for (std::size_t s = 1; s < segments; ++s)
    maximum = m[s * step] > maximum ? m[s * step] : maximum;
  float total = 0.0f;
  for (std::size_t begin = 0; begin < segments; begin += kSegmentSize) {
    float acc = 0.0f;
    for (std::size_t s = begin; s < segments && s < begin + kSegmentSize; ++s) {
      float lane[width];
      S::store(lane, exp_lanes<S>(S::set(m[s * step] - maximum)));
      m[s * step] = lane[0];
      acc = S::fma1(lane[0], l[s * step], acc);
    }
    total = total + acc;
  }
  for (std::size_t d = 0; d < cache.head_dim; d += width) {
    auto sum = S::zero();
    for (std::size_t begin = 0; begin < segments; begin += kSegmentSize) {
      auto acc = S::zero();
      for (std::size_t s = begin; s < segments && s < begin + kSegmentSize; ++s)
        acc = S::fma(S::set(m[s * step]), S::load(o + s * step * stride + d), acc);
      sum = S::add(sum, acc);
    }
    const auto result = S::div(sum, S::set(total));
    const std::size_t left = cache.head_dim - d;
    left >= width ? S::store(row.out + d, result) : store_some<S>(row.out + d, result, left);
  }
}

template <class S>
void attend_rows(const AttentionRow* rows, std::uint32_t count, const AttentionCache& cache,
                 float scale, float* scratch) {
  constexpr int kMost = S::row_accumulators / 2 < 8 ? S::row_accumulators / 2 : 8;
  const std::size_t longest = rows[count - 1].positions, stride = cache.value_stride;
  const std::size_t segments = (longest + kSegmentSize - 1) / kSegmentSize;
  float* s = scratch;
  float* m = s + kMost * kSegmentSize;
  float* l = m + segments * count;
  float* o = scratch + (kMost * kSegmentSize + 2 * segments * count + 15) / 16 * 16;
  for (std::size_t segment = 0; segment < segments; ++segment) {
    const std::size_t at = segment * count, begin = segment * kSegmentSize;
    // The first rows ask for the next segment, if all of its pages are there.
    const bool more = longest >= begin + 2 * kSegmentSize;
    std::uint32_t r = 0;
    const auto run = [&](auto rows_constant) {
      constexpr int kRows = decltype(rows_constant)::value;
      for (; count - r >= kRows; r += kRows)
        row_segment<S, kRows>(rows + r, cache, begin, more && r == 0, scale, s, m + at + r,
                              l + at + r, o + (at + r) * stride);
    };
    if constexpr (kMost == 8) run(std::integral_constant<int, 8>{});
    run(std::integral_constant<int, 4>{});
    run(std::integral_constant<int, 2>{});
    run(std::integral_constant<int, 1>{});
  }
  for (std::uint32_t r = 0; r < count; ++r)
    row_combine<S>(rows[r], cache, segments, count, m + r, l + r, o + r * stride);
}

}  // namespace assay::engine::lanes
