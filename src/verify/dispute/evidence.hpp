// What a party to a dispute has in its hands: model, opening, and the trace of its own execution,
// all of it recomputed on demand.
#pragma once
#include "verify/dispute/players.hpp"

namespace assay::verify {

// A leaf that is executed from given states; the provider's values of what no step gives can be
// put in. `run` and the pool must outlive it.
class ExecutedLeaf final : public LeafEvidence {
 public:
  // `leaf` has been computed.
  ExecutedLeaf(LeafExecution leaf, ThreadPool& pool);
  const OpList& ops() const override { return leaf_.ops(); }
  Bytes preimage() const override { return leaf_.preimage(); }
  Hash salt() const override { return leaf_.salt(); }
  std::optional<Hash> leaf_hash() const override;
  std::uint32_t known_ops() const override;
  std::optional<FaultClaim> fault() const override;
  Hash op_root(std::uint32_t op) const override { return leaf_.root(op); }
  std::vector<Hash> chunk_leaves(std::uint32_t op) const override;
  Bytes chunk(std::uint32_t op, std::uint64_t chunk) const override;
  Result<std::vector<std::uint32_t>> running(std::uint32_t op,
                                             std::uint64_t element) const override {
    return leaf_.running(op, element);
  }
  Status adopt(std::uint32_t op, const Hash& root) override;
  Result<Bytes> prove(const StepPlace& place, const TracePaths& paths) const override {
    return leaf_.write_proof(place, paths, pool_);
  }

 private:
  // Where what this side knows ends: at a fault, or in numbers that are not what they should be.
  struct End {
    std::uint32_t op = 0;
    std::uint64_t element = 0;
  };
  Status adopt_logprobs(std::uint32_t op, const Hash& root);

  LeafExecution leaf_;
  ThreadPool& pool_;
  std::optional<End> end_;
};

// The evidence of an execution of one's own. Computes a leaf when asked for it and keeps the last.
class OwnEvidence final : public Evidence {
 public:
  // `trace` is the complete trace of that execution and `fault` where it ends, if it does. All
  // must outlive it.
  OwnEvidence(const Opened& run, const TraceBuilder& trace,
              std::optional<engine::NumericFault> fault, ThreadPool& pool, engine::Isa isa,
              std::optional<std::uint32_t> beside_trace = std::nullopt,
              std::size_t kv_bytes_max = kReplayKvBytes);
  const Hash& secret() const override { return run_.secret(); }
  std::span<const Hash> positions() const override { return positions_; }
  std::vector<Hash> leaves(std::uint32_t position) const override {
    return trace_.leaves(position);
  }
  std::optional<LeafPlace> fault() const override { return fault_; }
  std::optional<std::uint32_t> beside_trace() const override { return beside_trace_; }
  Result<std::shared_ptr<LeafEvidence>> leaf(const LeafPlace& place) override;

 private:
  const Opened& run_;
  const TraceBuilder& trace_;
  std::vector<Hash> positions_;
  std::optional<LeafPlace> fault_;
  std::optional<std::uint32_t> beside_trace_;
  std::size_t kv_bytes_max_;
  ThreadPool& pool_;
  engine::Isa isa_;
  LeafPlace last_place_;
  std::shared_ptr<LeafEvidence> last_;
};

}  // namespace assay::verify
