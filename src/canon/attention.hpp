// Causal attention of one query head over its cache. spec/canon.md, "Attention". The softmax is
// split at absolute positions, so one pass over the cache suffices and no batch or cache boundary
// can matter.
#pragma once
#include <cstdint>
#include <span>

namespace assay::canon {

// Keys and values of one KV head as binary16: head_dim values of position p at data + p * stride.
struct CacheRows {
  const std::uint16_t* keys;
  std::size_t key_stride;
  const std::uint16_t* values;
  std::size_t value_stride;
};

// 1 / sqrt(head_dim): an IEEE square root, then an IEEE division.
float attention_scale(std::uint32_t head_dim);

// q and out: head_dim floats. positions: how many the query sees (its own included), ≥ 1.
// Fault (false; out unspecified): a score is not finite. The caches must be finite.
bool attend(std::span<const float> q, const CacheRows& cache, std::size_t positions,
            std::span<float> out);

}  // namespace assay::canon
