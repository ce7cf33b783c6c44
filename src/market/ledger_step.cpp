#include "market/ledger_step.hpp"

#include "base/assert.hpp"
#include "base/hex.hpp"
#include "market/ledger_hash.hpp"
#include "market/money.hpp"

namespace assay::market {
namespace {

void move(Micros& from, Micros& from_total, Micros& to, Micros& to_total, Micros amount) {
  ASSAY_ASSERT(amount >= 0 && from >= amount && from_total >= amount);
  from -= amount;
  from_total -= amount;
  // Cannot overflow: all pots together never exceed what is inside.
  to += amount;
  to_total += amount;
}

template <class Map, class Saved>
auto& touch(Map& map, Saved& saved, const typename Map::key_type& key) {
  const auto it = map.find(key);
  if (!saved.contains(key))
    saved.emplace(key, it == map.end() ? std::nullopt : std::optional(it->second));
  return it == map.end() ? map[key] : it->second;
}

template <class Set, class Saved, class Key>
void set_member(Set& set, Saved& saved, const Key& key, bool member) {
  saved.emplace(key, set.contains(key));
  if (member)
    set.insert(key);
  else
    set.erase(key);
}

}  // namespace

Step::Step(State& state, const Hash& id, std::uint64_t time) : time_(time), state_(state) {
  undo_.id = id;
  undo_.totals = state.totals;
}

const Account& Step::read(const Address& address) const {
  static const Account empty;
  const auto it = state_.accounts.find(address);
  return it == state_.accounts.end() ? empty : it->second;
}

Result<const LeaseRecord*> Step::read_lease(const Hash& id) const {
  const auto it = state_.leases.find(id);
  if (it == state_.leases.end())
    return fail(Errc::not_found, "no lease {} on this ledger", to_hex(id));
  return &it->second;
}

Account& Step::account(const Address& address) {
  return touch(state_.accounts, undo_.accounts, address);
}

LeaseRecord& Step::lease(const Hash& id) { return touch(state_.leases, undo_.leases, id); }

DisputeView& Step::dispute(const Hash& id) { return touch(state_.disputes, undo_.disputes, id); }

FileDispute& Step::game(const Hash& id) { return touch(state_.games, undo_.games, id); }

void Step::remove_game(const Hash& id) {
  touch(state_.games, undo_.games, id);
  state_.games.erase(id);
}

Evidence& Step::demand(const Hash& id) { return touch(state_.demands, undo_.demands, id); }

void Step::remove_demand(const Hash& id) {
  touch(state_.demands, undo_.demands, id);
  state_.demands.erase(id);
}

void Step::add_claim(const Hash& claim, const Hash& lease) {
  touch(state_.claims, undo_.claims, claim) = lease;
}

void Step::remove_claim(const Hash& claim) {
  touch(state_.claims, undo_.claims, claim);
  state_.claims.erase(claim);
}

void Step::add_live(const LiveLease& live) {
  undo_.live_leases.emplace(live, false);
  state_.live_leases.insert(live);
}

void Step::remove_live(const LiveLease& live) {
  undo_.live_leases.emplace(live, true);
  state_.live_leases.erase(live);
}

AuditorView& Step::auditor(const AuditorKey& key) {
  return touch(state_.auditors, undo_.auditors, key);
}

AuditRecord& Step::audit(const Hash& id) { return touch(state_.audits, undo_.audits, id); }

LatencyRecord& Step::latency(const Hash& lease) {
  return touch(state_.latencies, undo_.latencies, lease);
}

BeaconState& Step::beacon() {
  if (!undo_.beacon) undo_.beacon = state_.beacon;
  return state_.beacon;
}

void Step::set_waiting(const Hash& audit, bool waits) {
  set_member(state_.waiting_audits, undo_.waiting_audits, audit, waits);
}

void Step::set_live(const LiveAudit& live, bool lives) {
  set_member(state_.live_audits, undo_.live_audits, live, lives);
}

void Step::add_pass(const Hash& reveal, const PassPlace& place) {
  touch(state_.passes, undo_.passes, reveal) = place;
}

void Step::add_check(const Hash& check, CheckAsked asked) {
  touch(state_.checks, undo_.checks, check) = std::move(asked);
}

void Step::remove_check(const Hash& check) {
  touch(state_.checks, undo_.checks, check);
  state_.checks.erase(check);
}

void Step::deposit(const Address& to, Micros amount) {
  account(to).available += amount;
  Totals& totals = state_.totals;
  totals.available += amount;
  // What came and went is bounded by nothing: where its sum would end, it begins anew.
  if (amount > INT64_MAX - totals.deposited) {
    totals.deposited -= totals.withdrawn;
    totals.withdrawn = 0;
  }
  totals.deposited += amount;
}

void Step::withdraw(const Address& from, Micros amount) {
  auto& pot = account(from).available;
  ASSAY_ASSERT(pot >= amount);
  pot -= amount;
  state_.totals.available -= amount;
  state_.totals.withdrawn += amount;
}

void Step::move_available(const Address& from, const Address& to, Micros amount) {
  auto& total = state_.totals.available;
  auto& source = account(from).available;
  move(source, total, account(to).available, total, amount);
}

void Step::stake(const Address& who, Micros amount) {
  auto& a = account(who);
  move(a.available, state_.totals.available, a.stake, state_.totals.stake, amount);
}

void Step::unbond(const Address& who, const Unbonding& entry) {
  auto& a = account(who);
  auto& added = a.unbonding.emplace_back(entry);
  added.amount = 0;
  move(a.stake, state_.totals.stake, added.amount, state_.totals.unbonding, entry.amount);
}

void Step::release(const Address& who, std::size_t entry) {
  auto& a = account(who);
  auto& amount = a.unbonding.at(entry).amount;
  move(amount, state_.totals.unbonding, a.available, state_.totals.available, amount);
  a.unbonding.erase(a.unbonding.begin() + static_cast<std::ptrdiff_t>(entry));
}

void Step::lock_escrow(const Hash& id, Micros amount) {
  auto& v = lease(id).view;
  move(account(v.terms.buyer).available, state_.totals.available, v.escrow, state_.totals.escrow,
       amount);
  account(v.terms.provider).exposure += amount;
}

void Step::pay_escrow(const Hash& id, Micros amount) {
  auto& v = lease(id).view;
  move(v.escrow, state_.totals.escrow, account(v.terms.payout).available, state_.totals.available,
       amount);
  account(v.terms.provider).exposure -= amount;
  v.paid += amount;
}

void Step::refund_escrow(const Hash& id) {
  auto& v = lease(id).view;
  account(v.terms.provider).exposure -= v.escrow;
  move(v.escrow, state_.totals.escrow, account(v.terms.buyer).available, state_.totals.available,
       v.escrow);
}

void Step::lock_bond(const Address& from, Micros amount) {
  Micros held = 0;  // the dispute's own record says how much of the bonds is its
  move(account(from).available, state_.totals.available, held, state_.totals.bonds, amount);
}

void Step::return_bond(const Address& to, Micros amount) {
  Micros held = amount;
  move(held, state_.totals.bonds, account(to).available, state_.totals.available, amount);
}

void Step::hold_fees(const Hash& id, Micros amount) {
  auto& v = audit(id).view;
  move(account(v.buyer).available, state_.totals.available, v.held, state_.totals.audit_fees,
       amount);
}

void Step::pay_fees(const Hash& id, const Address& to, Micros amount) {
  move(audit(id).view.held, state_.totals.audit_fees, account(to).available,
       state_.totals.available, amount);
}

void Step::burn_fees(const Hash& id, Micros amount) {
  Micros ashes = 0;
  move(audit(id).view.held, state_.totals.audit_fees, ashes, state_.totals.burned, amount);
}

void Step::slash(const Address& who, Micros burned, const Address& buyer, Micros made_whole,
                 const Address& challenger, Micros reward) {
  auto& a = account(who);
  Micros pool = a.stake;
  state_.totals.stake -= a.stake;
  a.stake = 0;
  for (const auto& u : a.unbonding) {
    pool += u.amount;
    state_.totals.unbonding -= u.amount;
  }
  a.unbonding.clear();
  for (const auto& execution : a.auditing) auditor({execution, who}).active = false;
  a.auditing.clear();
  a.slashed = add(a.slashed, pool).value_or(INT64_MAX);
  ASSAY_ASSERT(burned >= 0 && made_whole >= 0 && reward >= 0 &&
               burned + made_whole + reward == pool);
  state_.totals.burned += burned;
  account(buyer).available += made_whole;
  account(challenger).available += reward;
  state_.totals.available += made_whole + reward;
}

Hash Step::finish() const {
  StateHasher hasher(state_.totals, undo_.id);
  for (const auto& [a, was] : undo_.accounts) hasher.account(a, state_.accounts.at(a));
  for (const auto& [l, was] : undo_.leases) hasher.lease(state_.leases.at(l));
  for (const auto& [d, was] : undo_.disputes) hasher.dispute(state_.disputes.at(d));
  for (const auto& [key, was] : undo_.auditors) hasher.auditor(state_.auditors.at(key));
  for (const auto& [a, was] : undo_.audits) hasher.audit(state_.audits.at(a).view);
  for (const auto& [l, was] : undo_.latencies) hasher.latency(l, state_.latencies.at(l));
  if (undo_.beacon) hasher.beacon(state_.beacon);
  return hasher.finish();
}

Status positive(Micros amount, std::string_view what) {
  if (amount > 0) return {};
  return fail(Errc::invalid, "{} must be more than zero, not {}", what, format_money(amount));
}

Status check_available(const Step& step, const Address& account, Micros amount) {
  const Micros available = step.read(account).available;
  if (available >= amount) return {};
  return fail(Errc::refused, "account {} has {} available, {} needed: deposit first",
              account.to_string(), format_money(available), format_money(amount));
}

Status check_exposure(const Step& step, const Address& provider, Micros more) {
  const auto& a = step.read(provider);
  const auto& p = step.parameters();
  if (a.stake < p.stake_min)
    return fail(Errc::refused, "provider {} has stake {}, the ledger asks for at least {}",
                provider.to_string(), format_money(a.stake), format_money(p.stake_min));
  const auto after = add(a.exposure, more);
  if (!after || *after > exposure_limit(p, a.stake))
    return fail(Errc::refused, "exposure {} would exceed {} x stake {}",
                format_money(after.value_or(INT64_MAX)), p.exposure_factor, format_money(a.stake));
  return {};
}

bool past_dispute(const LeaseRecord& lease, std::uint64_t time) {
  const auto& v = lease.view;
  return v.state != LeaseState::open && v.open_disputes.empty() && time > v.closed + v.terms.window;
}

void drop_claim(Step& step, const Hash& id, protocol::Outcome outcome, std::string_view reason) {
  auto& v = step.lease(id).view;
  if (!v.claim) return;
  step.remove_claim(v.claim->id);
  if (v.claim->contest != Hash{} && !v.claim->opened) {
    auto& contest = step.dispute(v.claim->contest);
    contest.state = DisputeState::decided;
    contest.turn = Turn::over;
    contest.due = 0;
    contest.outcome = outcome;
    contest.reason = reason;
    step.return_bond(contest.challenger, contest.bond);
    std::erase(v.open_disputes, v.claim->contest);
  }
  v.claim.reset();
}

void end_lease(Step& step, const Hash& id, LeaseState state, std::string_view reason) {
  drop_claim(step, id, protocol::Outcome::not_judged, reason);
  step.refund_escrow(id);
  auto& v = step.lease(id).view;
  v.state = state;
  v.closed = step.time();
}

}  // namespace assay::market
