// Statements of a provider on their way into the buyer's books: checked, filed, drawn for audit.
#pragma once
#include "services/gateway/market_view.hpp"

namespace assay::services {

class Intake {
 public:
  Intake(Buyer& buyer, MarketView& market) : buyer_(buyer), market_(market) {}

  // A receipt for exactly this answer. Writes opening and receipt file, decides whether an audit is
  // due, and moves the request from signed to receipted. mismatch: the receipt is not valid.
  Result<RequestRecord> accept(RequestRecord record, const LeaseRecord& lease,
                               protocol::Opening opening, const Signed<protocol::Receipt>& receipt);
  // A receipt whose own figures convict it (statements.hpp) is filed as a mismatch, to be disputed.
  // The last progress of a request whose receipt never came: what was proven is what is owed.
  Result<RequestRecord> accept_progress(RequestRecord record, const LeaseRecord& lease,
                                        protocol::Opening opening,
                                        const Signed<protocol::Progress>& progress);
  // Asks the provider for the stored receipt (idempotent).
  struct PickedUp {
    RequestRecord record;
    std::vector<std::uint32_t> answer;
  };
  Result<PickedUp> pick_up(const RequestRecord& record);
  // A receipt that can be disputed as it stands: files it as a mismatch; the error is the fault.
  Result<RequestRecord> convicting(RequestRecord record, const protocol::Opening& opening,
                                   const Signed<protocol::Receipt>& receipt,
                                   const std::string& fault);

 private:
  Result<RequestRecord> file(RequestRecord record, const LeaseRecord& lease, const Hash& id,
                             Micros amount);

  Buyer& buyer_;
  MarketView& market_;
};

}  // namespace assay::services
