#include "market/claimed_latency.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/int128.hpp"
#include "market/standing.hpp"

namespace assay::market {
namespace {

struct Report {
  const LatencyRecord* said;
  Micros weight;
};

// The least that more than half of the weight is at or under: of two halves the slower.
std::uint32_t median(std::vector<Report>& reports, std::uint32_t LatencyRecord::* figure) {
  std::ranges::sort(reports, {}, [&](const Report& r) { return r.said->*figure; });
  Int128 all = 0, under = 0;
  for (const Report& r : reports) all += r.weight;
  for (const Report& r : reports) {
    under += r.weight;
    if (2 * under > all) return r.said->*figure;
  }
  return 0;
}

}  // namespace

std::map<Address, ClaimedLatency> claimed_latencies(const State& state, std::uint64_t now) {
  ASSAY_ASSERT(now >= state.totals.time);
  std::map<Address, std::map<Address, std::vector<Report>>> said;  // provider, buyer
  for (const auto& [lease, record] : state.latencies) {
    const auto& v = state.leases.at(lease).view;
    if (v.state == LeaseState::convicted) continue;
    const auto weight = static_cast<Micros>(static_cast<Int128>(record.paid) *
                                            remembered_ppm(now - record.made) / 1'000'000);
    said[v.terms.provider][v.terms.buyer].push_back({&record, weight});
  }
  std::map<Address, ClaimedLatency> out;
  for (auto& [provider, buyers] : said) {
    ClaimedLatency claimed;
    std::vector<Report> all;
    Int128 weight = 0;
    for (auto& [buyer, reports] : buyers) {
      Int128 paid = 0;
      for (const Report& r : reports) paid += r.weight;
      bool counts = false;
      for (Report r : reports) {
        if (paid > kClaimedPaidMost)
          r.weight = static_cast<Micros>(static_cast<Int128>(r.weight) * kClaimedPaidMost / paid);
        if (r.weight == 0) continue;
        counts = true;
        claimed.answers += r.said->answers;
        weight += r.weight;
        all.push_back(r);
      }
      if (counts) ++claimed.buyers;
    }
    if (all.empty()) continue;
    claimed.weight = static_cast<Micros>(std::min<Int128>(weight, INT64_MAX));
    claimed.first_token_ms = median(all, &LatencyRecord::first_token_ms);
    claimed.per_token_ms = median(all, &LatencyRecord::per_token_ms);
    out.emplace(provider, claimed);
  }
  return out;
}

}  // namespace assay::market
