// From a mismatch to a verdict: the dispute is signed and written, filed until the ledger has it,
// and followed until it is decided.
#pragma once
#include "services/gateway/market_view.hpp"

namespace assay::services {

class Disputes {
 public:
  Disputes(Buyer& buyer, MarketView& market) : buyer_(buyer), market_(market) {}

  // mismatch → disputed. Repeats the same signed dispute until the ledger takes it.
  Status file(RequestRecord record);
  // disputed → refunded (provider wrong), withheld (not judged), or audited (provider right: owed
  // after all).
  Status follow(RequestRecord record);

 private:
  Result<market::FileDispute> draft(const RequestRecord& record);

  Buyer& buyer_;
  MarketView& market_;
};

}  // namespace assay::services
