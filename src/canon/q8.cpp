#include "canon/q8.hpp"

#include <algorithm>
#include <bit>

#include "base/bytes.hpp"
#include "canon/chain.hpp"
#include "canon/fp16.hpp"
#include "canon/pieces.hpp"

namespace assay::canon {
namespace {

// total = total + accumulator, segment by segment.
float blocks_row(Format format, std::size_t block_bytes, const std::uint8_t* row,
                 std::span<const std::int8_t> q, std::span<const float> scale) {
  float total = 0.0f;
  for (std::size_t at = 0; at < q.size(); at += kSegment) {
    const std::size_t cols = std::min(kSegment, q.size() - at);
    const ActivationRow a{.q8 = q.subspan(at, cols),
                          .q8_scale = scale.subspan(at / kBlock, cols / kBlock)};
    total = total + segment_product(format, row + at / kBlock * block_bytes, cols, a);
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
    const std::uint16_t half = block_scale(x.subspan(b * block, block));
    if (!fp16_finite(half)) return false;
    scale[b] = from_fp16(half);
    for (std::size_t i = b * block; i < (b + 1) * block; ++i) q[i] = block_quant(x[i], scale[b]);
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
  return blocks_row(Format::q8_0, 34, row, q, scale);
}

float row_q4_0(const std::uint8_t* row, std::span<const std::int8_t> q,
               std::span<const float> scale) {
  return blocks_row(Format::q4_0, 18, row, q, scale);
}

float row_f32(const std::uint8_t* row, std::span<const float> x) {
  return chain(
      x.size(),
      [&](std::size_t i) { return std::bit_cast<float>(load_le<std::uint32_t>(row + 4 * i)); },
      [&](std::size_t i) { return x[i]; });
}

float row_f16(const std::uint8_t* row, std::span<const float> x) {
  return chain(
      x.size(), [&](std::size_t i) { return from_fp16(load_le<std::uint16_t>(row + 2 * i)); },
      [&](std::size_t i) { return x[i]; });
}

float row_bf16(const std::uint8_t* row, std::span<const float> x) {
  return chain(
      x.size(), [&](std::size_t i) { return from_bf16(load_le<std::uint16_t>(row + 2 * i)); },
      [&](std::size_t i) { return x[i]; });
}

}  // namespace assay::canon
