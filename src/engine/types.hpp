// Small types every engine header shares.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace assay::engine {

using Token = std::uint32_t;

// Sampling as a buyer signs it (spec/canon.md, "Sampling"). Bits of the floats are what counts.
struct Sampling {
  float temperature = 0.0f;  // 0: arg-max, ties to the lowest id; else finite and > 0
  float top_p = 1.0f;        // (0, 1]; 1 keeps every token
  std::uint64_t seed = 0;    // keys Philox4x32-10
};

// A NaN or infinity met at this place ends the trace: the same on every implementation.
// layer == layer count means the head (final norm, logits or sampling).
struct NumericFault {
  std::uint32_t position = 0;
  std::uint32_t layer = 0;
};

// Receives the states a trace commits to, in this order for any batching: positions may arrive
// out of order across calls only in that all cells of one layer of a batch come together;
// a consumer must key on (position, layer). Spans die when the call returns.
// A cell is delivered once its layer ended without a fault. A batch may learn of a fault late:
// after fault(p, l), cells and heads already delivered for positions > p are void and the consumer
// drops them; what remains is the same for any batching.
struct StateSink {
  virtual ~StateSink() = default;
  // x: residual stream entering the layer (dim floats). k, v: the rows this layer wrote to the
  // cache for this position, as IEEE fp16 bits (kv_dim each).
  virtual void cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
                    std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) = 0;
  // Only where a token is sampled. x: residual stream leaving the last layer (dim floats, before
  // the final norm); logits: vocabulary floats; token: the one chosen for position + 1.
  virtual void head(std::uint32_t position, std::span<const float> x, std::span<const float> logits,
                    Token token) = 0;
  virtual void fault(NumericFault fault) = 0;
};

}  // namespace assay::engine
