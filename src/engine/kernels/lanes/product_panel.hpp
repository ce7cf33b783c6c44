// Where a unit of kRowGroup rows is unpacked, one segment of 256 columns at a time: interleaved so
// that a vector holds the same columns of neighbouring rows. Small enough to stay in the nearest
// caches while every token is multiplied with it.
#pragma once
#include <cstddef>
#include <cstdint>

#include "engine/kernels/kernels.hpp"

namespace assay::engine::lanes {

inline constexpr int kUnit = kRowGroup;
inline constexpr int kSegmentColumns = 256;
inline constexpr int kQuads = kSegmentColumns / 4;
inline constexpr int kBlocksPerSegment = 8;
inline constexpr int kBlockColumns = 32;
inline constexpr int kLine = 64;  // bytes in a cache line

// Blocks of 32 with one scale. A step is four bytes per row: four int8 columns (8 steps to a
// block), or two columns as int16 (16 steps) where the instruction set multiplies those.
struct BlockPanel {
  std::uint32_t steps[kBlocksPerSegment * 16][kUnit];
  float scale[kBlocksPerSegment][kUnit];
  std::int32_t start[kBlocksPerSegment][kUnit];  // what a block's sum starts with, where not 0
};

// One K-quant superblock per row.
struct SuperPanel {
  std::uint32_t quads[kQuads][kUnit];   // four unsigned quants, 0…63
  std::uint32_t scales[16][kUnit];      // of a group, int16, twice
  std::uint32_t sum_weights[8][kUnit];  // int16 pairs that multiply neighbouring sums
  float d[kUnit], dmin[kUnit];
};

struct PlainPanel {
  float values[kSegmentColumns][kUnit];
};

union Panel {
  BlockPanel block;
  SuperPanel super;
  PlainPanel plain;
};

struct ProductScratch {
  Panel panel;
  float totals[kProductTokens][kUnit];
};

// The K-quants as the kernels see them. `short_quads`: how many quads may be added in int16, where
// each adds two products of a quant and an activation within ±127:
//   Q4_K  8 · 2 · 15 · 127 = 30480     Q5_K  4 · 2 · 31 · 127 = 31496     Q6_K  2 · 2 · 63 · 127 =
//   32004
// In int32: Q4_K, Q5_K at most 256 · 31 · 127 · 63 < 2^26; Q6_K 256 · 63 · 127 · 128 < 2^28.
struct Q4K {
  static constexpr auto format = canon::Format::q4_k;
  static constexpr std::size_t bytes = 144;
  static constexpr int groups = 8, short_quads = 8, sum_steps = 4;
  static constexpr bool has_mins = true;
};
struct Q5K {
  static constexpr auto format = canon::Format::q5_k;
  static constexpr std::size_t bytes = 176;
  static constexpr int groups = 8, short_quads = 4, sum_steps = 4;
  static constexpr bool has_mins = true;
};
struct Q6K {
  static constexpr auto format = canon::Format::q6_k;
  static constexpr std::size_t bytes = 210;
  static constexpr int groups = 16, short_quads = 2, sum_steps = 8;
  static constexpr bool has_mins = false;  // quants are stored + 32; the sums take that back
};

[[gnu::always_inline]] constexpr bool is_plain(canon::Format format) {
  return format == canon::Format::f32 || format == canon::Format::f16 ||
         format == canon::Format::bf16;
}

// The rows of one unit; those beyond `count` repeat the last one, so nothing past it is read.
struct UnitRows {
  const std::uint8_t* row[kUnit];
  std::uint32_t count;
  // From any byte of a segment to that of the next one to be unpacked, which is asked for while
  // this one is. 0: it is asked for between the tiles (Ahead).
  std::size_t ahead;
};

// Into the second cache: what asks for the first waits in one of its few fill buffers, and the
// memory is then half idle. The address may lie outside of the matrix.
[[gnu::always_inline]] inline void prefetch(const std::uint8_t* p, std::size_t ahead) {
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(p) + ahead), 0,
                     2);
}

// Asks for the next segment of a unit, a row or a few at a time: while one is unpacked the memory
// could not keep up, and while tiles are multiplied it has nothing to do.
struct Ahead {
  const UnitRows& rows;
  std::size_t offset;  // from here to the next segment's place in a row, in the sense of prefetch()
  std::uint32_t each;  // rows at a time
  std::uint32_t row = 0;
  [[gnu::always_inline]] void some() {
    for (std::uint32_t i = 0; i < each && row < rows.count; ++i, ++row) {
      const auto at = reinterpret_cast<std::uintptr_t>(rows.row[row]) + offset;
      // A segment of Q8_0, the largest, has 272 bytes, and begins anywhere in a line.
#pragma GCC unroll 6
      for (int line = 0; line < 6; ++line)
        __builtin_prefetch(reinterpret_cast<const void*>(at + kLine * line), 0, 3);
    }
  }
};

template <class S>
[[gnu::always_inline]] inline void find_rows(const Matrix& w, std::uint32_t first,
                                             std::uint32_t count, std::uint32_t filled,
                                             UnitRows& out) {
  out.count = count;
  for (std::uint32_t r = 0; r < filled; ++r)
    out.row[r] = w.data + (first + (r < count ? r : count - 1)) * w.row_bytes;
}

}  // namespace assay::engine::lanes
