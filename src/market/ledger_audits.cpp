// An audit from the buyer's request to its settlement (spec/audits.md).
#include <algorithm>

#include "market/ledger_step.hpp"
#include "market/money.hpp"
#include "market/statements.hpp"

namespace assay::market {

using protocol::AuditVerdict;
using protocol::check_signature;

namespace {

constexpr std::size_t kWaitingMax = 256;   // for one beacon: what its operation has to draw
constexpr std::size_t kOpenMax = 8;        // of one lease
constexpr std::size_t kOfLeaseMax = 1024;  // over its life: its record names them all

Status check_room(const Step& step, const LeaseRecord& lease) {
  if (lease.audits.size() >= kOfLeaseMax)
    return fail(Errc::refused, "this lease has had {} audits: open a new one", lease.audits.size());
  const auto open = std::ranges::count_if(lease.audits, [&](const Hash& id) {
    return step.state().audits.at(id).view.state != AuditState::settled;
  });
  if (static_cast<std::size_t>(open) >= kOpenMax)
    return fail(Errc::refused, "{} audits about this lease are not settled: settle one first",
                open);
  if (step.state().waiting_audits.size() >= kWaitingMax)
    return fail(Errc::refused, "{} audits wait for the next beacon: ask again after it",
                step.state().waiting_audits.size());
  return {};
}

Result<DrawnPlace> running(const Step& step, const Hash& audit, const Address& account) {
  TRY(const auto place, find_drawn(step, audit, account));
  if (place.record->view.state != AuditState::drawn)
    return fail(Errc::conflict, "the audit is settled already");
  if (place.auditor->convicted)
    return fail(Errc::conflict, "the auditor was convicted for this audit already");
  return place;
}

// What the verdict earns; what it does not goes back to the buyer.
void settle_fee(Step& step, const Hash& id, std::size_t index, bool wrong) {
  auto& audit = step.audit(id).view;
  auto& a = audit.drawn[index];
  const bool held = std::exchange(a.fee_held, false);
  const auto verdict = static_cast<AuditVerdict>(a.verdict);
  if (verdict == AuditVerdict::none && !a.convicted) {
    const auto& execution = step.state().leases.at(audit.lease).view.terms.execution;
    ++step.auditor({execution, a.account}).missed;
  }
  if (held) {
    Micros burned = 0;
    // Neither side may gain by an opening that does not come, or by saying so; nor may who owns
    // both have a pass for nothing.
    if (verdict == AuditVerdict::unauditable)
      burned = burned_of(a.fee, step.parameters().burned_bps);
    else if (verdict == AuditVerdict::pass)
      burned = burned_of(a.fee, step.state().info.audit_burned_bps);
    step.burn_fees(id, burned);
    const bool earned = verdict == AuditVerdict::pass || (verdict == AuditVerdict::fail && wrong);
    step.pay_fees(id, earned ? a.account : audit.buyer, a.fee - burned);
  }
  if (verdict == AuditVerdict::pass && !a.convicted) return;
  // Nothing it said can be held against it from here on.
  for (auto it = step.state().live_audits.lower_bound({a.account, 0, Hash{}});
       it != step.state().live_audits.end() && it->auditor == a.account; ++it)
    if (it->audit == id) {
      step.set_live(LiveAudit(*it), false);
      return;
    }
}

}  // namespace

Status on(Step& step, const RequestAudit& op) {
  const auto& m = op.request.message;
  CHECK_OK(check_signature(step.domain(), op.request, m.buyer));
  if (step.state().info.beacon == Hash{})
    return fail(Errc::unsupported, "this ledger has no beacon: it draws no auditors");
  TRY(const LeaseRecord* lease, step.read_lease(m.lease));
  const auto& terms = lease->view.terms;
  if (m.buyer != terms.buyer) return fail(Errc::refused, "only the lease's buyer asks for audits");
  const auto& statement = op.evidence.statement;
  if (!std::holds_alternative<Signed<protocol::Receipt>>(statement))
    return fail(Errc::invalid, "an audit is about a receipt, not about a progress");
  if (m.subject != statement_id(step.domain(), statement))
    return fail(Errc::mismatch, "the audit is about another receipt than the one beside it");
  CHECK_OK(check_disputable(step, *lease, m.subject));
  CHECK_OK(check_evidence(step.domain(), terms, m.lease, op.evidence.request, statement));
  if (const auto fault = arithmetic_fault(terms, op.evidence.request.message, statement))
    return fail(Errc::refused, "dispute it, it needs no audit: {}", *fault);
  if (m.auditors == 0 || m.auditors > protocol::kAuditorsMax)
    return fail(Errc::invalid, "{} auditors, 1 to {} can be asked for", m.auditors,
                protocol::kAuditorsMax);
  CHECK_OK(positive(m.fee_max, "an auditor's fee"));
  if (m.fee_max > INT64_MAX / m.auditors)
    return fail(Errc::invalid, "fees of {} for {} auditors are more than money can count",
                format_money(m.fee_max), m.auditors);
  const Micros held = m.fee_max * m.auditors;
  CHECK_OK(check_available(step, m.buyer, held));
  CHECK_OK(check_room(step, *lease));

  auto& record = step.audit(step.id());
  record.evidence = op.evidence;
  auto& v = record.view;
  v.id = step.id();
  v.buyer = m.buyer;
  v.lease = m.lease;
  v.subject = m.subject;
  v.auditors = m.auditors;
  v.fee_max = m.fee_max;
  v.requested = step.time();
  v.round = step.state().beacon.round + 1;
  v.check_due = step.time() + step.parameters().move_s;
  step.hold_fees(v.id, held);
  step.set_waiting(v.id, true);
  step.lease(m.lease).audits.insert(v.id);
  return {};
}

Status on(Step& step, const Signed<protocol::CommitAudit>& op) {
  const auto& m = op.message;
  CHECK_OK(check_signature(step.domain(), op, m.account));
  TRY(const auto place, running(step, m.audit, m.account));
  if (m.nonce_hash == Hash{} || m.root_hash == Hash{})
    return fail(Errc::invalid, "a commitment to nothing");
  if (place.auditor->nonce_hash != Hash{})
    return fail(Errc::conflict, "the auditor has committed already");
  const auto due = place.record->view.commit_due;
  if (step.time() >= due)
    return fail(Errc::refused, "commitments were due before {}, it is {}", due, step.time());
  auto& a = drawn(step.audit(m.audit).view, m.account);
  a.nonce_hash = m.nonce_hash;
  a.root_hash = m.root_hash;
  return {};
}

Status on(Step& step, const Signed<protocol::RevealAudit>& op) {
  const auto& m = op.message;
  CHECK_OK(check_signature(step.domain(), op, m.account));
  TRY(const auto place, running(step, m.audit, m.account));
  if (m.verdict == 0 || m.verdict > static_cast<std::uint32_t>(AuditVerdict::unauditable))
    return fail(Errc::invalid, "unknown verdict {}", m.verdict);
  if (place.auditor->nonce_hash == Hash{})
    return fail(Errc::refused, "the auditor has committed to nothing");
  if (place.auditor->verdict != 0) return fail(Errc::conflict, "the auditor has spoken already");
  const auto& v = place.record->view;
  if (step.time() < v.commit_due || step.time() >= v.reveal_due)
    return fail(Errc::refused, "verdicts are taken from {} on and before {}, it is {}",
                v.commit_due, v.reveal_due, step.time());
  const auto& execution = step.state().leases.at(v.lease).view.terms.execution;
  ++step.auditor({execution, m.account}).revealed;
  auto& a = drawn(step.audit(m.audit).view, m.account);
  a.verdict = m.verdict;
  if (m.verdict == static_cast<std::uint32_t>(AuditVerdict::pass)) {
    a.pass = step.id();
    step.add_pass(step.id(), {m.audit, m.account});
  }
  return {};
}

Status on(Step& step, const Signed<protocol::SettleAudit>& op) {
  const auto& m = op.message;
  CHECK_OK(check_signature(step.domain(), op, m.account));
  const auto it = step.state().audits.find(m.audit);
  if (it == step.state().audits.end()) return fail(Errc::not_found, "no such audit on this ledger");
  const auto& v = it->second.view;
  if (v.state == AuditState::settled) return fail(Errc::conflict, "the audit is settled already");
  if (step.time() < v.check_due)
    return fail(Errc::refused, "the audit is settled from {} on, it is {}", v.check_due,
                step.time());
  if (v.state == AuditState::waiting) {
    auto& audit = step.audit(m.audit).view;
    step.set_waiting(m.audit, false);
    step.pay_fees(m.audit, audit.buyer, audit.held);
    audit.state = AuditState::settled;
    return {};
  }
  if (const OpenCheck* check = pending_check(v))
    return fail(Errc::refused, "a check is open until {}: fees wait for it", check->due);
  const auto& lease = step.state().leases.at(v.lease);
  const bool wrong = lease.wrong.contains(v.subject);
  const bool failed = std::ranges::count(v.drawn, static_cast<std::uint32_t>(AuditVerdict::fail),
                                         &DrawnAuditor::verdict) != 0;
  // Any about the lease: contracts count a lease's disputes, and do not list what they are about.
  if (failed && !wrong && !lease.view.open_disputes.empty())
    return fail(Errc::refused, "a dispute about the lease is open: the fee of a fail waits for it");
  for (std::size_t i = 0; i < v.drawn.size(); ++i) settle_fee(step, m.audit, i, wrong);
  step.audit(m.audit).view.state = AuditState::settled;
  return {};
}

}  // namespace assay::market
