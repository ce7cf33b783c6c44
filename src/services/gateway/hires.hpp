// Audits by hired auditors (spec/audits.md), for a buyer that does not replay its receipts itself.
//
// The audit is asked for on the ledger, whose beacon draws the auditors; the tokens are handed to
// them, the salt secret only once all that were drawn have committed, or can no longer: with it a
// provider serves states, and an auditor could copy instead of computing. A pass is now and then
// checked at a place of this buyer's choice (spot_checks.hpp).
//
// Trust: auditors see prompt and answer. Their verdicts are believed as far as their stakes go: a
// failure counts once the ledger has convicted, a pass as long as nobody has shown it to be false.
#pragma once
#include "services/gateway/spot_checks.hpp"
#include "settle/auditor_client.hpp"

namespace assay::services {

class Hires {
 public:
  Hires(Buyer& buyer, MarketView& market)
      : buyer_(buyer), market_(market), checks_(buyer, market) {}

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
  void hand_over(const RequestRecord& record, const HireRecord& hire,
                 const market::DrawnAuditor& to, const LeaseRecord& lease,
                 const protocol::Opening& opening);
  void tell(const HireRecord& hire, const Hash& execution, const market::DrawnAuditor& to,
            const Hash& salt_secret);
  Result<std::string> endpoint_of(const Hash& execution, const Address& auditor);
  Status conclude(RequestRecord record, HireRecord& hire, const LeaseRecord& lease,
                  const market::AuditView& view);
  Status again(HireRecord& hire, const market::AuditView& view);
  Status settle_one(const market::AuditView& view);

  Buyer& buyer_;
  MarketView& market_;
  SpotChecks checks_;
  settle::AuditorClient auditors_;
  // What was done in this run; done again after a restart, which changes nothing.
  std::set<std::pair<Hash, Address>> handed_, told_;
  std::map<std::pair<Hash, Address>, std::string> endpoints_;  // by execution and auditor
};

}  // namespace assay::services
