// Small types every engine header shares.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "canon/sampling.hpp"

namespace assay::engine {

using Token = std::uint32_t;

using LogitBias = canon::LogitBias;

class Constraint;

// Sampling as a buyer signs it (spec/canon.md, "Sampling"): applied in the order of the fields.
// Bits of the floats are what counts. The defaults change nothing.
struct Sampling {
  std::vector<LogitBias> logit_bias{};  // ascending token ids, each once
  float repetition_penalty = 1.0f;      // finite, > 0; over prompt and answer
  float presence_penalty = 0.0f;        // finite; over the answer
  float frequency_penalty = 0.0f;       // finite; over the answer
  float temperature = 0.0f;             // 0: arg-max, ties to the lowest id; else finite and > 0
  std::shared_ptr<const Constraint> constraint{};  // of the answer (constraint.hpp); null: none
  std::uint32_t top_k = 0;  // keeps the k largest, ties included; 0 keeps every token
  float top_p = 1.0f;       // (0, 1]; 1 keeps every token
  float min_p = 0.0f;       // [0, 1]; 0 keeps every token
  std::uint64_t seed = 0;   // keys Philox4x32-10
  // First position of the answer (what the buyer's prompt holds before any continuation): where
  // presence and frequency begin to count, and the constraint's automaton to read.
  std::uint32_t answer_from = 0;
};

// One of the likeliest tokens of a head: log-probability under the raw logits.
struct TokenLogprob {
  Token token;
  float logprob;
};

// A NaN or infinity met at this place ends the trace: the same on every implementation.
// layer == layer count means the head (final norm, logits or sampling).
struct NumericFault {
  std::uint32_t position = 0;
  std::uint32_t layer = 0;
};

// Logits go to a sink in parts of so many.
inline constexpr std::size_t kLogitsPart = 1024;

// Receives the states a trace commits to, in this order for any batching: positions may arrive
// out of order across calls only in that all cells of one layer of a batch come together;
// a consumer must key on (position, layer). Spans die when the call returns.
// A cell is delivered once its layer ended without a fault. A batch may learn of a fault late:
// after fault(p, l), cells and heads already delivered for positions > p are void and the consumer
// drops them; what remains is the same for any batching.
struct StateSink {
  virtual ~StateSink() = default;
  // cell() of positions below this will come, of different positions perhaps from several threads
  // at once. head() and fault() come from one thread, when no cell() is under way.
  virtual void reserve(std::uint32_t positions) { (void)positions; }
  // x: residual stream entering the layer (dim floats). k, v: the rows this layer wrote to the
  // cache for this position, as IEEE fp16 bits (kv_dim each).
  virtual void cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
                    std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) = 0;
  // Only where a token is sampled. x: residual stream leaving the last layer (dim floats, before
  // the final norm); logits: vocabulary floats; token: the one chosen for position + 1.
  virtual void head(std::uint32_t position, std::span<const float> x, std::span<const float> logits,
                    Token token) = 0;
  // Before a head(), perhaps: how many logits it will have, and then all of them in parts of
  // kLogitsPart (the last may be shorter), so that they can be hashed by the threads that compute
  // them. The first comes when no part is under way; parts like cell(), at the same time.
  virtual void expect_logits(std::uint32_t position, std::size_t count) {
    (void)position, (void)count;
  }
  virtual void logits(std::uint32_t position, std::size_t part, std::span<const float> values) {
    (void)position, (void)part, (void)values;
  }
  virtual void fault(NumericFault fault) = 0;

  // A prefix cache replaces the computation of a position by what a sink of the same kind kept of
  // it: the consumer must end in the same state by recall() as by cell(). 0: nothing is kept, and
  // such a sink is never given cached positions.
  virtual std::size_t memo_bytes() const { return 0; }  // per (position, layer)
  // Directly after cell(position, layer, …) of a page that may be shared.
  virtual void keep(std::uint32_t position, std::uint32_t layer, std::span<std::uint8_t> memo) {
    (void)position, (void)layer, (void)memo;
  }
  virtual void recall(std::uint32_t position, std::uint32_t layer,
                      std::span<const std::uint8_t> memo) {
    (void)position, (void)layer, (void)memo;
  }
};

}  // namespace assay::engine
