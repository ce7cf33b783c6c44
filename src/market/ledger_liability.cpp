// Who can still be convicted, and what a conviction takes.
#include <algorithm>

#include "base/assert.hpp"
#include "base/hex.hpp"
#include "market/ledger_step.hpp"

namespace assay::market {

using protocol::AuditVerdict;

Shares shares_of(const Step& step, const Address& convicted, Micros owed) {
  const auto& p = step.parameters();
  const auto& a = step.read(convicted);
  Shares s;
  s.pool = a.stake;
  for (const auto& u : a.unbonding) s.pool += u.amount;
  const Micros rest = s.pool - burned_of(s.pool, p.burned_bps);
  s.made_whole = std::min(rest, owed);
  s.reward = std::min(rest - s.made_whole, p.reward_max);
  s.burned = s.pool - s.made_whole - s.reward;
  return s;
}

Result<DrawnPlace> find_drawn(const Step& step, const Hash& id, const Address& account) {
  const auto it = step.state().audits.find(id);
  if (it == step.state().audits.end())
    return fail(Errc::not_found, "no audit {} on this ledger", to_hex(id));
  const auto& all = it->second.view.drawn;
  const auto drawn = std::ranges::find(all, account, &DrawnAuditor::account);
  if (drawn == all.end())
    return fail(Errc::not_found, "{} is not drawn for this audit", account.to_string());
  return DrawnPlace{&it->second, &*drawn};
}

DrawnAuditor& drawn(AuditView& audit, const Address& account) {
  const auto it = std::ranges::find(audit.drawn, account, &DrawnAuditor::account);
  ASSAY_ASSERT(it != audit.drawn.end());
  return *it;
}

std::uint64_t pass_disputable_until(const LeaseRecord& lease, const Hash& subject) {
  const auto& v = lease.view;
  if (v.state == LeaseState::open) return UINT64_MAX;
  const auto known = lease.wrong.find(subject);
  const auto from = std::max(v.closed, known == lease.wrong.end() ? 0 : known->second);
  return from + v.terms.window;
}

bool liable(const State& state, const Hash& id, const Address& auditor, std::uint64_t time) {
  const auto& audit = state.audits.at(id).view;
  const auto it = std::ranges::find(audit.drawn, auditor, &DrawnAuditor::account);
  if (it == audit.drawn.end() || it->convicted) return false;
  if (audit.state != AuditState::settled) return true;
  if (it->verdict != static_cast<std::uint32_t>(AuditVerdict::pass)) return false;
  if (!audit.open_disputes.empty()) return true;
  const auto& lease = state.leases.at(audit.lease);
  if (lease.view.state == LeaseState::open || !lease.view.open_disputes.empty()) return true;
  return time <= pass_disputable_until(lease, audit.subject);
}

Shares convict_auditor(Step& step, const Hash& id, const Address& account,
                       const Address& challenger) {
  auto& audit = step.audit(id).view;
  auto& auditor = drawn(audit, account);
  ASSAY_ASSERT(!auditor.convicted);
  auditor.convicted = true;
  // What it had not got yet goes back; what it had comes out of the slash.
  const bool held = std::exchange(auditor.fee_held, false);
  if (held) step.pay_fees(id, audit.buyer, auditor.fee);
  const bool paid = !held && auditor.verdict == static_cast<std::uint32_t>(AuditVerdict::pass);
  const auto shares = shares_of(step, account, paid ? auditor.fee : 0);
  step.slash(account, shares.burned, audit.buyer, shares.made_whole, challenger, shares.reward);
  ++step.account(account).convictions;
  return shares;
}

}  // namespace assay::market
