#include "canon/pieces.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "canon/chain.hpp"
#include "canon/fp16.hpp"
#include "canon/q8.hpp"
#include "canon/q8k.hpp"

namespace assay::canon {
namespace {

constexpr std::size_t kGroup = 32;  // values that share a scale and a minimum in Q4_K and Q5_K

float load_fp16(const std::uint8_t* p) { return from_fp16(load_le<std::uint16_t>(p)); }

template <class Weight>
float plain_segment(std::size_t cols, std::span<const float> x, Weight weight) {
  float acc = 0.0f;
  for (std::size_t i = 0; i < cols; ++i) acc = std::fma(weight(i), x[i], acc);
  return acc;
}

float block_segment(const std::uint8_t* weights, std::size_t cols, std::size_t block_bytes,
                    void (*values)(const std::uint8_t*, std::int8_t*), const ActivationRow& a) {
  float acc = 0.0f;
  for (std::size_t b = 0; b < cols / kBlock; ++b) {
    const std::uint8_t* block = weights + b * block_bytes;
    std::int8_t w[kBlock];
    values(block, w);
    std::int32_t dot = 0;
    for (std::size_t i = 0; i < kBlock; ++i) dot += w[i] * a.q8[b * kBlock + i];
    acc = std::fma(static_cast<float>(dot), load_fp16(block) * a.q8_scale[b], acc);
  }
  return acc;
}

std::int32_t dot(const std::int8_t* w, const std::int8_t* a, std::size_t n) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += w[i] * a[i];
  return sum;
}

std::int32_t scaled_dot(const Superblock& s, const std::int8_t* a, std::size_t group) {
  std::int32_t sum = 0;
  for (std::size_t j = 0; j < kSuperblock / group; ++j)
    sum += s.scales[j] * dot(&s.quants[j * group], &a[j * group], group);
  return sum;
}

std::int32_t minimum_sum(const Superblock& s, const std::int8_t* a) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < kSuperblock; ++i) sum += s.mins[i / kGroup] * a[i];
  return sum;
}

float superblock_with_mins(const Superblock& s, const ActivationRow& a) {
  const float d = a.q8k_scale[0];
  const auto isum = static_cast<float>(scaled_dot(s, a.q8k.data(), kGroup));
  const auto msum = static_cast<float>(minimum_sum(s, a.q8k.data()));
  const float acc = std::fma(isum, from_fp16(s.d) * d, 0.0f);
  return std::fma(-msum, from_fp16(s.dmin) * d, acc);
}

}  // namespace

float segment_product(Format format, const std::uint8_t* weights, std::size_t cols,
                      const ActivationRow& a) {
  ASSAY_ASSERT(cols <= kSegment && cols % info(format).block_values == 0);
  Superblock s;
  switch (format) {
    case Format::f32:
      return plain_segment(cols, a.x, [&](std::size_t i) {
        return std::bit_cast<float>(load_le<std::uint32_t>(weights + 4 * i));
      });
    case Format::f16:
      return plain_segment(cols, a.x, [&](std::size_t i) { return load_fp16(weights + 2 * i); });
    case Format::bf16:
      return plain_segment(cols, a.x, [&](std::size_t i) {
        return from_bf16(load_le<std::uint16_t>(weights + 2 * i));
      });
    case Format::q8_0:
      return block_segment(weights, cols, 34, block_q8_0, a);
    case Format::q4_0:
      return block_segment(weights, cols, 18, block_q4_0, a);
    case Format::q4_k:
      superblock_q4_k(weights, s);
      return superblock_with_mins(s, a);
    case Format::q5_k:
      superblock_q5_k(weights, s);
      return superblock_with_mins(s, a);
    case Format::q6_k:
      superblock_q6_k(weights, s);
      return std::fma(static_cast<float>(scaled_dot(s, a.q8k.data(), 16)),
                      from_fp16(s.d) * a.q8k_scale[0], 0.0f);
  }
  ASSAY_ASSERT(false && "not a weight format");
}

float segment_squares(std::span<const float> x) {
  float acc = 0.0f;
  for (const float v : x) acc = std::fma(v, v, acc);
  return acc;
}

float norm_inverse(float sum, std::size_t n, float epsilon) {
  const float mean = sum / static_cast<float>(n);
  return 1.0f / std::sqrt(mean + epsilon);
}

std::uint16_t block_scale(std::span<const float> x) {
  // Magnitudes of floats order as their bits do, NaN and infinity on top.
  std::uint32_t largest = 0;
  for (const float v : x)
    largest = std::max(largest, std::bit_cast<std::uint32_t>(v) & 0x7fffffffu);
  return to_fp16(std::bit_cast<float>(largest) / 127.0f);
}

std::int8_t block_quant(float x, float d) {
  if (d == 0.0f) return 0;
  const float q = x / d;
  // Beyond the clamp first: rounding to an integer has a range.
  if (q >= 127.0f) return 127;
  if (q <= -127.0f) return -127;
  return static_cast<std::int8_t>(round_to_int(q));
}

float rotate_first(float a, float b, float c, float s) { return std::fma(a, c, -(b * s)); }
float rotate_second(float a, float b, float c, float s) { return std::fma(a, s, b * c); }

}  // namespace assay::canon
