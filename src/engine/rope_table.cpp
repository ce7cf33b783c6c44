#include "engine/rope_table.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "canon/fp_environment.hpp"
#include "canon/rope.hpp"

namespace assay::engine {

RopeTable::RopeTable(std::uint32_t positions, std::uint32_t head_dim, float base,
                     std::vector<float> factors, float linear)
    : positions_(positions),
      head_dim_(head_dim),
      base_(base),
      linear_(linear),
      factors_(std::move(factors)),
      blocks_((positions + kBlockPositions - 1) / kBlockPositions) {}

void RopeTable::compute(std::uint32_t first, std::span<float> out) const {
  const canon::FpEnvironment environment;
  canon::rope_rows(first, head_dim_, base_, factors_, linear_, out);
}

const float* RopeTable::row(std::uint32_t position) const {
  ASSAY_ASSERT(position < positions_);
  const std::size_t index = position / kBlockPositions;
  const float* block = blocks_[index].load(std::memory_order_acquire);
  if (block == nullptr) block = make_block(index);
  return block + std::size_t{position % kBlockPositions} * head_dim_;
}

const float* RopeTable::make_block(std::size_t index) const {
  const std::lock_guard lock(mutex_);
  if (const float* made = blocks_[index].load(std::memory_order_relaxed)) return made;
  const auto first = static_cast<std::uint32_t>(index * kBlockPositions);
  const std::size_t values = std::size_t{std::min(kBlockPositions, positions_ - first)} * head_dim_;
  auto block = std::make_unique<float[]>(values);
  compute(first, {block.get(), values});
  const float* made = block.get();
  owned_.push_back(std::move(block));
  blocks_[index].store(made, std::memory_order_release);
  return made;
}

}  // namespace assay::engine
