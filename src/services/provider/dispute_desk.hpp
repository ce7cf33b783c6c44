// How a provider defends what it signed: the moves of disputes about its receipts and progress
// messages, recomputed from request, salt and token ids alone. Asked by a buyer over HTTP it
// answers off the ledger; what is open on the ledger it answers there, also after having been down.
// A demand for an answer is met with what lies on its disk, sealed for the buyer.
#pragma once
#include <limits>
#include <mutex>

#include "base/repeating.hpp"
#include "services/provider/provider_core.hpp"
#include "settle/parties.hpp"

namespace assay::services {

class DisputeDesk {
 public:
  explicit DisputeDesk(ProviderCore& core)
      : core_(core),
        parties_(1, core.options.isa, std::numeric_limits<std::size_t>::max(),
                 [this](double) { return !rounds_.stopping(); }) {}

  void start();
  void stop() { rounds_.stop(); }  // idempotent

  // The next move in a dispute that its challenger, the lease's buyer, has not filed: costs one
  // prefill for the first move about a statement. Errors: refused, mismatch, invalid (not a dispute
  // about this provider, or not its turn), not_found (no such request here), unavailable (another
  // dispute is being answered: ask again).
  Result<market::SignedMove> answer(const market::FileDispute& dispute);
  // One round over the disputes open on the ledger; the first error, after all were tried.
  Status watch();

 private:
  Result<verify::PlayedMove> next_move(const market::FileDispute& dispute);
  Result<protocol::Opening> opening_of(const market::FileDispute& dispute,
                                       std::shared_ptr<const engine::Model> model);
  Status answer_on_ledger(const Hash& dispute);
  Status move_on_ledger(const Hash& dispute);
  Status deliver(const Hash& demand);  // deliver.cpp
  // The first `count` tokens of an answer whose end never reached the disk, or that ended sooner:
  // what a progress message before a crash was about. The same bits again.
  Status answer_again(const StoredRequest& stored, std::shared_ptr<const engine::Model> model,
                      std::uint32_t count, protocol::Opening& opening);

  ProviderCore& core_;
  std::mutex mutex_;  // one move at a time: parties_
  // What was served must be defensible: no bound but the one it was served under.
  settle::Parties parties_;
  Repeating rounds_;
};

}  // namespace assay::services
