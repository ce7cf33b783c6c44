// The dispute about one statement: which of the provider's commitments a challenger looks at, until
// one step is left (spec/dispute.md sections 4 and 6). Pure: no I/O, no clock, no signatures; at
// most 64 KB. A game is what the list of its payloads makes of it, so it is stored as that list.
#pragma once
#include <memory>

#include "verify/dispute/tree.hpp"
#include "verify/referee/referee.hpp"

namespace assay::verify {

enum class Side : std::uint8_t { provider, challenger };
enum class Phase : std::uint8_t { positions, leaves, ops, chunks, values, running, step, salt };
enum class DisputeOutcome : std::uint8_t { open, provider_wrong, challenger_wrong, invalid_model };
std::string_view to_string(Phase phase);
std::string_view to_string(DisputeOutcome outcome);

// Instead of an op: the leaf's salt is not the secret's.
inline constexpr std::uint32_t kChooseSalt = 0xffffffff;
// No payload is longer: a proof's bound, which every reveal stays under.
inline constexpr std::size_t kPayloadMax = kProofMax;

// What the provider says of a fault: the op that has no root, its element and how many of the
// element's running values come before.
struct FaultClaim {
  std::uint32_t op = 0, element = 0, running = 0;
};

class Game {
 public:
  // Errors: invalid where the statement has no game: no positions, more than 2^18, c ≥ n (those are
  // judge_finish's).
  static Result<Game> start(std::shared_ptr<const Subject> subject, const Hash& dispute,
                            const Hash& statement);

  // Whose move it is; meaningless when the outcome is not open.
  Side turn() const;
  // The next move. Errors leave the game as it is: invalid (length or form, a choice that does not
  // exist), mismatch (does not hash to what was committed, a proof that does not open), refused (a
  // MUST is broken, or the game is over).
  Status play(ByteView payload);
  // The deadline of whoever's turn it is has passed. Errors: refused when the game is over.
  Status expire();
  DisputeOutcome outcome() const { return outcome_; }
  bool expired() const { return expired_; }

  // Hash over all moves so far, and how many there are, by each side.
  const Hash& state() const { return state_; }
  std::uint32_t moves() const { return provider_moves_ + challenger_moves_; }
  std::uint32_t provider_moves() const { return provider_moves_; }

  // Where the game stands: what players read.
  const Subject& subject() const { return *subject_; }
  Phase phase() const { return phase_; }
  // The tree phases: the node about to be revealed, or just revealed (turn() tells).
  const TreeNode& node() const { return node_; }
  // Reveals so far of the positions, of the leaves of the position, of the chunks of the op.
  std::span<const Descent> position_descents() const { return positions_; }
  std::span<const Descent> leaf_descents() const { return leaves_; }
  std::span<const Descent> chunk_descents() const { return chunks_; }
  const StepPlace& place() const { return place_; }  // as far as it has been chosen
  const Revealed& revealed() const { return revealed_; }
  const OpList& ops() const { return ops_; }  // from phase ops on
  const std::optional<FaultClaim>& fault() const { return fault_; }
  std::uint64_t chunk() const { return chunk_; }
  ByteView values() const { return values_; }  // of the chunk
  std::span<const std::uint32_t> running() const { return running_; }

 private:
  Game() = default;
  Status reveal(ByteView payload);
  Status reveal_positions(ByteView payload);
  Status reveal_leaves(ByteView payload);
  Status reveal_ops(ByteView payload);
  Status reveal_values(ByteView payload);
  Status reveal_running(ByteView payload);
  Status choose(std::uint32_t choice);
  Status choose_child(std::vector<Descent>& descents, std::uint32_t choice);
  Status choose_op(std::uint32_t choice);
  Status judge(ByteView proof);
  void enter_chunk();
  void enter_element(std::uint32_t index);
  bool at_fault() const { return fault_ && place_.op == fault_->op; }
  std::uint32_t value_at(std::uint64_t index) const;  // bits, of values_

  std::shared_ptr<const Subject> subject_;
  Hash state_{};
  std::uint32_t provider_moves_ = 0, challenger_moves_ = 0;
  DisputeOutcome outcome_ = DisputeOutcome::open;
  bool expired_ = false;

  Phase phase_ = Phase::positions;
  bool choosing_ = false;  // the phase's reveal has been made
  TreeNode node_;
  Hash hash_{};  // of node_; in positions before the first reveal: unknown
  std::vector<Descent> positions_, leaves_, chunks_;
  StepPlace place_;
  Revealed revealed_;
  OpList ops_;
  std::optional<FaultClaim> fault_;
  std::uint64_t chunk_ = 0;
  Bytes values_;
  std::vector<std::uint32_t> running_;
};

// A game from its payloads. Errors name the first move that is not one.
Result<Game> replay_game(std::shared_ptr<const Subject> subject, const Hash& dispute,
                         const Hash& statement, std::span<const Bytes> payloads);

}  // namespace assay::verify
