#include "canon/q8.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/bytes.hpp"
#include "canon/chain.hpp"
#include "canon/fp16.hpp"

namespace assay::canon {
namespace {

constexpr std::size_t kBlocksPerSegment = kSegment / kBlock;

float load_fp16(const std::uint8_t* p) { return from_fp16(load_le<std::uint16_t>(p)); }

template <class Values>
float quantized_row(const std::uint8_t* row, std::size_t block_bytes, Values values,
                    std::span<const std::int8_t> q, std::span<const float> scale) {
  float total = 0.0f;
  for (std::size_t begin = 0; begin < scale.size(); begin += kBlocksPerSegment) {
    const std::size_t end = std::min(begin + kBlocksPerSegment, scale.size());
    float acc = 0.0f;
    for (std::size_t b = begin; b < end; ++b) {
      const std::uint8_t* block = row + b * block_bytes;
      std::int8_t w[kBlock];
      values(block, w);
      std::int32_t dot = 0;
      for (std::size_t i = 0; i < kBlock; ++i) dot += w[i] * q[b * kBlock + i];
      acc = std::fma(static_cast<float>(dot), load_fp16(block) * scale[b], acc);
    }
    total = total + acc;
  }
  return total;
}

}  // namespace

std::int32_t round_to_int(float x) {
  const float t = x + 0x1.8p23f;
  return std::bit_cast<std::int32_t>(t) - std::bit_cast<std::int32_t>(0x1.8p23f);
}

bool quantize_blocks(std::span<const float> x, std::span<std::int8_t> q, std::span<float> scale,
                     std::size_t block) {
  for (std::size_t b = 0; b < scale.size(); ++b) {
    // Magnitudes of floats order as their bits do, NaN and infinity on top.
    std::uint32_t largest = 0;
    for (std::size_t i = b * block; i < (b + 1) * block; ++i)
      largest = std::max(largest, std::bit_cast<std::uint32_t>(x[i]) & 0x7fffffffu);
    const std::uint16_t half = to_fp16(std::bit_cast<float>(largest) / 127.0f);
    if (!fp16_finite(half)) return false;
    const float d = from_fp16(half);
    scale[b] = d;
    for (std::size_t i = b * block; i < (b + 1) * block; ++i)
      q[i] =
          d == 0.0f ? 0 : static_cast<std::int8_t>(std::clamp(round_to_int(x[i] / d), -127, 127));
  }
  return true;
}

bool quantize_q8(std::span<const float> x, std::span<std::int8_t> q, std::span<float> scale) {
  return quantize_blocks(x, q, scale, kBlock);
}

void block_q8_0(const std::uint8_t* block, std::int8_t* values) {
  for (std::size_t i = 0; i < kBlock; ++i) values[i] = static_cast<std::int8_t>(block[2 + i]);
}

void block_q4_0(const std::uint8_t* block, std::int8_t* values) {
  for (std::size_t i = 0; i < kBlock / 2; ++i) {
    values[i] = static_cast<std::int8_t>((block[2 + i] & 15) - 8);
    values[i + kBlock / 2] = static_cast<std::int8_t>((block[2 + i] >> 4) - 8);
  }
}

float row_q8_0(const std::uint8_t* row, std::span<const std::int8_t> q,
               std::span<const float> scale) {
  return quantized_row(row, 34, block_q8_0, q, scale);
}

float row_q4_0(const std::uint8_t* row, std::span<const std::int8_t> q,
               std::span<const float> scale) {
  return quantized_row(row, 18, block_q4_0, q, scale);
}

float row_f32(const std::uint8_t* row, std::span<const float> x) {
  return chain(
      x.size(),
      [&](std::size_t i) { return std::bit_cast<float>(load_le<std::uint32_t>(row + 4 * i)); },
      [&](std::size_t i) { return x[i]; });
}

float row_f16(const std::uint8_t* row, std::span<const float> x) {
  return chain(
      x.size(), [&](std::size_t i) { return load_fp16(row + 2 * i); },
      [&](std::size_t i) { return x[i]; });
}

float row_bf16(const std::uint8_t* row, std::span<const float> x) {
  return chain(
      x.size(), [&](std::size_t i) { return from_bf16(load_le<std::uint16_t>(row + 2 * i)); },
      [&](std::size_t i) { return x[i]; });
}

}  // namespace assay::canon
