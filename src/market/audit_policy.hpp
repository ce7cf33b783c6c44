// How often a buyer replays receipts so that cheating loses money in expectation.
// Derivation and limits: docs/decisions/0009-audit-economics.md; simulated by tests/sim.
//
//   rate ≥ margin × price × saving / (stake × lost × power)
#pragma once
#include <cstdint>

#include "protocol/messages.hpp"

namespace assay::market {

inline constexpr std::uint64_t kAuditAlways = std::uint64_t{1} << 32;  // q32 of probability 1

struct AuditInputs {
  protocol::Micros price = 0;  // of this request (its cap)
  protocol::Micros stake = 0;  // what a conviction takes
  std::uint64_t history = 0;   // receipts of this provider that were audited and matched
  // Share of the stake that is gone even for a cheat that convicts itself through a sock puppet:
  // what the ledger burns (Parameters::burned_bps).
  std::uint32_t lost_bps = 5'000;
  // Share of the price that the cheapest cheat keeps; all of it unless something smaller is proven.
  std::uint32_t saving_ppm = 1'000'000;
  // Chance that one audit sees the cheat: 1 for a full replay, k/L for k of L layers.
  std::uint32_t power_ppm = 1'000'000;
};

struct AuditPolicy {
  std::uint64_t full_first = 8;                  // newcomers: every one of so many is audited
  std::uint32_t margin = 2;                      // cheating must lose by this factor
  std::uint64_t floor_q32 = kAuditAlways / 100;  // never rarer: 1 in 100
};

// In [floor, 2^32], for protocol::audit_drawn. Rounded up.
std::uint64_t audit_rate_q32(const AuditInputs& in, const AuditPolicy& policy = {});

}  // namespace assay::market
