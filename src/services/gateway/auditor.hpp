// Replays receipts with the local model, and gathers what a provider says about its own trace when
// the replay differs.
#pragma once
#include "services/gateway/market_view.hpp"
#include "verify/audit.hpp"

namespace assay::services {

class Auditor {
 public:
  Auditor(Buyer& buyer, MarketView& market);

  // Audits a receipted request that is due and moves it to audited or mismatch; a record that is
  // not due is returned as it is. One at a time, whoever asks. Errors: the audit could not be done
  // (it stays due).
  Result<RequestRecord> audit(const Hash& request);

 private:
  Result<verify::AuditReport> replay(const RequestRecord& record, const LocalModel& model,
                                     const protocol::Opening& opening);
  void ask_for_trace(const RequestRecord& record, const LeaseRecord& lease, const LocalModel& model,
                     protocol::Opening& opening, verify::AuditReport& report);

  Buyer& buyer_;
  MarketView& market_;
  std::mutex mutex_;  // the pool serves one replay at a time
  ThreadPool pool_;
};

}  // namespace assay::services
