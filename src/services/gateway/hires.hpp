// Audits by hired auditors (spec/audits.md), for a buyer that does not replay its receipts itself.
//
// The audit is asked for on the ledger, whose beacon draws the auditors; they are given what they
// need (settle/audit_escort.hpp); a pass is now and then checked at a place of this buyer's choice
// (spot_checks.hpp).
//
// Trust: auditors see prompt and answer. Their verdicts are believed as far as their stakes go: a
// failure counts once the ledger has convicted, a pass as long as nobody has shown it to be false.
#pragma once
#include "services/gateway/spot_checks.hpp"
#include "settle/audit_escort.hpp"

namespace assay::services {

class Hires {
 public:
  Hires(Buyer& buyer, MarketView& market)
      : buyer_(buyer),
        market_(market),
        checks_(buyer, market),
        escort_(buyer.ledger, buyer.key, buyer.clock) {}

  // Whether an audit that is due goes to hired auditors. Not any more where they were asked so
  // often that nobody seems to want it.
  static constexpr std::size_t kHiresMax = 3;
  Result<bool> wanted(const RequestRecord& record);
  // The next step of a receipted request whose audit is pending: unavailable while others have time
  // left. receipted → audited (passed) or refunded (convicted); stays receipted and pending where
  // nobody gave a verdict; withheld or refunded where the lease ended before.
  Status step(const RequestRecord& record);
  // Fees of audits that are over go where they belong, whoever else forgot it.
  Status settle();

 private:
  Result<HireRecord> draft(const RequestRecord& record);
  Status ask(const RequestRecord& record, const HireRecord& hire);
  Status accompany(const RequestRecord& record, HireRecord& hire, const market::AuditView& view);
  Status conclude(RequestRecord record, HireRecord& hire, const LeaseRecord& lease,
                  const market::AuditView& view);
  Status again(HireRecord& hire, const market::AuditView& view);
  Status settle_one(const market::AuditView& view);

  Buyer& buyer_;
  MarketView& market_;
  SpotChecks checks_;
  settle::AuditEscort escort_;
};

}  // namespace assay::services
