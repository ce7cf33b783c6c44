// Refusal to deliver (spec/ledger.md, "Delivery"): the buyer of an answer that was signed for
// demands it under bond. A provider that stays silent, or delivers something else, is convicted as
// for a lost dispute; one that delivers gets the bond.
#include <algorithm>

#include "crypto/sha256.hpp"
#include "market/ledger_step.hpp"
#include "market/statements.hpp"
#include "protocol/delivery.hpp"
#include "protocol/rules.hpp"

namespace assay::market {

using protocol::check_signature;

namespace {

constexpr std::size_t kOpenDemandsMax = 64;  // about one lease

static_assert(kSealedBytesMax ==
              4 * (std::size_t{protocol::kAnswerTokensMax} + protocol::kLogprobNumbersMax));

Status check_open_demands(const Step& step, const LeaseRecord& lease) {
  const auto open = std::ranges::count_if(lease.view.open_disputes, [&](const Hash& id) {
    return step.state().disputes.at(id).about == DisputeAbout::delivery;
  });
  if (static_cast<std::size_t>(open) < kOpenDemandsMax) return {};
  return fail(Errc::refused, "{} demands about this lease are open: end one first", open);
}

struct OpenDemand {
  const DisputeView* view;
  const LeaseRecord* lease;
  const Evidence* evidence;
};

Result<OpenDemand> open_demand(const Step& step, const Hash& id) {
  const auto it = step.state().disputes.find(id);
  if (it == step.state().disputes.end() || it->second.about != DisputeAbout::delivery)
    return fail(Errc::not_found, "no such demand on this ledger");
  const DisputeView& d = it->second;
  if (d.state != DisputeState::open) return fail(Errc::conflict, "the demand is decided already");
  TRY(const LeaseRecord* lease, step.read_lease(d.lease));
  if (lease->convicted.contains(d.subject))
    return fail(Errc::conflict,
                "the receipt was convicted meanwhile: a timeout returns the bond at once");
  return OpenDemand{&d, lease, &step.state().demands.at(id)};
}

Status check_in_time(const Step& step, const DisputeView& d, std::string_view what) {
  if (step.time() < d.due) return {};
  return fail(Errc::refused, "the deadline of {} was {}, it is {}", what, d.due, step.time());
}

}  // namespace

Status on(Step& step, const DemandDelivery& op) {
  const auto& m = op.demand.message;
  TRY(const LeaseRecord* lease, step.read_lease(m.lease));
  const auto& v = lease->view;
  if (m.buyer != v.terms.buyer)
    return fail(Errc::refused, "only the lease's buyer demands its answers");
  CHECK_OK(check_signature(step.domain(), op.demand, m.buyer));
  const auto& [request, statement] = op.evidence;
  if (m.subject != statement_id(step.domain(), statement))
    return fail(Errc::mismatch, "the demand is about another receipt than the one beside it");
  CHECK_OK(check_disputable(step, *lease, m.subject));
  CHECK_OK(check_not_over(step, *lease));
  if (lease->demanded.contains(m.subject))
    return fail(Errc::conflict, "this answer was demanded before: the log has what was delivered");
  CHECK_OK(check_evidence(step.domain(), v.terms, m.lease, request, statement));
  if (const auto fault = arithmetic_fault(v.terms, request.message, statement))
    return fail(Errc::refused, "its own figures convict this receipt, dispute it: {}", *fault);
  CHECK_OK(protocol::sealed_bytes(request.message, statement_count(statement)));
  // Demands one after the other would hold a claim up without end.
  if (v.claim && step.time() >= v.claim->due)
    return fail(Errc::refused, "the window of the pending claim ended at {}, it is {}",
                v.claim->due, step.time());
  CHECK_OK(check_bond(step, m.buyer, m.bond));
  CHECK_OK(check_open_demands(step, *lease));

  auto& d = add_dispute(step, DisputeAbout::delivery, m.lease, m.subject, m.buyer, v.terms.provider,
                        Hash{}, m.bond, statement_amount(statement));
  d.turn = Turn::provider;
  d.due = step.time() + step.parameters().move_s;
  step.lease(m.lease).demanded.insert(m.subject);
  step.demand(step.id()) = op.evidence;
  return {};
}

Status on(Step& step, const Deliver& op) {
  const auto& m = op.delivery.message;
  TRY(const OpenDemand open, open_demand(step, m.demand));
  if (open.view->turn != Turn::provider)
    return fail(Errc::conflict, "the answer was delivered already");
  CHECK_OK(check_in_time(step, *open.view, "this delivery"));
  if (m.provider != open.lease->view.terms.provider)
    return fail(Errc::refused, "only the lease's provider delivers its answers");
  TRY(const std::size_t size, protocol::sealed_bytes(open.evidence->request.message,
                                                     statement_count(open.evidence->statement)));
  if (op.answer.size() != size)
    return fail(Errc::invalid, "{} bytes delivered, the answer has {}", op.answer.size(), size);
  if (m.answer != crypto::sha256(op.answer))
    return fail(Errc::mismatch,
                "the delivery was signed for another answer than the one beside it");
  CHECK_OK(check_signature(step.domain(), op.delivery, m.provider));

  auto& d = step.dispute(m.demand);
  d.turn = Turn::challenger;
  d.due = step.time() + step.parameters().move_s;
  d.moves = 1;
  d.game = step.id();
  return {};
}

Status on(Step& step, const ReportDelivery& op) {
  const auto& m = op.report.message;
  TRY(const OpenDemand open, open_demand(step, m.demand));
  if (m.buyer != open.view->challenger)
    return fail(Errc::refused, "only the buyer who demanded an answer reports it");
  CHECK_OK(check_signature(step.domain(), op.report, m.buyer));
  if (open.view->turn != Turn::challenger)
    return fail(Errc::refused, "nothing was delivered yet: after {} a timeout convicts",
                open.view->due);
  CHECK_OK(check_in_time(step, *open.view, "this report"));
  const auto& delivery = op.delivered.delivery.message;
  if (protocol::digest(step.domain(), delivery) != open.view->game ||
      crypto::sha256(op.delivered.answer) != delivery.answer)
    return fail(Errc::mismatch, "what lies beside the report is not what was delivered");
  const auto& request = open.evidence->request.message;
  if (protocol::salt_commitment(m.salt_secret) != request.salt_commitment)
    return fail(Errc::mismatch, "the salt secret is not the one the request commits to");
  const auto fault = delivery_fault(request, open.evidence->statement, m.demand, m.salt_secret,
                                    op.delivered.answer);
  if (!fault) return fail(Errc::refused, "the answer delivered is the one signed for");
  decide(step, m.demand, protocol::Outcome::provider_wrong, *fault);
  return {};
}

}  // namespace assay::market
