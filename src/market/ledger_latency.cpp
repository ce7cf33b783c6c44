// What buyers say about the speed of who served them (spec/reputation.md): one word a lease, and
// only where money was paid.
#include "market/ledger_step.hpp"
#include "market/money.hpp"

namespace assay::market {

namespace {
constexpr std::uint64_t kClocksApartS = 600;  // of a buyer and the host
}

Status on(Step& step, const Signed<protocol::LatencyReport>& op) {
  const auto& m = op.message;
  CHECK_OK(protocol::check_signature(step.domain(), op, m.buyer));
  TRY(const LeaseRecord* lease, step.read_lease(m.lease));
  const auto& v = lease->view;
  if (m.buyer != v.terms.buyer)
    return fail(Errc::refused, "only the lease's buyer says how fast it was answered");
  if (v.state == LeaseState::convicted)
    return fail(Errc::refused, "the lease ended by a conviction: its answers count no more");
  if (v.state == LeaseState::closed && step.time() > v.closed + v.terms.window)
    return fail(Errc::refused, "the lease could be reported on until {}, it is {}",
                v.closed + v.terms.window, step.time());
  if (m.answers == 0) return fail(Errc::invalid, "a report about no answers");
  if (m.since < v.opened || m.since >= m.until || m.until > step.time() + kClocksApartS)
    return fail(Errc::invalid, "a report about {} to {} on a lease opened at {}, it is {}", m.since,
                m.until, v.opened, step.time());
  // An answer that costs anything costs a micro-unit.
  if (m.answers > v.paid)
    return fail(Errc::refused, "{} was paid on this lease: not for {} answers",
                format_money(v.paid), m.answers);
  const auto had = step.state().latencies.find(m.lease);
  if (had != step.state().latencies.end()) {
    if (m.until <= had->second.until)
      return fail(Errc::conflict, "the last report is until {}", had->second.until);
    // Each report costs something, so nobody fills the log with them.
    if (v.paid <= had->second.paid)
      return fail(Errc::conflict, "nothing was paid since the last report");
  }
  step.latency(m.lease) = {.answers = m.answers,
                           .first_token_ms = m.first_token_ms,
                           .per_token_ms = m.per_token_ms,
                           .since = m.since,
                           .until = m.until,
                           .made = step.time(),
                           .paid = v.paid};
  return {};
}

}  // namespace assay::market
