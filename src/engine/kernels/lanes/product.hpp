// Row products for any vector width: lanes are rows, several tokens share each load of the weights.
// S adds to lanes.hpp: dot_block<T>(quants, q, cols, sums), the exact integer dots of one block of
// `width` interleaved rows with T tokens.
#pragma once
#include "engine/kernels/kernels.hpp"
#include "engine/kernels/lanes/lanes.hpp"

namespace assay::engine::lanes {

inline constexpr std::size_t kBlockSize = 32, kBlocksPerSegment = kSegmentSize / kBlockSize;

template <class S>
void store_rows(float* y, typename S::F v, std::size_t rows) {
  rows >= S::width ? S::store(y, v) : store_some<S>(y, v, rows);
}

template <class S, int T>
void quantized_tile(const Matrix& w, std::size_t group, const std::int8_t* q, const float* scale,
                    std::size_t rows, float* y, std::size_t y_stride) {
  constexpr std::size_t width = S::width;
  const std::size_t blocks = w.cols / kBlockSize;
  const std::int8_t* quants = w.quants + group * blocks * kBlockSize * width;
  const std::uint16_t* scales = w.scales + group * blocks * width;
  typename S::F total[T];
  for (int t = 0; t < T; ++t) total[t] = S::zero();
  for (std::size_t begin = 0; begin < blocks; begin += kBlocksPerSegment) {
    const std::size_t end = begin + kBlocksPerSegment < blocks ? begin + kBlocksPerSegment : blocks;
    typename S::F acc[T];
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) acc[t] = S::zero();
    for (std::size_t b = begin; b < end; ++b) {
      typename S::F dot[T];
      S::template dot_block<T>(quants + b * kBlockSize * width, q + b * kBlockSize, w.cols, dot);
      const auto dw = S::load_fp16(scales + b * width);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t)
        acc[t] = S::fma(dot[t], S::mul(dw, S::set(scale[t * blocks + b])), acc[t]);
    }
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) total[t] = S::add(total[t], acc[t]);
  }
  for (int t = 0; t < T; ++t) store_rows<S>(y + t * y_stride, total[t], rows);
}

template <class S, int T>
void plain_tile(const Matrix& w, std::size_t group, const float* x, std::size_t rows, float* y,
                std::size_t y_stride) {
  const std::size_t cols = w.cols;
  const float* values = w.values + group * cols * S::width;
  typename S::F total[T];
  for (int t = 0; t < T; ++t) total[t] = S::zero();
  for (std::size_t begin = 0; begin < cols; begin += kSegmentSize) {
    const std::size_t end = begin + kSegmentSize < cols ? begin + kSegmentSize : cols;
    typename S::F acc[T];
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) acc[t] = S::zero();
    for (std::size_t i = begin; i < end; ++i) {
      const auto v = S::load(values + i * S::width);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) acc[t] = S::fma(v, S::set(x[t * cols + i]), acc[t]);
    }
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) total[t] = S::add(total[t], acc[t]);
  }
  for (int t = 0; t < T; ++t) store_rows<S>(y + t * y_stride, total[t], rows);
}

template <class S, int T>
void tile(const Matrix& w, std::size_t group, const Activations& a, std::size_t token,
          std::size_t rows, float* y, std::size_t y_stride) {
  if (w.quantized())
    quantized_tile<S, T>(w, group, a.q + token * w.cols, a.scale + token * (w.cols / kBlockSize),
                         rows, y, y_stride);
  else
    plain_tile<S, T>(w, group, a.x + token * w.cols, rows, y, y_stride);
}

template <class S>
void product(const Matrix& w, std::uint32_t begin, std::uint32_t end, const Activations& a,
             std::uint32_t tokens, float* y, std::size_t y_stride) {
  for (std::size_t row = begin; row < end; row += S::width) {
    const std::size_t group = row / S::width, rows = end - row;
    std::size_t t = 0;
    for (; t + 4 <= tokens; t += 4)
      tile<S, 4>(w, group, a, t, rows, y + t * y_stride + row, y_stride);
    for (; t + 2 <= tokens; t += 2)
      tile<S, 2>(w, group, a, t, rows, y + t * y_stride + row, y_stride);
    for (; t < tokens; ++t) tile<S, 1>(w, group, a, t, rows, y + t * y_stride + row, y_stride);
  }
}

}  // namespace assay::engine::lanes
