#include "market/standing.hpp"

#include <algorithm>
#include <tuple>

#include "base/assert.hpp"
#include "market/money.hpp"

namespace assay::market {
namespace {

// One receipt that drawn auditors passed.
struct Passed {
  Address buyer{};
  Micros fees = 0, burned = 0;
  std::uint64_t weight_ppm = 0;  // of one observation, after forgetting
};

// nullopt: it proves nothing (yet).
std::optional<Passed> passed(const AuditView& audit, std::uint32_t burned_bps, std::uint64_t now) {
  if (audit.state != AuditState::settled || audit.subject_convicted || audit.subject_canary)
    return std::nullopt;
  Passed out{.buyer = audit.buyer};
  for (const auto& a : audit.drawn) {
    const auto verdict = static_cast<protocol::AuditVerdict>(a.verdict);
    if (verdict == protocol::AuditVerdict::fail) return std::nullopt;
    if (verdict != protocol::AuditVerdict::pass || a.convicted || a.fee_held) continue;
    out.fees += a.fee;
    out.burned += burned_of(a.fee, burned_bps);
  }
  if (out.burned == 0) return std::nullopt;
  const auto worth = static_cast<std::uint64_t>(std::min(out.burned, kFullBurned));
  out.weight_ppm = worth * remembered_ppm(now - audit.requested) / kFullBurned;
  return out;
}

}  // namespace

std::uint64_t remembered_ppm(std::uint64_t age) {
  const std::uint64_t halvings = age / kHalfLife;
  if (halvings >= 20) return 0;
  const std::uint64_t whole = std::uint64_t{1'000'000} >> halvings;
  return whole - whole * (age % kHalfLife) / (2 * kHalfLife);
}

std::vector<Standing> standings(const State& state, std::uint64_t now) {
  ASSAY_ASSERT(now >= state.totals.time);
  std::map<Address, Standing> by;
  for (const auto& [id, lease] : state.leases) {
    Standing& s = by[lease.view.terms.provider];
    s.provider = lease.view.terms.provider;
    s.earned += lease.view.paid;
  }
  // A receipt audited twice is one receipt.
  std::map<std::tuple<Address, Hash, Hash>, Passed> receipts;
  for (const auto& [id, record] : state.audits) {
    const auto found = passed(*audit_view(state, id), state.info.audit_burned_bps, now);
    if (!found) continue;
    const auto& provider = state.leases.at(record.view.lease).view.terms.provider;
    Passed& held = receipts[{provider, record.view.lease, record.view.subject}];
    if (found->weight_ppm >= held.weight_ppm) held = *found;
  }
  std::map<std::pair<Address, Address>, std::uint64_t> by_buyer;  // provider, buyer → ppm
  for (const auto& [key, receipt] : receipts) {
    const Address& provider = std::get<0>(key);
    Standing& s = by[provider];
    ++s.audited;
    s.fees += receipt.fees;
    s.burned += receipt.burned;
    by_buyer[{provider, receipt.buyer}] += receipt.weight_ppm;
  }
  for (const auto& [pair, ppm] : by_buyer) {
    Standing& s = by[pair.first];
    ++s.buyers;
    s.good_milli += std::min(ppm, kBuyerMost * 1'000'000) / 1'000;
  }
  for (const auto& [id, dispute] : state.disputes) {
    const auto s = by.find(dispute.defender);
    if (s == by.end() || dispute.about != DisputeAbout::statement || dispute.audit != Hash{})
      continue;
    if (dispute.state == DisputeState::open) ++s->second.disputes_open;
    if (dispute.outcome == protocol::Outcome::provider_right &&
        dispute.state == DisputeState::decided)
      ++s->second.disputes_won;
  }
  for (const auto& [provider, latency] : claimed_latencies(state, now))
    by[provider].latency = latency;
  constexpr std::uint64_t kMost = 1'000'000'000;
  std::vector<Standing> out;
  for (auto& [provider, s] : by) {
    const auto account = account_view(state, provider);
    s.convictions = account.convictions;
    s.slashed = account.slashed;
    s.stake = account.stake;
    s.good_milli = std::min(s.good_milli, kMost);
    s.bad_milli = std::min(s.convictions * kConvictionWeight * 1'000, kMost);
    s.proven_ppm = lower_bound_ppm(s.good_milli, s.bad_milli);
    out.push_back(s);
  }
  std::ranges::stable_sort(out, std::greater<>(), &Standing::proven_ppm);
  return out;
}

void learn(Record& record, const Standing& s) {
  record.proven_good_milli = s.good_milli;
  record.proven_bad_milli = s.bad_milli;
  record.claimed_buyers = s.latency.buyers;
  record.claimed_first_token_ms = s.latency.first_token_ms;
  record.claimed_per_token_ms = s.latency.per_token_ms;
}

json::object to_json(const Standing& s) {
  json::value latency;
  if (s.latency.buyers > 0)
    latency = {{"first_token_ms", s.latency.first_token_ms},
               {"per_token_ms", s.latency.per_token_ms},
               {"buyers", s.latency.buyers},
               {"answers", s.latency.answers},
               {"weight", format_money(s.latency.weight)}};
  return {{"provider", s.provider.to_string()},
          {"proven", static_cast<double>(s.proven_ppm) / 1e6},
          {"proven_ppm", s.proven_ppm},
          {"good_milli", s.good_milli},
          {"bad_milli", s.bad_milli},
          {"audited_receipts", s.audited},
          {"buyers", s.buyers},
          {"audit_fees", format_money(s.fees)},
          {"audit_burned", format_money(s.burned)},
          {"convictions", s.convictions},
          {"slashed", format_money(s.slashed)},
          {"disputes_won", s.disputes_won},
          {"disputes_open", s.disputes_open},
          {"earned", format_money(s.earned)},
          {"stake", format_money(s.stake)},
          {"latency_claimed_by_buyers", std::move(latency)}};
}

}  // namespace assay::market
