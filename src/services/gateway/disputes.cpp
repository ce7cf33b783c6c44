#include "services/gateway/disputes.hpp"

#include "io/log.hpp"
#include "io/random.hpp"

namespace assay::services {

Result<market::FileDispute> Disputes::draft(const RequestRecord& record) {
  TRY(const LeaseRecord lease, buyer_.store->lease(record.lease));
  return market::FileDispute{
      .dispute = buyer_.sign(protocol::Dispute{.challenger = buyer_.address,
                                               .lease = lease.id,
                                               .subject = record.statement_id,
                                               .bond = buyer_.ledger.parameters.dispute_bond,
                                               .nonce = io::random_u64()}),
      .evidence = {.request = record.request, .statement = *record.statement},
      .execution = lease.execution};
}

Status Disputes::file(RequestRecord record) {
  if (record.dispute.empty()) {
    TRY(const market::FileDispute fresh, draft(record));
    record.dispute = json::dump(market::to_json(market::Operation(fresh)));
    record.dispute_id = buyer_.id(fresh.dispute.message);
    // Written before it is filed: a bond is never put up twice for one receipt.
    CHECK_OK(buyer_.store->update_request(record, RequestStage::mismatch));
  }
  TRY(const json::value stored, json::parse(record.dispute));
  TRY(const json::object* object, json::as_object(stored, "a stored dispute"));
  TRY(const market::Operation operation, market::operation_from_json(*object));
  const auto* dispute = std::get_if<market::FileDispute>(&operation);
  if (dispute == nullptr) return fail(Errc::mismatch, "a stored dispute is another operation");
  TRY(const protocol::Opening opening, buyer_.vault.opening(record.statement_id));

  const auto filed = buyer_.settlement.file_dispute(*dispute, opening);
  if (!filed) {
    const Errc code = filed.error().code;
    const bool may_pass_later = code == Errc::unavailable || code == Errc::io ||
                                code == Errc::internal || code == Errc::cancelled ||
                                code == Errc::refused;  // the bond may be affordable later
    const auto lease = buyer_.settlement.lease(record.lease);
    // A closed lease can be disputed for another window.
    const bool lease_over =
        lease &&
        (lease->state == market::LeaseState::convicted ||
         (lease->state == market::LeaseState::closed && buyer_.now() > lease->disputable_until));
    if (may_pass_later && !lease_over) return fail_in("dispute", filed.error());
    io::log_warn("dispute not taken: {}", filed.error().message);
    // A convicted lease has returned its escrow already: nothing is left to ask for.
    record.stage = lease && lease->state == market::LeaseState::convicted ? RequestStage::refunded
                                                                          : RequestStage::withheld;
    return buyer_.store->update_request(record, RequestStage::mismatch);
  }
  record.stage = RequestStage::disputed;
  return buyer_.store->update_request(record, RequestStage::mismatch);
}

Status Disputes::follow(RequestRecord record) {
  TRY(const market::DisputeView view, buyer_.settlement.dispute(record.dispute_id));
  if (view.state != market::DisputeState::decided)
    return fail(Errc::unavailable, "the dispute is not decided yet");
  switch (view.outcome) {
    case protocol::Outcome::provider_wrong:
      record.stage = RequestStage::refunded;
      CHECK_OK(buyer_.store->set_returned(record.lease));
      break;
    case protocol::Outcome::provider_right:
      record.stage = RequestStage::audited;
      record.reason = "the referee found the provider right: " + view.reason;
      break;
    case protocol::Outcome::not_judged:
      record.stage = RequestStage::withheld;
      record.reason += "; not judged: " + view.reason;
      break;
  }
  io::log_info("dispute decided: {}: {}", market::to_string(view.outcome), view.reason);
  CHECK_OK(buyer_.store->update_request(record, RequestStage::disputed));
  market_.forget_cache();
  return {};
}

}  // namespace assay::services
