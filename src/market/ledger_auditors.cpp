// Who offers to audit, and the beacon that draws among them (spec/audits.md).
#include <algorithm>

#include "market/ledger_step.hpp"
#include "market/money.hpp"
#include "protocol/audit_keys.hpp"

namespace assay::market {

using protocol::check_signature;

namespace {

constexpr std::size_t kEndpointBytesMax = 256;
constexpr std::size_t kExecutionsMax = 16;  // of one account
// A draw hashes once a ticket. Who stakes more than this many times the least registers a second
// account.
constexpr Micros kTicketsMax = 16;

std::uint32_t tickets_of(const Parameters& p, Micros weight) {
  if (p.stake_min == 0) return 1;
  return static_cast<std::uint32_t>(std::min(weight / p.stake_min, kTicketsMax));
}

// Nothing in here may depend on what a host can still change once it has seen the audit asked for,
// except to an auditor's own loss: an account is in the draw with the stake it had before the lease
// was opened, or not at all.
bool eligible(const AuditorView& a, const LeaseView& lease, Micros fee_max) {
  if (!a.active || a.fee > fee_max || a.since >= lease.opened) return false;
  const auto& terms = lease.terms;
  return a.account != terms.buyer && a.account != terms.provider && a.account != terms.payout;
}

struct Place {
  Hash score{};
  const AuditorView* auditor = nullptr;
};

std::vector<Place> draw(const State& state, const AuditView& audit, const Hash& beacon) {
  const auto& lease = state.leases.at(audit.lease).view;
  std::vector<Place> places;
  const auto& execution = lease.terms.execution;
  for (auto it = state.auditors.lower_bound({execution, Address{}});
       it != state.auditors.end() && it->first.first == execution; ++it)
    if (eligible(it->second, lease, audit.fee_max))
      places.push_back({protocol::draw_score(beacon, audit.id, it->second.account,
                                             tickets_of(state.info.parameters, it->second.weight)),
                        &it->second});
  std::ranges::sort(places, {}, &Place::score);
  if (places.size() > audit.auditors) places.resize(audit.auditors);
  return places;
}

void start(Step& step, const Hash& id, const Hash& beacon) {
  const auto& lease = step.state().leases.at(step.state().audits.at(id).view.lease);
  auto& audit = step.audit(id).view;
  audit.beacon = beacon;
  audit.check_due = 0;
  // What is convicted needs no audit any more.
  std::vector<Place> places;
  if (!lease.convicted.contains(audit.subject)) places = draw(step.state(), audit, beacon);
  Micros promised = 0;
  for (const auto& place : places) {
    const auto& a = *place.auditor;
    auto& drawn = audit.drawn.emplace_back();
    drawn.account = a.account;
    drawn.fee = a.fee;
    drawn.fee_held = true;
    promised += a.fee;
    step.set_live({a.account, step.time(), id}, true);
    ++step.auditor({a.execution, a.account}).drawn;
  }
  step.pay_fees(id, audit.buyer, audit.held - promised);
  if (places.empty()) {
    audit.state = AuditState::settled;
    return;
  }
  audit.state = AuditState::drawn;
  const auto move_s = step.parameters().move_s;
  audit.commit_due = step.time() + move_s;
  audit.reveal_due = audit.commit_due + move_s;
  audit.check_due = audit.reveal_due + move_s;
}

}  // namespace

Status on(Step& step, const Signed<protocol::RegisterAuditor>& op) {
  const auto& m = op.message;
  CHECK_OK(check_signature(step.domain(), op, m.account));
  const AuditorKey key{m.execution, m.account};
  const auto& a = step.read(m.account);
  const bool was = std::ranges::binary_search(a.auditing, m.execution);
  if (!m.active) {
    if (!was) return fail(Errc::conflict, "the account is not registered to audit this execution");
    step.auditor(key).active = false;
    std::erase(step.account(m.account).auditing, m.execution);
    return {};
  }
  CHECK_OK(positive(m.fee, "an auditor's fee"));
  if (m.endpoint.empty() || m.endpoint.size() > kEndpointBytesMax)
    return fail(Errc::invalid, "an endpoint of {} bytes, 1 to {} are allowed", m.endpoint.size(),
                kEndpointBytesMax);
  if (!was) {
    const auto least = std::max<Micros>(step.parameters().stake_min, 1);
    if (a.stake < least)
      return fail(Errc::refused, "auditor {} has stake {}, the ledger asks for at least {}",
                  m.account.to_string(), format_money(a.stake), format_money(least));
    if (a.auditing.size() >= kExecutionsMax)
      return fail(Errc::refused, "{} executions are audited already: end one first",
                  kExecutionsMax);
  }
  auto& record = step.auditor(key);
  record.account = m.account;
  record.execution = m.execution;
  record.endpoint = m.endpoint;
  record.fee = m.fee;
  if (was) return {};
  record.active = true;
  record.weight = a.stake;
  record.since = step.time();
  auto& list = step.account(m.account).auditing;
  list.insert(std::ranges::lower_bound(list, m.execution), m.execution);
  return {};
}

Status on(Step& step, const Signed<protocol::Beacon>& op) {
  const auto& m = op.message;
  CHECK_OK(check_signature(step.domain(), op, step.state().info.host));
  const auto last = step.state().beacon;
  if (m.round != last.round + 1)
    return fail(Errc::conflict, "round {} was published, {} is next", last.round, last.round + 1);
  if (protocol::beacon_before(m.value) != last.value)
    return fail(Errc::mismatch, "the value does not lead to that of round {}", last.round);
  step.beacon() = {m.round, m.value};
  const auto waiting = step.state().waiting_audits;
  for (const auto& id : waiting) {
    step.set_waiting(id, false);
    start(step, id, m.value);
  }
  return {};
}

}  // namespace assay::market
