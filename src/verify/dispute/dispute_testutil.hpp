// Disputes in memory: executions that commit to whatever a test wants them to, in the order in
// which the ops of spec/dispute.md follow from each other, and games between two of them.
#pragma once
#include "verify/dispute/evidence.hpp"
#include "verify/dispute/transcript.hpp"
#include "verify/verify_testutil.hpp"

namespace assay::verify {

// One op's value that is not what follows from its inputs.
struct WorldLie {
  LeafPlace leaf;
  std::uint32_t op = 0;
  std::uint64_t element = 0;  // as stored: LeafExecution::values
  std::uint32_t flip = 1;     // bits
  bool downstream = true;     // everything later follows from it; else nothing else changes
  std::optional<std::uint32_t> step{};  // the running value of that step alone; no value changes
};

// A whole execution, every committed value of it: honest, or with one lie. It takes zeros where a
// step faults and goes on. Copies are cheap enough to make one for each lie.
class World final : public Evidence {
 public:
  // The honest one. m answer tokens are chosen from the prompt of `request`.
  World(std::shared_ptr<const ModelTrees> model, const Program& program,
        const protocol::Request& request, const protocol::Opening& opening, ThreadPool& pool);
  // The same but for a lie, with the roots that follow.
  World lying(const WorldLie& lie) const;
  // The same with another salt for this leaf.
  World salted(const LeafPlace& leaf) const;
  // This execution's states under another's statement and opening: what a challenger has.
  World judging(const World& other) const { return with_run(other.run_); }
  World with_run(std::shared_ptr<Opened> run) const;

  const std::shared_ptr<Opened>& run() const { return run_; }
  std::shared_ptr<const Subject> subject() const {
    return std::make_shared<const Subject>(run_->subject);
  }
  std::uint32_t position_count() const { return static_cast<std::uint32_t>(leaves_.size()); }
  std::uint32_t leaf_count(std::uint32_t t) const {
    return static_cast<std::uint32_t>(leaves_[t].size());
  }
  LeafExecution execute(const LeafPlace& place) const;
  LeafStates states_of(const LeafPlace& place) const;

  const Hash& secret() const override { return run_->secret(); }
  std::span<const Hash> positions() const override { return positions_; }
  std::vector<Hash> leaves(std::uint32_t position) const override { return hashes_[position]; }
  std::optional<LeafPlace> fault() const override { return std::nullopt; }
  Result<std::shared_ptr<LeafEvidence>> leaf(const LeafPlace& place) override;

 private:
  struct Committed {
    Bytes x, k, v, logits;
    std::uint32_t token = 0;
    std::optional<Hash> salt;
  };
  // Runs the ops; where `record`, tokens and log-probabilities go into the opening.
  void run_ops(LeafExecution& leaf, bool record) const;
  void build(const LeafPlace& from);
  void commit(const LeafExecution& leaf);
  void sum_up();  // hashes and roots
  Hash hash_of(const LeafPlace& place) const;

  std::shared_ptr<Opened> run_;
  ThreadPool* pool_;
  std::vector<std::vector<Committed>> leaves_;
  std::vector<std::vector<Hash>> hashes_;
  std::vector<Hash> positions_;
  std::optional<WorldLie> lie_;
  std::shared_ptr<LeafEvidence> last_;
  LeafPlace last_place_;
};

// How a game between two players ended.
struct Ending {
  DisputeOutcome outcome = DisputeOutcome::open;
  Phase phase = Phase::positions;  // where
  StepPlace place;
  std::string op;        // name
  bool stalled = false;  // nobody could move
  std::string why;       // of a stall
  std::uint32_t rounds = 0;
  std::size_t proof = 0;  // bytes
  std::vector<Bytes> payloads;
};
// Where a challenger goes whatever it thinks of what is revealed.
struct Goal {
  LeafPlace leaf;
  std::optional<StepPlace> element{};  // and this op and element
};
Result<Bytes> towards(const Game& game, const Goal& goal, Evidence& challenger);
Ending play(Game game, Evidence& provider, Evidence& challenger,
            const std::optional<Goal>& goal = std::nullopt);
Game start(const World& world);

struct ToyRequest {
  std::vector<std::uint32_t> prompt{1, 8};
  std::uint32_t answer = 2;
  std::optional<std::uint32_t> constraint{};  // seed of one drawn
  std::function<void(protocol::Request&)> ask{};
};
// A toy model's execution of a request.
World toy_world(const ToyModel& toy, const ToyRequest& wanted, ThreadPool& pool);
// The program of a toy model, as its identity hashes it.
Program toy_program(const ToyModel& toy);

// Two keys, a ledger, and the Dispute that opens a game about a receipt of this execution.
struct Signers {
  explicit Signers(const World& world);
  protocol::Address provider_address() const { return crypto::address_of(provider); }
  PlayedMove signed_move(const Transcript& transcript, Bytes payload) const;

  protocol::Domain domain;
  crypto::SecretKey provider, challenger;
  protocol::Receipt receipt;
  protocol::Signed<protocol::Dispute> dispute;
};

}  // namespace assay::verify
