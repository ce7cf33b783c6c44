#include <algorithm>

#include "market/ledger_step.hpp"
#include "market/money.hpp"
#include "market/statements.hpp"

namespace assay::market {

using protocol::check_signature;
using protocol::Outcome;
using protocol::struct_hash;

namespace {

__extension__ using Wide = __int128;

constexpr std::size_t kReasonMax = 400;

Status check_disputable(const Step& step, const LeaseRecord& lease, const Hash& subject) {
  const auto& v = lease.view;
  if (v.state != LeaseState::open && step.time() > v.closed + v.terms.window)
    return fail(Errc::refused, "the lease could be disputed until {}, it is {}",
                v.closed + v.terms.window, step.time());
  if (lease.convicted.contains(subject))
    return fail(Errc::conflict, "this receipt was convicted already");
  return {};
}

// Stake, escrow and claim after a statement of `amount` was found wrong. The receipt's money comes
// back out of the slash as far as it had been paid; what nobody may have is burned.
void convict(Step& step, DisputeView& d) {
  auto& lease = step.lease(d.lease);
  const auto& terms = lease.view.terms;
  const auto& p = step.parameters();

  const auto& provider = step.read(terms.provider);
  Micros pool = provider.stake;
  for (const auto& u : provider.unbonding) pool += u.amount;
  const auto burned_least =
      static_cast<Micros>((static_cast<Wide>(pool) * p.burned_bps + 9999) / 10000);
  const Micros rest = pool - burned_least;
  d.made_whole = std::min({rest, d.amount, lease.view.paid - lease.made_whole});
  d.reward = std::min(rest - d.made_whole, p.reward_max);
  d.burned = pool - d.made_whole - d.reward;
  d.slashed = pool;
  d.escrow_refunded = lease.view.escrow;
  d.state = DisputeState::decided;
  d.outcome = Outcome::provider_wrong;

  step.slash(terms.provider, d.burned, terms.buyer, d.made_whole, d.challenger, d.reward);
  ++step.account(terms.provider).convictions;
  lease.made_whole += d.made_whole;
  lease.convicted.insert(d.subject);
  if (lease.view.state == LeaseState::open) end_lease(step, d.lease, LeaseState::convicted);
  lease.view.state = LeaseState::convicted;
}

void close_dispute(Step& step, DisputeView& d, Outcome outcome, std::string reason) {
  std::erase(step.lease(d.lease).view.open_disputes, d.id);
  d.state = DisputeState::decided;
  d.outcome = outcome;
  d.reason = std::move(reason);
}

}  // namespace

Status on(Step& step, const FileDispute& op) {
  const auto& m = op.dispute.message;
  CHECK_OK(check_signature(step.domain(), op.dispute, m.challenger));
  TRY(const LeaseRecord* lease, step.read_lease(m.lease));
  const auto& terms = lease->view.terms;
  const auto& statement = op.evidence.statement;
  if (m.subject != statement_id(step.domain(), statement))
    return fail(Errc::mismatch, "the dispute is about another receipt than the one beside it");
  CHECK_OK(check_disputable(step, *lease, m.subject));
  if (struct_hash(op.execution) != terms.execution)
    return fail(Errc::mismatch, "the execution id is not the lease's");
  CHECK_OK(check_evidence(step.domain(), terms, m.lease, op.evidence.request, statement));
  if (m.bond < step.parameters().dispute_bond)
    return fail(Errc::refused, "bond {} is under the least {}", format_money(m.bond),
                format_money(step.parameters().dispute_bond));
  CHECK_OK(check_available(step, m.challenger, m.bond));

  auto& d = step.dispute(step.id());
  d.id = step.id();
  d.lease = m.lease;
  d.subject = m.subject;
  d.challenger = m.challenger;
  d.bond = m.bond;
  d.amount = statement_amount(statement);
  d.filed = step.time();
  if (auto fault = arithmetic_fault(terms, op.evidence.request.message, statement)) {
    // Nothing to execute: decided at once, the bond never leaves the challenger.
    d.reason = *fault;
    convict(step, d);
    return {};
  }
  step.lock_bond(m.challenger, m.bond);
  auto& open = step.lease(m.lease).view.open_disputes;
  open.push_back(d.id);
  std::ranges::sort(open);
  return {};
}

Status on(Step& step, const Signed<protocol::Verdict>& op) {
  const auto& m = op.message;
  CHECK_OK(check_signature(step.domain(), op, step.state().info.host));
  const auto it = step.state().disputes.find(m.dispute);
  if (it == step.state().disputes.end() || it->second.about_claim)
    return fail(Errc::not_found, "no such dispute awaits a verdict");
  if (it->second.state != DisputeState::open)
    return fail(Errc::conflict, "the dispute is decided already");
  if (m.outcome > static_cast<std::uint32_t>(Outcome::not_judged))
    return fail(Errc::invalid, "unknown outcome {}", m.outcome);
  if (m.reason.size() > kReasonMax)
    return fail(Errc::invalid, "a reason of {} bytes, at most {}", m.reason.size(), kReasonMax);

  auto& d = step.dispute(m.dispute);
  auto outcome = static_cast<Outcome>(m.outcome);
  // Another challenger was quicker: the bond comes back, the provider is not convicted twice.
  const bool convicted = step.lease(d.lease).convicted.contains(d.subject);
  if (convicted) outcome = Outcome::not_judged;
  close_dispute(step, d, outcome, convicted ? "convicted already" : m.reason);
  const bool wrong_challenger = outcome == Outcome::provider_right;
  const auto payout = step.lease(d.lease).view.terms.payout;
  step.return_bond(wrong_challenger ? payout : d.challenger, d.bond);
  if (outcome == Outcome::provider_wrong) convict(step, d);
  return {};
}

Status on(Step& step, const ReportEquivocation& op) {
  const auto& m = op.report.message;
  CHECK_OK(check_signature(step.domain(), op.report, m.challenger));
  TRY(const LeaseRecord* lease, step.read_lease(m.lease));
  const auto& terms = lease->view.terms;
  if (m.first != statement_id(step.domain(), op.first) ||
      m.second != statement_id(step.domain(), op.second))
    return fail(Errc::mismatch, "the report is about other statements than the two beside it");
  CHECK_OK(check_disputable(step, *lease, m.first));
  CHECK_OK(check_disputable(step, *lease, m.second));
  CHECK_OK(check_evidence(step.domain(), terms, m.lease, op.request, op.first));
  CHECK_OK(check_evidence(step.domain(), terms, m.lease, op.request, op.second));
  const auto reason = contradiction(op.first, op.second);
  if (!reason) return fail(Errc::refused, "the two statements do not contradict each other");

  auto& d = step.dispute(step.id());
  d.id = step.id();
  d.lease = m.lease;
  d.subject = m.first;
  d.challenger = m.challenger;
  d.amount = std::max(statement_amount(op.first), statement_amount(op.second));
  d.filed = step.time();
  d.reason = *reason;
  step.lease(m.lease).convicted.insert(m.second);
  convict(step, d);
  return {};
}

}  // namespace assay::market
