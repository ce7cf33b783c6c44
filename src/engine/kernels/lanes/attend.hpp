// Attention for any vector width, in two shapes: a few rows (decode), whose lanes are positions or
// dimensions, and tiles of rows (prefill), whose lanes are rows throughout. Both keep every
// segment's maximum, sum and fold, and combine them at the end: the canon's only rescaling.
#pragma once
#include "engine/kernels/lanes/attend_rows.hpp"
#include "engine/kernels/lanes/attend_tiles.hpp"

namespace assay::engine::lanes {

template <class S>
void attend(const AttentionRow* rows, std::uint32_t count, const AttentionCache& cache, float scale,
            float* scratch) {
  if (count >= S::tile_from)
    attend_tiles<S>(rows, count, cache, scale, scratch);
  else
    attend_rows<S>(rows, count, cache, scale, scratch);
}

}  // namespace assay::engine::lanes
