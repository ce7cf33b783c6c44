#include "market/settlement.hpp"

#include <algorithm>

#include "market/money.hpp"

namespace assay::market {

Status check(const Parameters& p) {
  constexpr std::uint64_t kLong = std::uint64_t{1} << 32;  // over a century
  if (p.exposure_factor == 0) return fail(Errc::invalid, "the exposure factor must be at least 1");
  if (p.burned_bps < 5000 || p.burned_bps > 10000)
    return fail(Errc::invalid, "burned_bps {} is not in [5000, 10000]: at least half of a slash",
                p.burned_bps);
  if (p.window_min_s == 0 || p.window_min_s > p.window_max_s)
    return fail(Errc::invalid, "challenge windows [{}, {}] s are empty", p.window_min_s,
                p.window_max_s);
  if (p.move_s == 0) return fail(Errc::invalid, "a move must have at least 1 s");
  // To answer a contest, or to replay before one can dispute, takes what a move takes.
  if (p.window_min_s < p.move_s)
    return fail(Errc::invalid, "windows of {} s are shorter than the {} s of one move",
                p.window_min_s, p.move_s);
  if (p.unbonding_s < p.window_max_s)
    return fail(Errc::invalid, "unbonding {} s is shorter than the longest challenge window {} s",
                p.unbonding_s, p.window_max_s);
  if (p.lease_max_s == 0 || p.lease_max_s > kLong || p.unbonding_s > kLong)
    return fail(Errc::invalid, "lease and unbonding times must be in [1, 2^32] s");
  if (p.stake_min < 0 || p.dispute_bond <= 0 || p.reward_max < 0)
    return fail(Errc::invalid, "stake_min and reward_max cannot be negative, bonds not zero");
  return {};
}

Status check(const LedgerInfo& info) {
  CHECK_OK(check(info.parameters));
  if (info.audit_burned_bps > kAuditBurnedBpsMax)
    return fail(Errc::invalid,
                "audit_burned_bps {} is not in [0, {}]: half of a fee is its auditor's",
                info.audit_burned_bps, kAuditBurnedBpsMax);
  return {};
}

namespace {
// At least a block or two.
std::uint64_t share_of_move_s(const LedgerInfo& info, std::uint64_t parts, std::uint64_t most_s) {
  if (info.domain.chain_id == 0) return 0;
  return std::clamp<std::uint64_t>(info.parameters.move_s / parts, 2, most_s);
}
}  // namespace

std::uint64_t chain_lag_s(const LedgerInfo& info) { return share_of_move_s(info, 8, 120); }
std::uint64_t settling_turn_s(const LedgerInfo& info) { return share_of_move_s(info, 16, 60); }

bool Totals::conserved() const {
  Micros sum = 0;
  for (const Micros pot : {available, stake, unbonding, escrow, bonds, audit_fees, burned}) {
    if (pot < 0) return false;
    const auto next = add(sum, pot);
    if (!next) return false;
    sum = *next;
  }
  return withdrawn >= 0 && sum == deposited - withdrawn;
}

const OpenCheck* pending_check(const AuditView& audit) {
  const auto pending = std::ranges::find_if(audit.checks, [&](const OpenCheck& check) {
    const auto asked = std::ranges::find(audit.drawn, check.auditor, &DrawnAuditor::account);
    return asked != audit.drawn.end() && !asked->convicted;
  });
  return pending == audit.checks.end() ? nullptr : &*pending;
}

std::string_view to_string(LeaseState state) {
  switch (state) {
    case LeaseState::open:
      return "open";
    case LeaseState::closed:
      return "closed";
    case LeaseState::convicted:
      return "convicted";
  }
  return "unknown";
}

std::string_view to_string(protocol::Outcome outcome) {
  switch (outcome) {
    case protocol::Outcome::provider_right:
      return "provider_right";
    case protocol::Outcome::provider_wrong:
      return "provider_wrong";
    case protocol::Outcome::not_judged:
      return "not_judged";
    case protocol::Outcome::invalid_model:
      return "invalid_model";
  }
  return "unknown";
}

std::string_view to_string(Turn turn) {
  switch (turn) {
    case Turn::provider:
      return "provider";
    case Turn::challenger:
      return "challenger";
    case Turn::over:
      return "over";
  }
  return "unknown";
}

std::string_view to_string(DisputeAbout about) {
  switch (about) {
    case DisputeAbout::statement:
      return "statement";
    case DisputeAbout::claim:
      return "claim";
    case DisputeAbout::delivery:
      return "delivery";
  }
  return "unknown";
}

std::string_view to_string(AuditState state) {
  switch (state) {
    case AuditState::waiting:
      return "waiting";
    case AuditState::drawn:
      return "drawn";
    case AuditState::settled:
      return "settled";
  }
  return "unknown";
}

std::string_view to_string(protocol::AuditVerdict verdict) {
  switch (verdict) {
    case protocol::AuditVerdict::none:
      return "none";
    case protocol::AuditVerdict::pass:
      return "pass";
    case protocol::AuditVerdict::fail:
      return "fail";
    case protocol::AuditVerdict::unauditable:
      return "unauditable";
  }
  return "unknown";
}

}  // namespace assay::market
