// A model's RoPE table, computed where it is used: a context of 131072 has 16 million entries, of
// which most requests read a few thousand rows. Values are canon::rope_table's, whoever asks first.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace assay::engine {

class RopeTable {
 public:
  static constexpr std::uint32_t kBlockPositions = 256;  // computed and kept together

  // Arguments as canon::rope_table wants them.
  RopeTable(std::uint32_t positions, std::uint32_t head_dim, float base, std::vector<float> factors,
            float linear);

  std::uint32_t positions() const { return positions_; }
  std::uint32_t head_dim() const { return head_dim_; }
  // cos, sin for every pair at a position: head_dim floats that live as long as the table. From any
  // thread.
  const float* row(std::uint32_t position) const;
  // Rows [first, first + out.size() / head_dim) into memory of the caller: nothing is kept.
  void compute(std::uint32_t first, std::span<float> out) const;

 private:
  const float* make_block(std::size_t index) const;

  std::uint32_t positions_, head_dim_;
  float base_, linear_;
  std::vector<float> factors_;
  mutable std::vector<std::atomic<const float*>> blocks_;  // null until computed
  mutable std::mutex mutex_;                               // guards owned_ and who computes
  mutable std::vector<std::unique_ptr<float[]>> owned_;
};

}  // namespace assay::engine
