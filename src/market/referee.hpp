// Who decides a dispute about a statement: a game of moves that ends in one step executed from
// proofs (spec/dispute.md). Declared here, implemented by settle/dispute_referee. Pure: what it
// says follows from its arguments, everywhere and for ever; the ledger's log is replayed with it.
#pragma once
#include "market/operation.hpp"

namespace assay::market {

// Everything a dispute is decided from, beside its moves. Already checked by the ledger: signatures
// of lease, request and statement, that they belong together, and that `program` is what the
// execution id names.
struct DisputeCase {
  Domain domain;
  Hash dispute{};  // its id: digest of the challenger's message
  Hash subject{};  // of that message: the statement's digest, or that of an auditor's pass of it
  Address challenger{};
  Address defender{};  // plays the provider's part: the lease's provider, or that auditor
  protocol::Lease lease;
  protocol::Request request;
  Statement statement;
  protocol::ExecutionId execution;
  Bytes program;
};

enum class Turn : std::uint32_t { provider = 0, challenger = 1, over = 2 };

struct GameStatus {
  Turn turn = Turn::provider;
  // Once over: provider_right, provider_wrong or invalid_model.
  protocol::Outcome outcome = protocol::Outcome::not_judged;
  std::string reason;  // once over: one line; position, leaf, op, element, both values
  Hash state{};        // of spec/dispute.md section 6, after the last move
  std::uint32_t moves = 0, rounds = 0;  // a round: the provider reveals, the challenger chooses
};

// What an auditor committed to (CommitAudit), and what its nonce is made from.
struct KeyedCommit {
  Hash beacon{}, audit{};
  Address auditor{};
  Hash nonce_hash{}, root_hash{};
};

struct Referee {
  virtual ~Referee() = default;
  // The game after these moves, the provider's first; each signature is checked. Errors name the
  // first move that is none (spec/dispute.md section 4: refused, the clock runs on), or say why the
  // statement has no game.
  virtual Result<GameStatus> replay(const DisputeCase& about,
                                    std::span<const SignedMove> moves) const = 0;
  // The dispute without a game: how the answer ends, and what it answers, from the challenger's
  // openings alone (they may be empty). Always over. Errors: a proof that does not open.
  virtual Result<GameStatus> judge_finish(const DisputeCase& about, ByteView proof) const = 0;
  // A check of a pass (spec/audits.md): the proof opens values that the statement's trace root
  // commits to. Errors: invalid (malformed), mismatch (does not open).
  virtual Status open_check(const DisputeCase& about, ByteView proof) const = 0;
  // The answer shows the same values at the same place of the tree the auditor committed to.
  // `proof` was opened before. Errors: invalid, mismatch.
  virtual Status judge_check(ByteView proof, const KeyedCommit& commit, ByteView answer) const = 0;
};

}  // namespace assay::market
