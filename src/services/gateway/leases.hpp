// Escrow for a request: a lease reused, opened or topped up, so that open caps never exceed it.
#pragma once
#include <set>

#include "market/screen.hpp"
#include "services/gateway/buyer.hpp"

namespace assay::services {

class Leases {
 public:
  explicit Leases(Buyer& buyer) : buyer_(buyer) {}

  // An open lease with the candidate under its offer's present prices, with `cap` free in it.
  // ApiError 402 when escrow flag or account are too small; others concern this candidate only.
  // from_this_offer: one opened from that very offer, and no larger than `cap` (an auction's: the
  // log takes a record for each lease that an auction led to).
  ApiResult<LeaseRecord> obtain(const market::Candidate& candidate, Micros cap,
                                bool from_this_offer = false);

  // What may be spent besides the bond of a dispute, which must stay affordable or a cheat could
  // not be challenged; 402 when that is less than `amount`.
  ApiResult<Micros> affordable(Micros amount, std::string_view why);

  // Submits openings, top-ups and settlements that were written but not confirmed, and asks the
  // rest of ended leases back. Safe to repeat at any time.
  Status catch_up();
  // Pays everything owed in this lease.
  Status settle(const Hash& lease);

  // What the ledger says of a lease decides whether requests go into it: one that has ended there
  // (its provider may close it at any time), or that can be claimed from no more, takes none; one
  // with a claim pending takes none until that is over, as providers have it. What is owed in it
  // is settled all the same.
  Status saw(const LeaseRecord& lease, const market::LeaseView& view);
  // Asks the ledger. false: the next request needs another lease.
  Result<bool> usable(const LeaseRecord& lease);

 private:
  ApiResult<LeaseRecord> open(const market::Candidate& candidate, Micros cap, Micros escrow);
  ApiResult<void> top_up(const LeaseRecord& lease, Micros needed);
  Status submit_opening(LeaseRecord& lease);
  Status submit_top_up(const Store::PendingTopUp& top_up);
  Status submit_settlement(const Store::PendingSettlement& settlement);
  Status close_if_due(const LeaseRecord& lease);
  bool claim_pending(const Hash& lease);
  ApiResult<Micros> available();

  Buyer& buyer_;
  std::mutex mutex_;  // one lease is opened or topped up at a time
  std::mutex claimed_mutex_;
  std::set<Hash> claimed_;  // leases with a claim pending, as last seen
};

}  // namespace assay::services
