// Answers this buyer is asked to pay for and never got. A receipt that a claim, opened on the
// ledger, shows for the first time is picked up, or its answer demanded on the ledger under bond
// (spec/ledger.md, "Delivery"); then it is audited and paid like any other. Paid without its answer
// is only what the options say is not worth a demand, or what no answer could be read of here.
#pragma once
#include <set>

#include "services/gateway/intake.hpp"

namespace assay::services {

class Demands {
 public:
  Demands(Buyer& buyer, MarketView& market, Intake& intake)
      : buyer_(buyer), market_(market), intake_(intake) {}

  // The receipts that an answered contest of this lease's claim showed. Safe to repeat.
  Status look_into(const LeaseRecord& lease, const market::PendingClaim& claim);
  // What an answered contest showed.
  Result<market::OpenClaim> opened(const Hash& contest);
  // demanded → receipted, with the answer; or refunded (none came, or another), or withheld.
  Status follow(RequestRecord record);

 private:
  Status shown(const LeaseRecord& lease, const market::ClaimLeaf& leaf);
  // Two receipts for one request: convicts, without a bond.
  Status equivocated(const LeaseRecord& lease, RequestRecord record,
                     const Signed<protocol::Receipt>& second);
  Status demand(const LeaseRecord& lease, RequestRecord record,
                const Signed<protocol::Receipt>& receipt);
  Status submit(RequestRecord record);
  Status receive(RequestRecord record, const LeaseRecord& lease, const market::DisputeView& view);
  Status lost(RequestRecord record, const LeaseRecord& lease, const market::DisputeView& view);
  // Request, salt and prompt as before an answer came.
  Status restore_pending(const RequestRecord& record);

  Buyer& buyer_;
  MarketView& market_;
  Intake& intake_;
  std::set<Hash> looked_into_;  // contests
};

}  // namespace assay::services
