// Random checks of what hired auditors passed: a chunk of the provider's trace that the auditor
// must be able to show in the tree it committed to, or lose its stake.
#pragma once
#include "services/gateway/market_view.hpp"

namespace assay::services {

class SpotChecks {
 public:
  SpotChecks(Buyer& buyer, MarketView& market) : buyer_(buyer), market_(market) {}

  // Draws, makes and follows the checks of an audit's passes: true once none of them is open, and
  // at least one pass stands. unavailable while a check has to wait or is open.
  Result<bool> passed(const RequestRecord& record, HireRecord& hire, const LeaseRecord& lease,
                      const market::AuditView& view);

 private:
  // A check of a place drawn at random, from what the provider serves; an empty one where it serves
  // nothing that is what it signed.
  Result<HireCheck> make(const RequestRecord& record, const HireRecord& hire,
                         const LeaseRecord& lease, const market::DrawnAuditor& auditor);
  Status follow(HireRecord& hire, HireCheck& check, const market::AuditView& view);
  Status give_up(HireRecord& hire, HireCheck& check, const std::string& why);

  Buyer& buyer_;
  MarketView& market_;
};

}  // namespace assay::services
