// Attention for any vector width: lanes are positions in q·k and in exp, dimensions in p·V and in
// the combination. Several rows (queries or heads) share each load of the cache; the chains of l
// run side by side, one per row.
#pragma once
#include "engine/kernels/kernels.hpp"
#include "engine/kernels/lanes/lanes.hpp"

namespace assay::engine::lanes {

// Scores of R rows for positions [0, n) of one segment, n rounded up to P vectors.
template <class S, int R, int P>
void scores(const AttentionRow* rows, const std::uint16_t* keys, std::size_t head_dim,
            std::size_t n, float scale, float* out) {
  constexpr std::size_t width = S::width;
  for (std::size_t p = 0; p < n; p += P * width) {
    typename S::F acc[P][R];
#pragma GCC unroll 8
    for (int v = 0; v < P; ++v)
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) acc[v][r] = S::zero();
    // The chain over dimensions: segments of 256.
    typename S::F total[P][R];
    for (std::size_t begin = 0; begin < head_dim; begin += kSegmentSize) {
      const std::size_t end = begin + kSegmentSize < head_dim ? begin + kSegmentSize : head_dim;
      for (std::size_t d = begin; d < end; ++d) {
        typename S::F k[P];
#pragma GCC unroll 8
        for (int v = 0; v < P; ++v)
          k[v] = S::load_fp16(keys + (p + v * width) * head_dim + d * width);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          const auto q = S::set(rows[r].q[d]);
#pragma GCC unroll 8
          for (int v = 0; v < P; ++v) acc[v][r] = S::fma(q, k[v], acc[v][r]);
        }
      }
#pragma GCC unroll 8
      for (int v = 0; v < P; ++v)
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          total[v][r] = S::add(begin == 0 ? S::zero() : total[v][r], acc[v][r]);
          acc[v][r] = S::zero();
        }
    }
#pragma GCC unroll 8
    for (int v = 0; v < P; ++v)
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
        S::store(out + r * kSegmentSize + p + v * width, S::mul(total[v][r], S::set(scale)));
  }
}

// Scores → exp(score - m) in place, +0 for positions the row does not see. Returns m.
template <class S>
float weights_of_row(float* s, std::size_t seen, std::size_t n, std::uint8_t* fault) {
  constexpr std::size_t width = S::width;
  const auto minus_infinity = S::set(-__builtin_inff());
  auto maximum = minus_infinity;
  auto bad = S::below(0);
  for (std::size_t p = 0; p < n; p += width) {
    const auto mask = S::below(static_cast<int>(seen) - static_cast<int>(p));
    const auto v = S::load(s + p);
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

// acc(d) over positions of p * V(d) for R rows and D vectors of dimensions.
template <class S, int R, int D>
void fold_values(const float* weights, const std::uint16_t* values, std::size_t stride,
                 std::size_t n, float* out, std::size_t out_stride) {
  typename S::F acc[R][D];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < D; ++v) acc[r][v] = S::zero();
  for (std::size_t p = 0; p < n; ++p) {
    typename S::F value[D];
#pragma GCC unroll 8
    for (int v = 0; v < D; ++v) value[v] = S::load_fp16(values + p * stride + v * S::width);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const auto w = S::set(weights[r * kSegmentSize + p]);
#pragma GCC unroll 8
      for (int v = 0; v < D; ++v) acc[r][v] = S::fma(w, value[v], acc[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < D; ++v) S::store(out + r * out_stride + v * S::width, acc[r][v]);
}

// R rows of one segment of positions: m, l and o of each into its place.
template <class S, int R>
void segment_rows(const AttentionRow* rows, const AttentionCache& cache, std::size_t begin,
                  float scale, float* s, float* m, float* l, float* o) {
  constexpr int kVectors = 8 / R;
  constexpr std::size_t width = S::width;
  const std::size_t stride = cache.value_stride;
  std::size_t seen[R], n = 0;
  for (int r = 0; r < R; ++r) {
    const std::size_t all = rows[r].positions;
    seen[r] = all <= begin ? 0 : all - begin < kSegmentSize ? all - begin : kSegmentSize;
    n = seen[r] > n ? seen[r] : n;
  }
  scores<S, R, (kVectors < 4 ? kVectors : 4)>(rows, cache.keys + begin * cache.head_dim,
                                              cache.head_dim, n, scale, s);
  for (int r = 0; r < R; ++r)
    m[r] = weights_of_row<S>(s + r * kSegmentSize, seen[r], n, rows[r].fault);
  float sum[R] = {};
  for (std::size_t p = 0; p < n; ++p) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) sum[r] = sum[r] + s[r * kSegmentSize + p];
  }
  for (int r = 0; r < R; ++r) l[r] = sum[r];
  const std::uint16_t* values = cache.values + begin * stride;
  std::size_t d = 0;
  for (; d + 2 * width <= stride; d += 2 * width)
    fold_values<S, R, 2>(s, values + d, stride, n, o + d, stride);
  for (; d < stride; d += width) fold_values<S, R, 1>(s, values + d, stride, n, o + d, stride);
}

// One row's segments into its output: l and o are chains over segments of exp(m_s - m).
template <class S>
void combine(const AttentionRow& row, const AttentionCache& cache, std::size_t segments, float* m,
             const float* l, const float* o) {
  constexpr std::size_t width = S::width, step = kAttentionRows;
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
void attend(const AttentionRow* rows, std::uint32_t count, const AttentionCache& cache, float scale,
            float* scratch) {
  const std::size_t longest = rows[count - 1].positions, stride = cache.value_stride;
  const std::size_t segments = (longest + kSegmentSize - 1) / kSegmentSize;
  float* s = scratch;
  float* m = s + kAttentionRows * kSegmentSize;
  float* l = m + segments * kAttentionRows;
  float* o = l + segments * kAttentionRows;
  for (std::size_t segment = 0; segment < segments; ++segment) {
    const std::size_t at = segment * kAttentionRows, begin = segment * kSegmentSize;
    std::uint32_t r = 0;
    const auto run = [&](auto rows_constant) {
      constexpr int kRows = decltype(rows_constant)::value;
      for (; count - r >= kRows; r += kRows)
        segment_rows<S, kRows>(rows + r, cache, begin, scale, s, m + at + r, l + at + r,
                               o + (at + r) * stride);
    };
    run(std::integral_constant<int, 4>{});
    run(std::integral_constant<int, 2>{});
    run(std::integral_constant<int, 1>{});
  }
  for (std::uint32_t r = 0; r < count; ++r)
    combine<S>(rows[r], cache, segments, m + r, l + r, o + r * stride);
}

}  // namespace assay::engine::lanes
