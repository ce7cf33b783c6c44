// How fast buyers say a provider is: their word, each as heavy as what it paid
// (spec/reputation.md).
#pragma once
#include "market/ledger.hpp"

namespace assay::market {

// What one buyer paid one provider counts up to here, all its leases together.
inline constexpr Micros kClaimedPaidMost = 1'000'000;

// Of every report of a provider's leases, by its weight, the median: less than half of the weight
// says it is slower. 0 buyers: nobody said anything that still counts.
struct ClaimedLatency {
  std::uint32_t first_token_ms = 0, per_token_ms = 0;
  std::uint32_t buyers = 0;
  std::uint64_t answers = 0;  // they say they measured
  Micros weight = 0;          // of all: what was paid, less what is forgotten and over the most
};

// By provider. What was paid is forgotten as observations are (remembered_ppm); reports of leases
// that ended by a conviction count nothing. `now` is not before the state's last operation
// (asserted).
std::map<Address, ClaimedLatency> claimed_latencies(const State& state, std::uint64_t now);

}  // namespace assay::market
