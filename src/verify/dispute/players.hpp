// The two sides of a dispute. Both are functions of the game and of what they can recompute: after
// a crash they go on from the transcript alone.
#pragma once
#include "verify/dispute/game.hpp"
#include "verify/execution.hpp"

namespace assay::verify {

// One leaf as a player computes it. Where its own execution faults, ops and values end there:
// "known" below.
struct LeafEvidence {
  virtual ~LeafEvidence() = default;
  virtual const OpList& ops() const = 0;
  virtual Bytes preimage() const = 0;  // salt and roots, as phase "ops" reveals them
  virtual Hash salt() const = 0;
  virtual std::optional<Hash> leaf_hash() const = 0;  // nothing where a fault comes before it
  virtual std::uint32_t known_ops() const = 0;        // with all their values
  virtual std::optional<FaultClaim> fault() const = 0;
  virtual Hash op_root(std::uint32_t op) const = 0;  // a scalar: its 4 bytes, zero-padded
  virtual std::vector<Hash> chunk_leaves(std::uint32_t op) const = 0;    // known ones
  virtual Bytes chunk(std::uint32_t op, std::uint64_t chunk) const = 0;  // known values
  virtual Result<std::vector<std::uint32_t>> running(std::uint32_t op,
                                                     std::uint64_t element) const = 0;
  // Some values no step gives: κ, τ and the alternatives of lp. If `root` is what the provider
  // revealed of such an op and it may be meant, computes what follows from it; else changes
  // nothing.
  virtual Status adopt(std::uint32_t op, const Hash& root) = 0;
  virtual Result<Bytes> prove(const StepPlace& place, const TracePaths& paths) const = 0;
};

struct Evidence {
  virtual ~Evidence() = default;
  virtual const Hash& secret() const = 0;
  // Leaves of the tree over positions, of this side's own trace.
  virtual std::span<const Hash> positions() const = 0;
  virtual std::vector<Hash> leaves(std::uint32_t position) const = 0;
  // Where this side's own trace ends in a fault; so is any place of another trace up to there.
  virtual std::optional<LeafPlace> fault() const = 0;
  // The first position whose head gives another token, or other log-probabilities, than the
  // statement commits to beside its trace. There a challenger looks whose trace is the provider's.
  virtual std::optional<std::uint32_t> beside_trace() const { return std::nullopt; }
  virtual Result<std::shared_ptr<LeafEvidence>> leaf(const LeafPlace& place) = 0;
};

// The payload of the provider's next move. Errors: refused when it is not the provider's turn, or
// the game asks for what this side's trace does not have.
Result<Bytes> respond(const Game& game, Evidence& evidence);

// The payload of the challenger's next move: down to the first committed value that is not its own,
// in the order of spec/dispute.md. Errors: refused when it is not its turn; not_found when nothing
// revealed differs, which is to say that the provider is right.
Result<Bytes> challenge(const Game& game, Evidence& evidence);

}  // namespace assay::verify
