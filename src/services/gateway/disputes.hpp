// From a mismatch to a verdict. The dispute is committed to, played with the provider over HTTP as
// far as it answers, filed with what was played, and gone on with on the ledger until it is
// decided.
#pragma once
#include <map>

#include "services/gateway/market_view.hpp"
#include "verify/dispute/party.hpp"

namespace assay::services {

class Disputes {
 public:
  Disputes(Buyer& buyer, MarketView& market);

  // mismatch → disputed. Repeats the same signed dispute until the ledger takes it.
  Status file(RequestRecord record);
  // disputed → refunded (provider wrong, or an invalid model), withheld (not judged), or audited
  // (provider right: owed after all). While it is open, makes the buyer's moves and notes the
  // provider's deadline.
  Status follow(RequestRecord record);

 private:
  Result<market::FileDispute> draft(const RequestRecord& record, const LeaseRecord& lease);
  Result<market::FileDispute> stored(const RequestRecord& record) const;
  // The transcript of what the provider answers; what it does not answer is played on the ledger.
  // true: nothing it opened differs from this side's replay. Errors are this side's own.
  Result<bool> play(const RequestRecord& record, const LeaseRecord& lease,
                    market::FileDispute& dispute);
  Status move_on_ledger(const RequestRecord& record, const market::DisputeView& view);
  Result<verify::Party*> party_for(const RequestRecord& record, const market::FileDispute& dispute);

  Buyer& buyer_;
  MarketView& market_;
  ThreadPool pool_;
  std::map<Hash, std::shared_ptr<const verify::ModelTrees>> trees_;  // by execution
  Hash about_{};                                                     // the party's statement
  std::unique_ptr<verify::Party> party_;
};

}  // namespace assay::services
