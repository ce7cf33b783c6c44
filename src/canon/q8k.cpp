#include "canon/q8k.hpp"

#include "base/bytes.hpp"
#include "canon/pieces.hpp"
#include "canon/q8.hpp"

namespace assay::canon {
namespace {

constexpr std::size_t kGroup = 32;  // values that share a scale and a minimum in Q4_K and Q5_K

// Twelve bytes hold eight 6-bit scales and eight 6-bit minimums: the first four of each whole in
// the low bits, of the last four the low nibble in the last four bytes and the two bits above it
// on top of the first ones.
void unpack_scales(const std::uint8_t* p, Superblock& out) {
  for (std::size_t j = 0; j < 4; ++j) {
    out.scales[j] = static_cast<std::int8_t>(p[j] & 63);
    out.mins[j] = p[j + 4] & 63;
    out.scales[j + 4] = static_cast<std::int8_t>((p[j + 8] & 15) | (p[j] >> 6) << 4);
    out.mins[j + 4] = static_cast<std::uint8_t>(p[j + 8] >> 4 | (p[j + 4] >> 6) << 4);
  }
}

void unpack_head(const std::uint8_t* block, Superblock& out) {
  out.d = load_le<std::uint16_t>(block);
  out.dmin = load_le<std::uint16_t>(block + 2);
  unpack_scales(block + 4, out);
}

// Byte 32 c + l of `packed`: value 64 c + l in its low nibble, value 64 c + 32 + l above.
void unpack_nibbles(const std::uint8_t* packed, Superblock& out) {
  for (std::size_t c = 0; c < 4; ++c)
    for (std::size_t l = 0; l < kGroup; ++l) {
      const std::uint8_t byte = packed[kGroup * c + l];
      out.quants[64 * c + l] = static_cast<std::int8_t>(byte & 15);
      out.quants[64 * c + kGroup + l] = static_cast<std::int8_t>(byte >> 4);
    }
}

float superblocks_row(Format format, std::size_t block_bytes, const std::uint8_t* row,
                      std::span<const std::int8_t> q, std::span<const float> scale) {
  float total = 0.0f;
  for (std::size_t b = 0; b < scale.size(); ++b) {
    const ActivationRow a{.q8k = q.subspan(b * kSuperblock, kSuperblock),
                          .q8k_scale = scale.subspan(b, 1)};
    total = total + segment_product(format, row + b * block_bytes, kSuperblock, a);
  }
  return total;
}

}  // namespace

bool quantize_q8k(std::span<const float> x, std::span<std::int8_t> q, std::span<float> scale) {
  return quantize_blocks(x, q, scale, kSuperblock);
}

void superblock_q4_k(const std::uint8_t* block, Superblock& out) {
  unpack_head(block, out);
  unpack_nibbles(block + 16, out);
}

void superblock_q5_k(const std::uint8_t* block, Superblock& out) {
  unpack_head(block, out);
  const std::uint8_t* high = block + 16;  // bit j of byte l: bit 4 of value 32 j + l
  unpack_nibbles(block + 48, out);
  for (std::size_t i = 0; i < kSuperblock; ++i)
    out.quants[i] =
        static_cast<std::int8_t>(out.quants[i] | (high[i % kGroup] >> (i / kGroup) & 1) << 4);
}

void superblock_q6_k(const std::uint8_t* block, Superblock& out) {
  const std::uint8_t *low = block, *high = block + 128;
  // Halves of 128 values; in each, value 32 j + l has its low four bits in nibble j / 2 of byte
  // 32 (j mod 2) + l of `low` and its high two at bits 2 j of byte l of `high`.
  for (std::size_t half = 0; half < 2; ++half, low += 64, high += 32)
    for (std::size_t i = 0; i < 128; ++i) {
      const std::size_t j = i / kGroup, l = i % kGroup;
      const int value = (low[kGroup * (j % 2) + l] >> (j / 2 * 4) & 15) | (high[l] >> (2 * j) & 3)
                                                                              << 4;
      out.quants[128 * half + i] = static_cast<std::int8_t>(value - 32);
    }
  for (std::size_t j = 0; j < 16; ++j) out.scales[j] = static_cast<std::int8_t>(block[192 + j]);
  out.d = load_le<std::uint16_t>(block + 208);
  out.dmin = 0;
}

float row_q4_k(const std::uint8_t* row, std::span<const std::int8_t> q,
               std::span<const float> scale) {
  return superblocks_row(Format::q4_k, 144, row, q, scale);
}

float row_q5_k(const std::uint8_t* row, std::span<const std::int8_t> q,
               std::span<const float> scale) {
  return superblocks_row(Format::q5_k, 176, row, q, scale);
}

float row_q6_k(const std::uint8_t* row, std::span<const std::int8_t> q,
               std::span<const float> scale) {
  return superblocks_row(Format::q6_k, 210, row, q, scale);
}

}  // namespace assay::canon
