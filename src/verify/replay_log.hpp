// What a replay remembers of the positions it has done: enough for another run to go on.
//
//   header  "assay/replay-state/v0" ‖ sha256 of secret, sampling, tokens and shape
//   payload le32 positions ‖ of each: le32 leaves ‖ leaves ‖ k rows ‖ v rows (le16,
//   [position][layer]
//           [kv_dim]) ‖ le32 number ‖ tokens chosen ‖ le32 number ‖ log-probability numbers
#pragma once
#include "verify/replay.hpp"

namespace assay::verify {

// Some consecutive positions.
struct ReplayStep {
  std::vector<std::vector<Hash>> leaves;
  std::vector<std::uint16_t> k, v;
  std::vector<std::uint32_t> sampled, logprobs;
};

class ReplayLog {
 public:
  ReplayLog(AuditJournal* store, const Execution& execution, std::span<const engine::Token> tokens,
            const engine::Hyper& hyper);
  Result<std::vector<ReplayStep>> open();
  Status append(const ReplayStep& step);
  bool on() const { return log_.on(); }
  std::unexpected<Error> not_ours() const;

 private:
  Result<ReplayStep> parse(ByteView payload) const;

  std::size_t layers_, kv_dim_;
  RecordLog log_;
};

// Passes everything on to a trace, and keeps the cache rows of one step's positions.
class StepSink final : public engine::StateSink {
 public:
  StepSink(TraceBuilder& trace, const engine::Hyper& hyper, std::size_t first, std::size_t count);

  void reserve(std::uint32_t positions) override;
  void cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
            std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) override;
  void head(std::uint32_t position, std::span<const float> x, std::span<const float> logits,
            engine::Token token) override {
    trace_.head(position, x, logits, token);
  }
  void expect_logits(std::uint32_t position, std::size_t count) override {
    trace_.expect_logits(position, count);
  }
  void logits(std::uint32_t position, std::size_t part, std::span<const float> values) override {
    trace_.logits(position, part, values);
  }
  void fault(engine::NumericFault fault) override { trace_.fault(fault); }

  // Once its positions are complete.
  ReplayStep step(std::vector<std::uint32_t> sampled, std::vector<std::uint32_t> logprobs);

 private:
  TraceBuilder& trace_;
  std::size_t layers_, kv_dim_, first_, count_;
  std::vector<std::uint16_t> k_, v_;
};

}  // namespace assay::verify
