// One side of a dispute at work: the execution it stands by, replayed once, and its next moves.
#pragma once
#include "verify/dispute/evidence.hpp"

namespace assay::verify {

class Party {
 public:
  // One prefill. The opening is the one request and statement commit to (its answer may be longer
  // than the statement counts); `pool` outlives the party. Errors: mismatch (opening or model are
  // not those of the subject), and those of replay(). kv_bytes_max holds for every recomputation.
  static Result<std::unique_ptr<Party>> prepare(Subject subject,
                                                std::shared_ptr<const ModelTrees> model,
                                                protocol::Opening opening, ThreadPool& pool,
                                                engine::Isa isa,
                                                const ReplayProgress& progress = {},
                                                std::size_t kv_bytes_max = kReplayKvBytes);

  const Subject& subject() const { return run_.subject; }
  Hash trace_root() const { return trace_.root(); }
  // The payload of this side's next move: players.hpp.
  Result<Bytes> respond(const Game& game) { return verify::respond(game, *evidence_); }
  Result<Bytes> challenge(const Game& game) { return verify::challenge(game, *evidence_); }

 private:
  Party(Opened run, Replay replay) : run_(std::move(run)), trace_(std::move(replay.trace)) {}

  Opened run_;
  TraceBuilder trace_;
  std::unique_ptr<OwnEvidence> evidence_;
};

// What is wrong with a statement without a game, as a proof for judge_finish; nullopt: nothing.
// The opening must be the statement's.
std::optional<Bytes> finish_evidence(const Subject& subject, const protocol::Opening& opening);

}  // namespace assay::verify
