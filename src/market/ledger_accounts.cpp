#include <algorithm>

#include "market/ledger_step.hpp"
#include "market/money.hpp"

namespace assay::market {

using protocol::check_signature;

Status on(Step& step, const Signed<protocol::Deposit>& op) {
  const auto& m = op.message;
  CHECK_OK(positive(m.amount, "a deposit"));
  if (m.account.is_zero()) return fail(Errc::invalid, "a deposit to the zero address is lost");
  CHECK_OK(check_signature(step.domain(), op, step.state().info.host));
  const Totals& totals = step.state().totals;
  if (!add(totals.deposited - totals.withdrawn, m.amount))
    return fail(Errc::refused, "the ledger cannot hold more than {} in deposits",
                format_money(INT64_MAX));
  step.deposit(m.account, m.amount);
  return {};
}

Status on(Step& step, const Signed<protocol::Withdraw>& op) {
  const auto& m = op.message;
  CHECK_OK(positive(m.amount, "a withdrawal"));
  CHECK_OK(check_signature(step.domain(), op, m.account));
  CHECK_OK(check_available(step, m.account, m.amount));
  step.withdraw(m.account, m.amount);
  return {};
}

Status on(Step& step, const Signed<protocol::Transfer>& op) {
  const auto& m = op.message;
  CHECK_OK(positive(m.amount, "a transfer"));
  if (m.to.is_zero()) return fail(Errc::invalid, "a transfer to the zero address is lost");
  CHECK_OK(check_signature(step.domain(), op, m.account));
  CHECK_OK(check_available(step, m.account, m.amount));
  step.move_available(m.account, m.to, m.amount);
  return {};
}

Status on(Step& step, const Signed<protocol::Stake>& op) {
  const auto& m = op.message;
  CHECK_OK(positive(m.amount, "a stake"));
  CHECK_OK(check_signature(step.domain(), op, m.account));
  CHECK_OK(check_available(step, m.account, m.amount));
  step.stake(m.account, m.amount);
  return {};
}

Status on(Step& step, const Signed<protocol::Unbond>& op) {
  const auto& m = op.message;
  CHECK_OK(positive(m.amount, "an unbonding"));
  CHECK_OK(check_signature(step.domain(), op, m.account));
  const auto& a = step.read(m.account);
  if (a.stake < m.amount)
    return fail(Errc::refused, "stake is {}, {} cannot be unbonded", format_money(a.stake),
                format_money(m.amount));
  const Micros limit = exposure_limit(step.parameters(), a.stake - m.amount);
  if (a.exposure > limit)
    return fail(Errc::refused,
                "exposure {} would exceed the limit {} of the remaining stake: close leases first",
                format_money(a.exposure), format_money(limit));
  for (const auto& execution : a.auditing) {
    const auto& registered = step.state().auditors.at({execution, m.account});
    if (a.stake - m.amount < registered.weight)
      return fail(Errc::refused, "an auditor is registered here with stake {}: end that first",
                  format_money(registered.weight));
  }
  // Slashing and releasing walk this list.
  constexpr std::size_t kEntriesMax = 64;
  if (a.unbonding.size() >= kEntriesMax)
    return fail(Errc::refused, "{} unbondings are pending already: release some first",
                kEntriesMax);
  step.unbond(m.account, {m.amount, step.time(), step.time() + step.parameters().unbonding_s});
  return {};
}

Status on(Step& step, const Signed<protocol::Release>& op) {
  const auto& m = op.message;
  CHECK_OK(check_signature(step.domain(), op, m.account));
  const auto& a = step.read(m.account);
  if (a.unbonding.empty()) return fail(Errc::refused, "nothing is unbonding");

  // What was staked while a lease was open answers for that lease until nobody can dispute it.
  std::uint64_t oldest_live = UINT64_MAX;
  std::vector<LiveLease> past;
  const auto& live = step.state().live_leases;
  for (auto it = live.lower_bound({m.account, 0, Hash{}});
       it != live.end() && it->provider == m.account; ++it) {
    if (!past_dispute(step.state().leases.at(it->lease), step.time())) {
      oldest_live = it->opened;
      break;
    }
    past.push_back(*it);
  }
  // The same of audits it was drawn for.
  std::vector<LiveAudit> over;
  const auto& audits = step.state().live_audits;
  for (auto it = audits.lower_bound({m.account, 0, Hash{}});
       it != audits.end() && it->auditor == m.account; ++it) {
    if (liable(step.state(), it->audit, m.account, step.time())) {
      oldest_live = std::min(oldest_live, it->drawn);
      break;
    }
    over.push_back(*it);
  }
  std::vector<std::size_t> ready;
  for (std::size_t i = 0; i < a.unbonding.size(); ++i)
    if (a.unbonding[i].due <= step.time() && a.unbonding[i].requested < oldest_live)
      ready.push_back(i);
  if (ready.empty()) {
    const auto& first = a.unbonding.front();
    if (first.due > step.time())
      return fail(Errc::refused, "unbonding is due at {}, it is {}", first.due, step.time());
    return fail(Errc::refused,
                "a lease opened or an audit drawn at {} can still be disputed: close it and wait",
                oldest_live);
  }
  for (const auto& lease : past) step.remove_live(lease);
  for (const auto& audit : over) step.set_live(audit, false);
  for (auto i = ready.rbegin(); i != ready.rend(); ++i) step.release(m.account, *i);
  return {};
}

}  // namespace assay::market
