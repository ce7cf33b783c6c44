// What a provider does in the background: it keeps its offer alive and gets paid without the buyer.
// Every step is an operation that may be repeated, so a crash anywhere is answered by doing it
// again.
//
//   expired or at rest, receipts unpaid  → Claim (Merkle-sum over all receipts of the lease, less
//   the
//                                          rebates given)
//   claim contested                      → every leaf is shown
//   claim due                            → Finalize
//   expired or at rest, nothing unpaid   → Close
#pragma once
#include "base/repeating.hpp"
#include "services/provider/admission.hpp"
#include "services/provider/offer_keeper.hpp"

namespace assay::services {

class Collector {
 public:
  // All outlive it.
  Collector(ProviderCore& core, const Admission& admission, OfferKeeper& offers)
      : core_(core), admission_(admission), offers_(offers) {}

  void start();
  void stop() { rounds_.stop(); }  // idempotent

  // One round over all open leases; the first error, after all were tried.
  Status collect();

 private:
  Status collect(const StoredLease& lease);
  Status claim(const StoredLease& lease, const market::LeaseView& view);
  Status answer_contest(const market::PendingClaim& claim, const Hash& lease);

  ProviderCore& core_;
  const Admission& admission_;
  OfferKeeper& offers_;
  Repeating rounds_;
};

}  // namespace assay::services
