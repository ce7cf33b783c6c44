#include "market/audit_policy.hpp"

#include <algorithm>

#include "base/int128.hpp"

namespace assay::market {
namespace {

// ceil(a × b / c), cut at `most`; c > 0.
std::uint64_t scaled(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t most) {
  const Uint128 q = (static_cast<Uint128>(a) * b + (c - 1)) / c;
  return q > most ? most : static_cast<std::uint64_t>(q);
}

}  // namespace

std::uint64_t audit_rate_q32(const AuditInputs& in, const AuditPolicy& policy) {
  if (in.history < policy.full_first || in.stake <= 0 || in.power_ppm == 0 || in.lost_bps == 0)
    return kAuditAlways;
  if (in.price <= 0) return std::min(policy.floor_q32, kAuditAlways);
  // Each step rounds up and is cut at 2^62: over it the rate is 1 for any stake there is.
  constexpr std::uint64_t kCut = std::uint64_t{1} << 62;
  const auto gain = scaled(static_cast<std::uint64_t>(in.price), in.saving_ppm, 1'000'000, kCut);
  const auto seen = scaled(gain, std::uint64_t{policy.margin} * 1'000'000, in.power_ppm, kCut);
  const auto needed = scaled(seen, 10'000, in.lost_bps, kCut);
  const auto rate =
      scaled(needed, kAuditAlways, static_cast<std::uint64_t>(in.stake), kAuditAlways);
  return std::min(std::max(rate, policy.floor_q32), kAuditAlways);
}

}  // namespace assay::market
