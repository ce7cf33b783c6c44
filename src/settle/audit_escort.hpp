// A buyer's side of a hired audit between the draw and the verdicts (spec/audits.md): tokens to
// every auditor that was drawn, the salt secret once all have committed or can no longer. With the
// secret a provider serves states, and an auditor could copy instead of computing.
#pragma once
#include <set>

#include "base/clock.hpp"
#include "market/settlement.hpp"
#include "settle/auditor_client.hpp"

namespace assay::settle {

// What is audited, as its buyer has it.
struct AuditedReceipt {
  market::Signed<protocol::Request> request;
  market::Signed<protocol::Receipt> receipt;
  protocol::ExecutionId execution;
  protocol::Opening opening;
};

class AuditEscort {
 public:
  // clock outlives it.
  AuditEscort(const market::LedgerInfo& ledger, const crypto::SecretKey& key, const Clock& clock)
      : domain_(ledger.domain), lag_s_(market::chain_lag_s(ledger)), key_(key), clock_(clock) {}

  // Does what is due now; what an auditor does not take is offered again the next time. True once
  // nothing more can be said: all have, or their time is over. `view` is drawn or settled.
  bool accompany(const market::AuditView& view, const AuditedReceipt& about);

 private:
  Status hand_over(const Hash& audit, const market::DrawnAuditor& to, const AuditedReceipt& about);

  protocol::Domain domain_;
  std::uint64_t lag_s_;
  crypto::SecretKey key_;
  const Clock& clock_;
  AuditorClient client_;
  using AuditAndAuditor = std::pair<Hash, protocol::Address>;
  // What was done in this run; done again after a restart, which changes nothing.
  std::set<AuditAndAuditor> handed_, told_;
};

}  // namespace assay::settle
