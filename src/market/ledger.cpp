#include "market/ledger.hpp"

#include "base/assert.hpp"
#include "base/hex.hpp"
#include "market/ledger_hash.hpp"
#include "market/ledger_step.hpp"
#include "market/money.hpp"

namespace assay::market {
namespace {

__extension__ using Wide = __int128;

// Sums of a few times stay far inside 64 bits.
constexpr std::uint64_t kTimeMax = std::uint64_t{1} << 40;

}  // namespace

Result<State> genesis(const LedgerInfo& info, const Referee& referee) {
  CHECK_OK(check(info.parameters));
  State state;
  state.info = info;
  state.referee = &referee;
  state.totals.state = genesis_hash(info);
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
  for (const auto& [live, was] : undo.live_leases)
    if (was)
      state.live_leases.insert(live);
    else
      state.live_leases.erase(live);
  state.applied.erase(undo.id);
  state.totals = undo.totals;
}

Micros exposure_limit(const Parameters& parameters, Micros stake) {
  if (stake < parameters.stake_min) return 0;
  const auto limit = static_cast<Wide>(stake) * parameters.exposure_factor;
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
  const auto add_open = [&](const Hash& id, const Hash& lease) {
    if (state.leases.at(lease).view.terms.provider == address) v.open_disputes.push_back(id);
  };
  for (const auto& [id, game] : state.games) add_open(id, game.dispute.message.lease);
  for (const auto& [id, evidence] : state.demands) add_open(id, evidence.request.message.lease);
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
  return t;
}

Hash snapshot_hash(const State& state) {
  StateHasher hasher(state.totals, Hash{});
  for (const auto& [address, a] : state.accounts) hasher.account(address, a);
  for (const auto& [id, l] : state.leases) hasher.lease(l);
  for (const auto& [id, d] : state.disputes) hasher.dispute(d);
  return hasher.finish();
}

}  // namespace assay::market
