// From a mismatch to a verdict. The dispute is committed to, played with the provider over HTTP as
// far as it answers, filed with what was played, and gone on with on the ledger until it is
// decided.
#pragma once
#include "base/repeating.hpp"
#include "services/gateway/market_view.hpp"
#include "settle/challenger.hpp"
#include "settle/deadline_alarm.hpp"

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
  // Deadlines of disputes that wait for this buyer, watched by a thread that sends nothing: whoever
  // moves may be waiting for a transaction just when one comes near.
  void start_lookout();
  void show(io::Metrics& metrics) { alarm_.show(metrics, buyer_.now()); }

 private:
  Status look();
  // Points into the record.
  settle::DisputedCase case_of(const RequestRecord& record, const LeaseRecord& lease);
  Result<market::FileDispute> stored(const RequestRecord& record) const;

  Buyer& buyer_;
  MarketView& market_;
  settle::Challenger challenger_;
  settle::DeadlineAlarm alarm_;
  Repeating lookout_;
};

}  // namespace assay::services
