// A provider's reputation as anybody can compute it from the ledger's log, replayed: only what the
// ledger itself decided counts, nothing that somebody says.
//
// Good: receipts that auditors drawn by the beacon passed, each once, worth what was burned of
// their fees (LedgerInfo::audit_burned_bps) of kFullBurned and no more than one. A buyer counts for
// at most kBuyerMost with one provider; receipts shown to be canaries, passes whose auditor was
// convicted, and audits whose fees are not paid yet count nothing. Half of it is forgotten each
// kHalfLife.
// Bad: convictions, kConvictionWeight each, never forgotten.
// What is not counted: receipts nobody audited and disputes a provider won (both can be had from
// oneself for nothing), what offers claim. What buyers claim about latency stands beside it
// (claimed_latency.hpp).
//
// Limit: whoever is buyer, provider and all the auditors burns kFullBurned for a whole observation,
// whatever the fee; a share s of the auditors' stake, and b of a fee F burned, costs F (1 - s + s
// b).
#pragma once
#include "market/claimed_latency.hpp"
#include "market/reputation.hpp"

namespace assay::market {

inline constexpr Micros kFullBurned = 2'000;  // of one audit
inline constexpr std::uint64_t kBuyerMost = 5;
inline constexpr std::uint64_t kHalfLife = 30 * 86400;
inline constexpr std::uint64_t kConvictionWeight = 20;

struct Standing {
  Address provider{};
  std::uint64_t audited = 0;      // receipts that count
  std::uint32_t buyers = 0;       // that had them audited
  Micros fees = 0;                // they paid for it
  Micros burned = 0;              // of these, which counts
  std::uint32_t convictions = 0;  // as provider or auditor
  Micros slashed = 0;
  std::uint32_t disputes_won = 0, disputes_open = 0;  // shown, not counted
  Micros earned = 0;                                  // over its leases; shown, not counted
  Micros stake = 0;
  // Observations in thousandths, and what they prove (lower_bound_ppm).
  std::uint64_t good_milli = 0, bad_milli = 0;
  std::uint32_t proven_ppm = 0;
  ClaimedLatency latency;  // claimed by buyers; proves nothing
};

// In parts per million of what it was `age` seconds ago: linear within each half-life.
std::uint64_t remembered_ppm(std::uint64_t age);

// Every account that ever was the provider of a lease; the best proven first, then by address.
// `now` is not before the state's last operation (asserted).
std::vector<Standing> standings(const State& state, std::uint64_t now);

// What ranking makes of it: takes the place of what the record says from the log.
void learn(Record& record, const Standing& standing);

json::object to_json(const Standing& standing);

}  // namespace assay::market
