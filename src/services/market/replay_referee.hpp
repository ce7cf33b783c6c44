// The referee of this version: re-executes the whole trace with the model file itself, as its
// ledger's host. Trusted for that; bisection to one step judged from proofs replaces it.
#pragma once
#include <map>
#include <mutex>

#include "base/clock.hpp"
#include "base/thread_pool.hpp"
#include "market/referee.hpp"

namespace assay::services {

class ReplayReferee : public market::Referee {
 public:
  // Models are the *.gguf files of `models_dir`, found again at every dispute; empty: none, then
  // nothing is ever judged. `clock` outlives it.
  ReplayReferee(std::string models_dir, unsigned threads, const Clock& clock);

  Result<market::Judgement> judge(const market::DisputeEvidence& evidence) override;

 private:
  // The file of this execution id; not_found without one.
  Result<std::string> find_model(const Hash& execution);

  std::string models_dir_;
  const Clock& clock_;
  std::mutex mutex_;  // one judgement at a time: the pool and the table below
  ThreadPool pool_;
  std::map<std::string, std::pair<std::string, Hash>> known_;  // path → (size and time, execution)
};

}  // namespace assay::services
