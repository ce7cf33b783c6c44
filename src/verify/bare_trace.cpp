#include "verify/bare_trace.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace assay::verify {

void BareTrace::reserve(std::uint32_t positions) {
  const std::size_t before = positions_.size();
  if (positions <= before) return;
  positions_.resize(positions);
  for (std::size_t t = before; t < positions; ++t) {
    positions_[t].cells.resize(layers_);
    positions_[t].come.resize(layers_);
  }
}

// Touches nothing but the position itself where that is reserved.
void BareTrace::cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
                     std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) {
  ASSAY_ASSERT(layer < layers_);
  reserve(position + 1);
  positions_[position].cells[layer] = {vector_root(x), vector_root(k), vector_root(v)};
  positions_[position].come[layer] = true;
}

void BareTrace::head(std::uint32_t position, std::span<const float> x,
                     std::span<const float> logits, engine::Token token) {
  reserve(position + 1);
  positions_[position].head = Head{vector_root(x), vector_root(logits), token};
}

void BareTrace::fault(engine::NumericFault fault) {
  reserve(fault.position + 1);
  positions_.resize(std::size_t{fault.position} + 1);
  positions_.back().head.reset();
  fault_ = fault;
}

TraceBuilder BareTrace::salted(const Hash& secret) const {
  TraceBuilder out(secret, layers_);
  const auto count = static_cast<std::uint32_t>(positions_.size());
  out.reserve(count);
  for (std::uint32_t t = 0; t < count; ++t) {
    const Position& p = positions_[t];
    for (std::uint32_t l = 0; l < layers_; ++l) {
      if (!p.come[l]) continue;
      std::array<std::uint8_t, TraceBuilder::kMemoBytes> memo;
      auto to = memo.begin();
      for (const Hash& root : p.cells[l]) to = std::ranges::copy(root, to).out;
      out.recall(t, l, memo);
    }
    if (p.head) out.recall_head(t, p.head->x, p.head->logits, p.head->token);
  }
  if (fault_) out.fault(*fault_);
  return out;
}

void TeeSink::reserve(std::uint32_t positions) {
  first_.reserve(positions);
  second_.reserve(positions);
}
void TeeSink::cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
                   std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) {
  first_.cell(position, layer, x, k, v);
  second_.cell(position, layer, x, k, v);
}
void TeeSink::head(std::uint32_t position, std::span<const float> x, std::span<const float> logits,
                   engine::Token token) {
  first_.head(position, x, logits, token);
  second_.head(position, x, logits, token);
}
void TeeSink::expect_logits(std::uint32_t position, std::size_t count) {
  first_.expect_logits(position, count);
  second_.expect_logits(position, count);
}
void TeeSink::logits(std::uint32_t position, std::size_t part, std::span<const float> values) {
  first_.logits(position, part, values);
  second_.logits(position, part, values);
}
void TeeSink::fault(engine::NumericFault fault) {
  first_.fault(fault);
  second_.fault(fault);
}

}  // namespace assay::verify
