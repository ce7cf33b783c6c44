// One leaf of a trace as somebody who has model and opening computes it: every value of every op
// that leads into it, and the proof of any of its steps (spec/dispute.md sections 3 to 5). The
// arithmetic is the referee's own execute_step, element by element.
#pragma once
#include "engine/isa.hpp"
#include "protocol/files.hpp"
#include "verify/model_trees.hpp"
#include "verify/referee/referee.hpp"
#include "verify/replay.hpp"
#include "verify/trace.hpp"

namespace assay::verify {

// What both sides of a dispute have: the opening is the one request and statement commit to.
struct Opened {
  Subject subject;
  std::shared_ptr<const ModelTrees> model;
  protocol::Opening opening;
  std::shared_ptr<const engine::Constraint> constraint{};  // of the request; null: none
  protocol::ConstraintParts parts{};                       // its

  const Hash& secret() const { return opening.salt_secret; }
};

// The states of an execution that one leaf is computed from.
struct LeafStates {
  // Cache rows of one layer, position after position, and the roots of what entered it.
  struct Rows {
    std::vector<Hash> x_roots;
    std::vector<std::uint16_t> k, v;
  };
  std::vector<float> x;  // entering leaf (t, index - 1); empty where index is 0
  Rows before;           // of layer index - 1, positions 0 … t; empty where index is 0
  Rows own;              // where runs_own_layer: of layer index, positions 0 … t - 1
};

// One prefill of the positions up to the leaf's; memory of one layer (two for a fault leaf) beside
// the engine's cache. Errors: invalid when this execution has no such leaf to compute, because it
// meets a numeric fault before; refused when the KV cache would take more than kv_bytes_max;
// cancelled.
Result<LeafStates> leaf_states(const Opened& run, const LeafPlace& place, ThreadPool& pool,
                               engine::Isa isa, const ReplayProgress& progress = {},
                               std::size_t kv_bytes_max = kReplayKvBytes);

// Where leaf openings get the hashes beside them. A challenger's own trace differs from the
// provider's beyond the disputed leaf: there it puts what was revealed.
struct TracePaths {
  virtual ~TracePaths() = default;
  // Sibling hashes, nearest first: of a position in the tree over positions, and of a leaf in that
  // of its position.
  virtual std::vector<Hash> over_positions(std::uint32_t position) const = 0;
  virtual std::vector<Hash> in_position(std::uint32_t position, std::uint32_t leaf) const = 0;
};

// Of a complete trace of one's own, which must outlive it.
class OwnTrace final : public TracePaths {
 public:
  explicit OwnTrace(const TraceBuilder& trace);
  std::vector<Hash> over_positions(std::uint32_t position) const override;
  std::vector<Hash> in_position(std::uint32_t position, std::uint32_t leaf) const override;

 private:
  const TraceBuilder& trace_;
  std::vector<Hash> positions_;  // leaf hashes
};

class LeafExecution {
 public:
  // run must outlive it.
  LeafExecution(const Opened& run, const LeafPlace& place, LeafStates states);

  // Computes ops [from, to) from what is there before them; ends at a step that faults. Errors:
  // invalid when the leaf cannot be computed (a token outside the vocabulary).
  Status compute(ThreadPool& pool, std::uint32_t from = 0, std::uint32_t to = UINT32_MAX);

  const Opened& run() const { return run_; }
  const LeafPlace& place() const { return place_; }
  const LeafStates& states() const { return states_; }
  const OpList& ops() const { return list_; }
  const Op& op(std::uint32_t index) const { return list_.ops[index]; }
  // Index of the op with this name, as in spec/dispute.md.
  std::optional<std::uint32_t> find(std::string_view name) const;

  // The first step that faults: op, lowest element, and how many running values come before.
  struct Fault {
    std::uint32_t op = 0;
    std::uint64_t element = 0;
    std::uint32_t running = 0;
  };
  const std::optional<Fault>& fault() const { return fault_; }
  // Ops that have all their values: those before a fault, or before what was not computed. Of the
  // op that faults, the values before the element are there.
  std::uint32_t computed() const { return computed_; }

  // All of an op's values, chunk after chunk; one chunk (of the op that faults, as much as is
  // known); one value's bits.
  ByteView values(std::uint32_t op) const { return values_[op]; }
  ByteView chunk(std::uint32_t op, std::uint64_t chunk) const;
  std::uint32_t value(std::uint32_t op, std::uint64_t element) const;
  // Replaces an op's values by others of the same number: those of another execution.
  void put(std::uint32_t op, Bytes values);

  std::vector<Hash> chunk_leaves(std::uint32_t op) const;  // of the chunks that are known whole
  Hash root(std::uint32_t op) const;  // of a scalar: its 4 bytes, zero-padded (Revealed)
  // r_0 … of an element; ends before a step that faults.
  Result<std::vector<std::uint32_t>> running(std::uint32_t op, std::uint64_t element) const;

  // What the leaf commits to, the salt included, as far as it exists.
  Hash salt() const;
  Hash x_root() const;
  Hash k_root() const;
  Hash v_root() const;
  Hash logits_root() const;
  std::uint32_t token() const;
  Hash leaf_hash() const;
  // The leaf's preimage after the index (spec/dispute.md section 4, phase "ops").
  Bytes preimage() const;

  // Hashes a referee needs to have seen revealed, from this execution and a trace of one's own.
  Revealed revealed(const TraceBuilder& trace) const;

  // The openings of one step's inputs. The pool hashes the tensor that is opened.
  Result<Bytes> write_proof(const StepPlace& place, const TracePaths& paths,
                            ThreadPool& pool) const;

 private:
  Status compute_op(std::uint32_t op, ThreadPool& pool);
  void choose_threshold(std::uint32_t op);
  void choose_alternatives(std::uint32_t op);
  std::optional<std::uint32_t> tied(Op::Tie tie) const;
  // Where a chunk of an op begins in values().
  std::uint64_t offset(const Op& op, std::uint64_t chunk) const;
  // Number i of an op's values as an element: they differ where chunks are segments.
  std::uint64_t element_of(const Op& op, std::uint64_t i) const;
  std::span<const float> floats(std::uint32_t op) const;

  const Opened& run_;
  LeafPlace place_;
  LeafStates states_;
  OpList list_;
  std::vector<Bytes> values_;  // of every op
  std::uint32_t computed_ = 0;
  std::optional<Fault> fault_;
};

}  // namespace assay::verify
