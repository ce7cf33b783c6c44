// One side of disputes at work: the statement it replayed last, ready for further moves.
#pragma once
#include <functional>
#include <map>

#include "settle/dispute_game.hpp"
#include "verify/dispute/party.hpp"

namespace assay::settle {

// What a side of a dispute computes with.
struct DisputedModel {
  std::shared_ptr<const engine::Model> model;
  protocol::ExecutionId execution;
  Bytes program;  // hashes to execution.program_hash; only who files a dispute needs it
};

// The model, and the secrets beside what was signed: asked for only where they are needed.
struct DisputedSources {
  std::function<Result<DisputedModel>()> model;
  std::function<Result<protocol::Opening>()> opening;
};

// One thread at a time.
class Parties {
 public:
  // kv_bytes_max holds for every recomputation.
  Parties(unsigned threads, engine::Isa isa, std::size_t kv_bytes_max,
          verify::ReplayProgress progress = {})
      : pool_(std::max(1u, threads)),
        isa_(isa),
        kv_bytes_max_(kv_bytes_max),
        progress_(std::move(progress)) {}

  // This side of the dispute: one prefill, unless the last dispute had the same subject.
  Result<verify::Party*> of(const market::FileDispute& dispute, const DisputedSources& sources);
  // The next move of who defends a statement: its provider, or an auditor that passed it. refused:
  // it is not its turn.
  Result<verify::PlayedMove> respond(const protocol::Domain& domain, const crypto::SecretKey& key,
                                     const market::FileDispute& dispute,
                                     const DisputedSources& sources);
  ThreadPool& pool() { return pool_; }

 private:
  ThreadPool pool_;
  engine::Isa isa_;
  std::size_t kv_bytes_max_;
  verify::ReplayProgress progress_;
  std::map<Hash, std::shared_ptr<const verify::ModelTrees>> trees_;  // by execution
  Hash about_{};                                                     // the party's subject
  std::unique_ptr<verify::Party> party_;
};

}  // namespace assay::settle
