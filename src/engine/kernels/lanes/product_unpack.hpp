// Unpacking of GGUF rows into panels in plain code: for instruction sets without one of their own.
// Blocks have eight steps of four int8 columns.
#pragma once
#include "canon/fp16.hpp"
#include "canon/q8.hpp"
#include "canon/q8k.hpp"
#include "engine/kernels/lanes/product.hpp"

namespace assay::engine::lanes {

template <class S>
std::uint16_t half_at(const std::uint8_t* p) {
  std::uint16_t h;
  __builtin_memcpy(&h, p, 2);
  return h;
}

template <class S>
std::uint32_t pair_of(int low, int high) {
  return (static_cast<std::uint32_t>(low) & 0xffffu) | static_cast<std::uint32_t>(high) << 16;
}

template <class S>
void unpack_blocks(canon::Format format, const UnitRows& rows, std::size_t first_block, int blocks,
                   BlockPanel& panel) {
  const bool q8 = format == canon::Format::q8_0;
  for (std::uint32_t row = 0; row < rows.count; ++row)
    for (int b = 0; b < blocks; ++b) {
      const std::uint8_t* block = rows.row[row] + (first_block + b) * (q8 ? 34 : 18);
      std::int8_t values[kBlockColumns];
      q8 ? canon::block_q8_0(block, values) : canon::block_q4_0(block, values);
      for (int k = 0; k < 8; ++k) __builtin_memcpy(&panel.steps[8 * b + k][row], values + 4 * k, 4);
      panel.scale[b][row] = canon::from_fp16(half_at<S>(block));
    }
}

template <class S, class K>
void unpack_super(const UnitRows& rows, std::size_t superblock, SuperPanel& panel) {
  for (std::uint32_t row = 0; row < rows.count; ++row) {
    const std::uint8_t* p = rows.row[row] + superblock * K::bytes;
    canon::Superblock s;
    if constexpr (K::format == canon::Format::q4_k)
      canon::superblock_q4_k(p, s);
    else if constexpr (K::format == canon::Format::q5_k)
      canon::superblock_q5_k(p, s);
    else
      canon::superblock_q6_k(p, s);
    if constexpr (!K::has_mins)
      for (std::int8_t& q : s.quants) q = static_cast<std::int8_t>(q + 32);
    for (int k = 0; k < kQuads; ++k) __builtin_memcpy(&panel.quads[k][row], s.quants + 4 * k, 4);
    for (int g = 0; g < K::groups; ++g) panel.scales[g][row] = pair_of<S>(s.scales[g], s.scales[g]);
    for (int i = 0; i < K::sum_steps; ++i)
      panel.sum_weights[i][row] = K::has_mins ? pair_of<S>(s.mins[2 * i], s.mins[2 * i + 1])
                                              : pair_of<S>(s.scales[2 * i], s.scales[2 * i + 1]);
    panel.d[row] = canon::from_fp16(s.d);
    panel.dmin[row] = canon::from_fp16(s.dmin);
  }
}

template <class S>
void unpack_plain(canon::Format format, const UnitRows& rows, std::size_t column, int columns,
                  PlainPanel& panel) {
  for (std::uint32_t row = 0; row < rows.count; ++row)
    for (int c = 0; c < columns; ++c) {
      const std::size_t at = column + c;
      if (format == canon::Format::f32)
        __builtin_memcpy(&panel.values[c][row], rows.row[row] + 4 * at, 4);
      else if (format == canon::Format::f16)
        panel.values[c][row] = canon::from_fp16(half_at<S>(rows.row[row] + 2 * at));
      else {
        const std::uint32_t bits = std::uint32_t{half_at<S>(rows.row[row] + 2 * at)} << 16;
        __builtin_memcpy(&panel.values[c][row], &bits, 4);
      }
    }
}

template <class S, class K>
void sums_of_groups(const std::int16_t* sums, std::int32_t* pairs) {
  for (int i = 0; i < K::sum_steps; ++i)
    pairs[i] = static_cast<std::int32_t>(
        K::has_mins ? pair_of<S>(sums[4 * i] + sums[4 * i + 1], sums[4 * i + 2] + sums[4 * i + 3])
                    : pair_of<S>(sums[2 * i], sums[2 * i + 1]));
}

}  // namespace assay::engine::lanes
