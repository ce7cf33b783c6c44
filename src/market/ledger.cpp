#include "market/ledger.hpp"

#include "base/assert.hpp"
#include "base/hex.hpp"
#include "base/int128.hpp"
#include "market/ledger_hash.hpp"
#include "market/ledger_step.hpp"
#include "market/money.hpp"

namespace assay::market {
namespace {

// Sums of a few times stay far inside 64 bits.
constexpr std::uint64_t kTimeMax = std::uint64_t{1} << 40;

}  // namespace

Result<State> genesis(const LedgerInfo& info, const Referee& referee) {
  CHECK_OK(check(info));
  State state;
  state.info = info;
  state.referee = &referee;
  state.totals.state = genesis_hash(info);
  state.beacon.value = info.beacon;
  return state;
}

Result<Applied> apply(State& state, const Operation& operation, std::uint64_t time, Undo* undo) {
  const Hash id = operation_id(state.info.domain, operation);
  if (const auto it = state.applied.find(id); it != state.applied.end())
    return Applied{id, it->second, true};
  if (time < state.totals.time || time > kTimeMax)
    return fail(Errc::invalid, "time {} is before the last operation's {}", time,
                state.totals.time);

  Step step(state, id, time);
  CHECK_OK(std::visit([&](const auto& op) { return on(step, op); }, operation));

  auto& totals = state.totals;
  ++totals.operations;
  totals.time = time;
  totals.state = step.finish();
  state.applied.emplace(id, totals.operations);
  ASSAY_ASSERT(totals.conserved());
  if (undo != nullptr) *undo = step.take_undo();
  return Applied{id, totals.operations, false};
}

void revert(State& state, Undo undo) {
  const auto restore = [](auto& map, auto& saved) {
    for (auto& [key, was] : saved)
      if (was)
        map[key] = std::move(*was);
      else
        map.erase(key);
  };
  restore(state.accounts, undo.accounts);
  restore(state.leases, undo.leases);
  restore(state.disputes, undo.disputes);
  restore(state.games, undo.games);
  restore(state.demands, undo.demands);
  restore(state.claims, undo.claims);
  restore(state.auditors, undo.auditors);
  restore(state.audits, undo.audits);
  restore(state.passes, undo.passes);
  restore(state.checks, undo.checks);
  restore(state.latencies, undo.latencies);
  const auto restore_set = [](auto& set, const auto& saved) {
    for (const auto& [key, was] : saved)
      if (was)
        set.insert(key);
      else
        set.erase(key);
  };
  restore_set(state.live_leases, undo.live_leases);
  restore_set(state.waiting_audits, undo.waiting_audits);
  restore_set(state.live_audits, undo.live_audits);
  if (undo.beacon) state.beacon = *undo.beacon;
  state.applied.erase(undo.id);
  state.totals = undo.totals;
}

Micros burned_of(Micros amount, std::uint32_t bps) {
  return static_cast<Micros>((static_cast<Int128>(amount) * bps + 9999) / 10000);
}

Micros exposure_limit(const Parameters& parameters, Micros stake) {
  if (stake < parameters.stake_min) return 0;
  const auto limit = static_cast<Int128>(stake) * parameters.exposure_factor;
  return limit > INT64_MAX ? INT64_MAX : static_cast<Micros>(limit);
}

AccountView account_view(const State& state, const Address& address) {
  AccountView v;
  v.address = address;
  const auto it = state.accounts.find(address);
  if (it == state.accounts.end()) return v;
  const auto& a = it->second;
  v.available = a.available;
  v.stake = a.stake;
  v.unbonding = a.unbonding;
  v.exposure = a.exposure;
  v.exposure_limit = exposure_limit(state.info.parameters, a.stake);
  v.convictions = a.convictions;
  v.slashed = a.slashed;
  for (const auto& [id, game] : state.games)
    if (state.disputes.at(id).defender == address) v.open_disputes.push_back(id);
  for (const auto& [id, evidence] : state.demands)
    if (state.disputes.at(id).defender == address) v.open_disputes.push_back(id);
  for (auto live = state.live_audits.lower_bound({address, 0, Hash{}});
       live != state.live_audits.end() && live->auditor == address; ++live)
    if (liable(state, live->audit, address, state.totals.time)) v.audits.push_back(live->audit);
  return v;
}

Result<LeaseView> lease_view(const State& state, const Hash& id) {
  const auto it = state.leases.find(id);
  if (it == state.leases.end())
    return fail(Errc::not_found, "no lease {} on this ledger", to_hex(id));
  auto v = it->second.view;
  if (v.state != LeaseState::open) v.disputable_until = v.closed + v.terms.window;
  return v;
}

Result<DisputeView> dispute_view(const State& state, const Hash& id) {
  const auto it = state.disputes.find(id);
  if (it == state.disputes.end())
    return fail(Errc::not_found, "no dispute {} on this ledger", to_hex(id));
  return it->second;
}

Result<FileDispute> game_view(const State& state, const Hash& id) {
  const auto it = state.games.find(id);
  if (it == state.games.end())
    return fail(Errc::not_found, "no game of a dispute {} is open on this ledger", to_hex(id));
  return it->second;
}

Result<AuditView> audit_view(const State& state, const Hash& id) {
  const auto it = state.audits.find(id);
  if (it == state.audits.end())
    return fail(Errc::not_found, "no audit {} on this ledger", to_hex(id));
  auto v = it->second.view;
  const auto& lease = state.leases.at(v.lease);
  v.subject_convicted = lease.convicted.contains(v.subject);
  v.subject_canary = lease.canaries.contains(v.subject);
  for (auto& a : v.drawn)
    a.endpoint = state.auditors.at({lease.view.terms.execution, a.account}).endpoint;
  return v;
}

std::vector<AuditorView> auditors_view(const State& state, const Hash& execution) {
  std::vector<AuditorView> out;
  for (auto it = state.auditors.lower_bound({execution, Address{}});
       it != state.auditors.end() && it->first.first == execution; ++it)
    if (it->second.active) out.push_back(it->second);
  return out;
}

Totals recount(const State& state) {
  Totals t;
  t.operations = state.totals.operations;
  t.time = state.totals.time;
  t.state = state.totals.state;
  t.deposited = state.totals.deposited;
  t.withdrawn = state.totals.withdrawn;
  t.burned = state.totals.burned;
  for (const auto& [address, a] : state.accounts) {
    t.available += a.available;
    t.stake += a.stake;
    for (const auto& u : a.unbonding) t.unbonding += u.amount;
  }
  for (const auto& [id, l] : state.leases) t.escrow += l.view.escrow;
  for (const auto& [id, d] : state.disputes)
    if (d.state == DisputeState::open) t.bonds += d.bond;
  for (const auto& [id, a] : state.audits) {
    t.audit_fees += a.view.held;
    for (const auto& c : a.view.checks) t.bonds += c.bond;
  }
  return t;
}

Hash snapshot_hash(const State& state) {
  StateHasher hasher(state.totals, Hash{});
  for (const auto& [address, a] : state.accounts) hasher.account(address, a);
  for (const auto& [id, l] : state.leases) hasher.lease(l);
  for (const auto& [id, d] : state.disputes) hasher.dispute(d);
  for (const auto& [key, a] : state.auditors) hasher.auditor(a);
  for (const auto& [id, a] : state.audits) hasher.audit(a.view);
  for (const auto& [lease, l] : state.latencies) hasher.latency(lease, l);
  hasher.beacon(state.beacon);
  return hasher.finish();
}

}  // namespace assay::market
