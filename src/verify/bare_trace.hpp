// A trace whose salts are not known yet: an auditor computes the states before it is told the salt
// secret, and needs the trace root after. What it keeps are the roots that leaves are made of.
#pragma once
#include "verify/trace.hpp"

namespace assay::verify {

class BareTrace final : public engine::StateSink {
 public:
  explicit BareTrace(std::uint32_t layers) : layers_(layers) {}

  void reserve(std::uint32_t positions) override;
  void cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
            std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) override;
  void head(std::uint32_t position, std::span<const float> x, std::span<const float> logits,
            engine::Token token) override;
  void fault(engine::NumericFault fault) override;

  // The trace that a TraceBuilder of this secret would have been told.
  TraceBuilder salted(const Hash& secret) const;
  // What it holds: 96 bytes a cell.
  std::size_t bytes() const { return positions_.size() * layers_ * sizeof(CellRoots); }

 private:
  using CellRoots = std::array<Hash, 3>;  // of x, k and v
  struct Head {
    Hash x{}, logits{};
    engine::Token token = 0;
  };
  struct Position {
    std::vector<CellRoots> cells;
    std::vector<bool> come;
    std::optional<Head> head;
  };

  std::uint32_t layers_;
  std::vector<Position> positions_;
  std::optional<engine::NumericFault> fault_;
};

// Passes everything on to two sinks.
class TeeSink final : public engine::StateSink {
 public:
  TeeSink(engine::StateSink& first, engine::StateSink& second) : first_(first), second_(second) {}
  void reserve(std::uint32_t positions) override;
  void cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
            std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) override;
  void head(std::uint32_t position, std::span<const float> x, std::span<const float> logits,
            engine::Token token) override;
  void expect_logits(std::uint32_t position, std::size_t count) override;
  void logits(std::uint32_t position, std::size_t part, std::span<const float> values) override;
  void fault(engine::NumericFault fault) override;

 private:
  engine::StateSink &first_, &second_;
};

}  // namespace assay::verify
