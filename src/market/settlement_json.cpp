// JSON of the views in settlement.hpp: one list of members each, for both directions.
#include "base/hex.hpp"
#include "market/settlement.hpp"

namespace assay::market {

namespace {

template <class V, class T>
void settlement_members(V& v, T& s)
  requires std::same_as<std::remove_const_t<T>, Unbonding>
{
  v("amount", s.amount);
  v("requested", s.requested);
  v("due", s.due);
}
template <class V, class T>
void settlement_members(V& v, T& s)
  requires std::same_as<std::remove_const_t<T>, PendingClaim>
{
  v("id", s.id);
  v("total", s.total);
  v("count", s.count);
  v("root", s.root);
  v("due", s.due);
  v("contest", s.contest);
  v("opened", s.opened);
}
template <class V, class T>
void settlement_members(V& v, T& s)
  requires std::same_as<std::remove_const_t<T>, Parameters>
{
  v("exposure_factor", s.exposure_factor);
  v("unbonding_s", s.unbonding_s);
  v("window_min_s", s.window_min_s);
  v("window_max_s", s.window_max_s);
  v("lease_max_s", s.lease_max_s);
  v("move_s", s.move_s);
  v("stake_min", s.stake_min);
  v("dispute_bond", s.dispute_bond);
  v("reward_max", s.reward_max);
  v("burned_bps", s.burned_bps);
}
template <class V, class T>
void settlement_members(V& v, T& s)
  requires std::same_as<std::remove_const_t<T>, AccountView>
{
  v("address", s.address);
  v("available", s.available);
  v("stake", s.stake);
  v("unbonding", s.unbonding);
  v("exposure", s.exposure);
  v("exposure_limit", s.exposure_limit);
  v("convictions", s.convictions);
  v("slashed", s.slashed);
  v("open_disputes", s.open_disputes);
  v("audits", s.audits);
}
template <class V, class T>
void settlement_members(V& v, T& s)
  requires std::same_as<std::remove_const_t<T>, Totals>
{
  v("deposited", s.deposited);
  v("withdrawn", s.withdrawn);
  v("available", s.available);
  v("stake", s.stake);
  v("unbonding", s.unbonding);
  v("escrow", s.escrow);
  v("bonds", s.bonds);
  v("audit_fees", s.audit_fees);
  v("burned", s.burned);
  v("operations", s.operations);
  v("time", s.time);
  v("state", s.state);
}
template <class V, class T>
void settlement_members(V& v, T& s)
  requires std::same_as<std::remove_const_t<T>, Applied>
{
  v("id", s.id);
  v("sequence", s.sequence);
  v("already", s.already);
}
// Enumerations are words; `state` and `outcome` are read and written by the caller.
template <class V, class T>
void settlement_members(V& v, T& s, std::string& state)
  requires std::same_as<std::remove_const_t<T>, LeaseView>
{
  v("id", s.id);
  v("terms", s.terms);
  v("state", state);
  v("escrow", s.escrow);
  v("paid", s.paid);
  v("opened", s.opened);
  v("closed", s.closed);
  v("disputable_until", s.disputable_until);
  v("may_claim", s.may_claim);
  v("claim", s.claim);
  v("open_disputes", s.open_disputes);
}
template <class V, class T>
void settlement_members(V& v, T& s, std::string& about, std::string& state, std::string& outcome,
                        std::string& turn)
  requires std::same_as<std::remove_const_t<T>, DisputeView>
{
  v("id", s.id);
  v("lease", s.lease);
  v("subject", s.subject);
  v("challenger", s.challenger);
  v("defender", s.defender);
  v("audit", s.audit);
  v("bond", s.bond);
  v("about", about);
  v("amount", s.amount);
  v("filed", s.filed);
  v("state", state);
  v("outcome", outcome);
  v("reason", s.reason);
  v("turn", turn);
  v("due", s.due);
  v("moves", s.moves);
  v("game", s.game);
  v("slashed", s.slashed);
  v("burned", s.burned);
  v("made_whole", s.made_whole);
  v("reward", s.reward);
  v("escrow_refunded", s.escrow_refunded);
}

template <class T>
json::object write(const T& s) {
  json::object out;
  protocol::FieldWriter writer{out};
  settlement_members(writer, s);
  return out;
}
template <class T>
Result<T> read(const json::object& o, std::string_view what) {
  T s;
  protocol::FieldReader reader(o, what);
  settlement_members(reader, s);
  CHECK_OK(reader.finish());
  return s;
}

}  // namespace

// Found by argument-dependent lookup from the lists above.
json::value encode(const Unbonding& s) { return write(s); }
Status decode(const json::value& v, Unbonding& out) {
  TRY(const json::object* o, json::as_object(v, "an unbonding"));
  TRY(out, read<Unbonding>(*o, "an unbonding"));
  return {};
}
json::value encode(const std::optional<PendingClaim>& s) {
  return s ? json::value(write(*s)) : json::value(nullptr);
}
Status decode(const json::value& v, std::optional<PendingClaim>& out) {
  out.reset();
  if (v.is_null()) return {};
  TRY(const json::object* o, json::as_object(v, "a claim"));
  TRY(out, read<PendingClaim>(*o, "a claim"));
  return {};
}

json::object to_json(const Parameters& v) { return write(v); }
json::object to_json(const AccountView& v) { return write(v); }
json::object to_json(const Totals& v) { return write(v); }
json::object to_json(const Applied& v) { return write(v); }
Result<Parameters> parameters_from_json(const json::object& o) {
  return read<Parameters>(o, "parameters");
}
Result<AccountView> account_view_from_json(const json::object& o) {
  return read<AccountView>(o, "an account");
}
Result<Totals> totals_from_json(const json::object& o) { return read<Totals>(o, "totals"); }
Result<Applied> applied_from_json(const json::object& o) { return read<Applied>(o, "an answer"); }

json::object to_json(const LedgerInfo& v) {
  json::object out;
  out["domain"] = v.domain.to_json();
  protocol::FieldWriter{out}("host", v.host);
  out["parameters"] = to_json(v.parameters);
  protocol::FieldWriter{out}("beacon", v.beacon);
  protocol::FieldWriter{out}("audit_burned_bps", v.audit_burned_bps);
  return out;
}

Result<LedgerInfo> ledger_info_from_json(const json::object& o) {
  LedgerInfo info;
  TRY(const json::object* domain, json::get_object(o, "domain"));
  TRY(info.domain, Domain::from_json(*domain));
  TRY(const std::string host, json::get_string(o, "host"));
  TRY(info.host, Address::parse(host));
  TRY(const json::object* parameters, json::get_object(o, "parameters"));
  TRY(info.parameters, parameters_from_json(*parameters));
  TRY(const std::string beacon, json::get_string(o, "beacon"));
  TRY(info.beacon, array_from_hex<32>(beacon));
  TRY(const std::uint64_t burned, json::get_u64(o, "audit_burned_bps"));
  if (burned > kAuditBurnedBpsMax)
    return fail(Errc::invalid, "audit_burned_bps {} is over {}", burned, kAuditBurnedBpsMax);
  info.audit_burned_bps = static_cast<std::uint32_t>(burned);
  CHECK_OK(check(info));
  return info;
}

json::object to_json(const LeaseView& v) {
  json::object out;
  protocol::FieldWriter writer{out};
  std::string state(to_string(v.state));
  settlement_members(writer, v, state);
  return out;
}

Result<LeaseView> lease_view_from_json(const json::object& o) {
  LeaseView v;
  std::string state;
  protocol::FieldReader reader(o, "a lease");
  settlement_members(reader, v, state);
  CHECK_OK(reader.finish());
  for (const auto s : {LeaseState::open, LeaseState::closed, LeaseState::convicted})
    if (to_string(s) == state) {
      v.state = s;
      return v;
    }
  return fail(Errc::invalid, "unknown lease state '{}'", state);
}

json::object to_json(const DisputeView& v) {
  json::object out;
  protocol::FieldWriter writer{out};
  std::string state = v.state == DisputeState::open ? "open" : "decided";
  std::string about(to_string(v.about)), outcome(to_string(v.outcome)), turn(to_string(v.turn));
  settlement_members(writer, v, about, state, outcome, turn);
  return out;
}

Result<DisputeView> dispute_view_from_json(const json::object& o) {
  using protocol::Outcome;
  DisputeView v;
  std::string about, state, outcome, turn;
  protocol::FieldReader reader(o, "a dispute");
  settlement_members(reader, v, about, state, outcome, turn);
  CHECK_OK(reader.finish());
  if (state != "open" && state != "decided")
    return fail(Errc::invalid, "unknown dispute state '{}'", state);
  v.state = state == "open" ? DisputeState::open : DisputeState::decided;
  const auto find = [](const std::string& word, auto& out, auto... candidates) {
    return ((to_string(candidates) == word && ((out = candidates), true)) || ...);
  };
  if (!find(about, v.about, DisputeAbout::statement, DisputeAbout::claim, DisputeAbout::delivery))
    return fail(Errc::invalid, "a dispute about '{}' is not known", about);
  if (!find(turn, v.turn, Turn::provider, Turn::challenger, Turn::over))
    return fail(Errc::invalid, "unknown turn '{}'", turn);
  if (!find(outcome, v.outcome, Outcome::provider_right, Outcome::provider_wrong,
            Outcome::not_judged, Outcome::invalid_model))
    return fail(Errc::invalid, "unknown outcome '{}'", outcome);
  return v;
}

}  // namespace assay::market
