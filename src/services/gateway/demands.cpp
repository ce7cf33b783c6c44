#include "services/gateway/demands.hpp"

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "io/log.hpp"
#include "io/random.hpp"
#include "market/money.hpp"
#include "market/statements.hpp"
#include "protocol/delivery.hpp"

namespace assay::services {
namespace {

template <class Op>
Result<Op> operation_of(market::Settlement& settlement, const Hash& id) {
  TRY(market::Operation operation, settlement.operation(id));
  if (auto* op = std::get_if<Op>(&operation)) return std::move(*op);
  return fail(Errc::mismatch, "the ledger shows a {} under {}", market::kind_of(operation),
              to_hex(id));
}

bool holds_progress(const RequestRecord& record) {
  return record.statement && std::holds_alternative<Signed<protocol::Progress>>(*record.statement);
}

}  // namespace

Status Demands::look_into(const LeaseRecord& lease, const market::PendingClaim& claim) {
  if (looked_into_.contains(claim.contest)) return {};
  TRY(const market::OpenClaim shown_there, opened(claim.contest));
  Status first;
  for (const market::ClaimLeaf& leaf : shown_there.leaves)
    if (Status done = shown(lease, leaf); !done && first) first = std::move(done);
  if (first) looked_into_.insert(claim.contest);
  return first;
}

Result<market::OpenClaim> Demands::opened(const Hash& contest) {
  TRY(const market::DisputeView view, buyer_.settlement.dispute(contest));
  return operation_of<market::OpenClaim>(buyer_.settlement, view.game);
}

Status Demands::shown(const LeaseRecord& lease, const market::ClaimLeaf& leaf) {
  const Hash& id = leaf.receipt.message.request;
  auto found = buyer_.store->request(id);
  if (!found && found.error().code == Errc::not_found) {
    io::log_warn(
        "paid without its answer: request {} is not in this data directory, its secret is "
        "lost",
        to_hex(id));
    return {};
  }
  if (!found) return std::unexpected(found.error());
  RequestRecord record = std::move(*found);
  // As it was signed: a chain shows requests without their biases.
  CHECK_OK(market::check_evidence(buyer_.ledger.domain, lease.lease.message, lease.id,
                                  record.request, leaf.receipt));
  if (record.statement_id == buyer_.id(leaf.receipt.message)) return {};
  if (buyer_.active.contains(id)) return fail(Errc::unavailable, "its answer is still coming");
  if (record.statement && market::contradiction(*record.statement, leaf.receipt))
    return equivocated(lease, std::move(record), leaf.receipt);
  const bool nothing =
      record.stage == RequestStage::signed_off || record.stage == RequestStage::expired;
  const bool part = holds_progress(record) && (record.stage == RequestStage::receipted ||
                                               record.stage == RequestStage::audited);
  const bool paid_in_part = holds_progress(record) && record.stage == RequestStage::settled &&
                            leaf.receipt.message.amount > record.amount;
  if (!nothing && !part && !paid_in_part) {
    // A receipt that differs in bookkeeping only, or is for no more than a progress paid before.
    io::log_warn("paid as claimed: request {} is {} here", to_hex(id), to_string(record.stage));
    return {};
  }
  if (const Status restored = restore_pending(record); !restored) {
    io::log_warn("paid without its answer: request {}: {}", to_hex(id), restored.error().message);
    return {};
  }
  // A provider that only was away still has it, for nothing. What it shows now and what it claims
  // with may be two receipts. That is said at once: audited and settled, the first ends the claim.
  if (!paid_in_part && intake_.pick_up(record)) {
    TRY(RequestRecord picked, buyer_.store->request(id));
    if (picked.statement && market::contradiction(*picked.statement, leaf.receipt))
      return equivocated(lease, std::move(picked), leaf.receipt);
    return {};
  }
  // Nothing can be delivered: the buyer has all there is, and a replay tells whether it is so.
  if (leaf.receipt.message.count == 0) {
    TRY(protocol::Opening opening, buyer_.vault.pending(id));
    opening.answer.clear();
    opening.logprobs.clear();
    record.always_audit = true;
    const auto taken = intake_.accept(std::move(record), lease, std::move(opening), leaf.receipt);
    return taken || taken.error().code == Errc::mismatch ? Status()
                                                         : std::unexpected(taken.error());
  }
  return demand(lease, std::move(record), leaf.receipt);
}

Status Demands::restore_pending(const RequestRecord& record) {
  if (buyer_.vault.pending(record.id)) return {};
  TRY(const protocol::Opening opening, buyer_.vault.opening(record.statement_id));
  return buyer_.vault.write_pending(opening);
}

Status Demands::equivocated(const LeaseRecord& lease, RequestRecord record,
                            const Signed<protocol::Receipt>& second) {
  market::ReportEquivocation report;
  report.report = buyer_.sign(protocol::Equivocation{.challenger = buyer_.address,
                                                     .lease = lease.id,
                                                     .first = record.statement_id,
                                                     .second = buyer_.id(second.message)});
  report.request = record.request;
  report.first = *record.statement;
  report.second = second;
  const Hash commitment = market::commitment_of(buyer_.ledger.domain, report);
  const auto committed = buyer_.settlement.submit(buyer_.sign(protocol::CommitDispute{
      .account = buyer_.address, .commitment = commitment, .nonce = io::random_u64()}));
  // Committed to by an earlier try whose report did not arrive.
  if (!committed && committed.error().code != Errc::conflict)
    return std::unexpected(committed.error());
  CHECK_OK(buyer_.settlement.submit(report));
  const RequestStage from = record.stage;
  record.stage = RequestStage::refunded;
  record.reason = "the provider signed two receipts for one request";
  CHECK_OK(buyer_.store->update_request(record, from));
  CHECK_OK(buyer_.store->set_returned(lease.id));
  market_.convicted(lease.lease.message.provider, record.reason);
  return {};
}

Status Demands::demand(const LeaseRecord& lease, RequestRecord record,
                       const Signed<protocol::Receipt>& receipt) {
  const RequestStage from = record.stage;
  const Address& provider = lease.lease.message.provider;
  record.statement = receipt;
  record.statement_id = buyer_.id(receipt.message);
  // What a settlement paid of it before is paid.
  record.amount = receipt.message.amount - (from == RequestStage::settled ? record.amount : 0);
  if (record.amount < buyer_.options.demand_from) {
    record.stage = RequestStage::withheld;
    record.reason = fmt::format("left to the provider's claim without its answer: {} is under {}",
                                market::format_money(record.amount),
                                market::format_money(buyer_.options.demand_from));
    return buyer_.store->update_request(record, from);
  }
  const market::DemandDelivery op{
      buyer_.sign(protocol::Demand{.buyer = buyer_.address,
                                   .lease = lease.id,
                                   .subject = record.statement_id,
                                   .bond = buyer_.ledger.parameters.dispute_bond,
                                   .nonce = io::random_u64()}),
      {record.request, *record.statement}};
  record.stage = RequestStage::demanded;
  record.reason = "the provider claims for an answer it did not send: demanded";
  record.dispute = json::dump(market::to_json(market::Operation(op)));
  record.dispute_id = buyer_.id(op.demand.message);
  // Whoever had to be forced is looked at, whatever the draw says.
  record.always_audit = true;
  // Written before it is submitted: a bond is never put up twice for one answer.
  CHECK_OK(buyer_.store->update_request(record, from));
  io::log_warn("provider {} claims {} for an answer it did not send: demanded",
               provider.to_string(), market::format_money(record.amount));
  market_.failed(provider);
  return submit(std::move(record));
}

Status Demands::submit(RequestRecord record) {
  TRY(const json::value text, json::parse(record.dispute));
  TRY(const json::object* object, json::as_object(text, "a stored demand"));
  TRY(const market::Operation operation, market::operation_from_json(*object));
  const auto applied = buyer_.settlement.submit(operation);
  if (applied) return {};
  const Errc code = applied.error().code;
  const auto view = buyer_.settlement.lease(record.lease);
  const bool over = view && view->disputable_until != 0 && buyer_.now() > view->disputable_until;
  const bool may_pass_later = code != Errc::conflict && code != Errc::mismatch &&
                              code != Errc::invalid && code != Errc::not_found;
  if (!view || (may_pass_later && !over)) return fail_in("demand", applied.error());
  io::log_warn("demand not taken: {}", applied.error().message);
  record.stage = view->state == market::LeaseState::convicted ? RequestStage::refunded
                                                              : RequestStage::withheld;
  record.reason = "its answer could not be demanded: " + applied.error().message;
  return buyer_.store->update_request(record, RequestStage::demanded);
}

Status Demands::follow(RequestRecord record) {
  const auto view = buyer_.settlement.dispute(record.dispute_id);
  if (!view && view.error().code == Errc::not_found) return submit(std::move(record));
  if (!view) return std::unexpected(view.error());
  TRY(const LeaseRecord lease, buyer_.store->lease(record.lease));
  const bool decided = view->state == market::DisputeState::decided;
  if (decided && view->outcome != protocol::Outcome::provider_right)
    return lost(std::move(record), lease, *view);
  if (view->moves != 0) return receive(std::move(record), lease, *view);
  if (buyer_.now() < view->due)
    return fail(Errc::unavailable, "the provider has until {} to deliver", view->due);
  CHECK_OK(buyer_.settlement.submit(
      buyer_.sign(protocol::Timeout{.account = buyer_.address, .dispute = view->id})));
  return {};
}

Status Demands::receive(RequestRecord record, const LeaseRecord& lease,
                        const market::DisputeView& view) {
  TRY(const auto delivered, operation_of<market::Deliver>(buyer_.settlement, view.game));
  const protocol::Request& request = record.request.message;
  const std::uint32_t count = market::statement_count(*record.statement);
  TRY(const std::size_t size, protocol::sealed_bytes(request, count));
  if (buyer_.id(delivered.delivery.message) != view.game || delivered.answer.size() != size ||
      crypto::sha256(delivered.answer) != delivered.delivery.message.answer)
    return fail(Errc::mismatch, "the ledger shows something else than what was delivered");
  TRY(protocol::Opening opening, buyer_.vault.pending(record.id));
  if (const auto fault = market::delivery_fault(request, *record.statement, view.id,
                                                opening.salt_secret, delivered.answer)) {
    if (view.state == market::DisputeState::decided || buyer_.now() >= view.due) {
      record.stage = RequestStage::withheld;
      record.reason = fmt::format("{}, and the time to report it is over", *fault);
      return buyer_.store->update_request(record, RequestStage::demanded);
    }
    io::log_warn("reported, with the salt secret of the request: {}", *fault);
    CHECK_OK(buyer_.settlement.submit(market::ReportDelivery{
        buyer_.sign(protocol::DeliveryReport{
            .buyer = buyer_.address, .demand = view.id, .salt_secret = opening.salt_secret}),
        delivered}));
    return {};
  }
  auto answer =
      protocol::unseal_answer(opening.salt_secret, view.id, request, count, delivered.answer);
  opening.answer = std::move(answer.answer);
  opening.logprobs = std::move(answer.logprobs);
  const auto receipt = std::get<Signed<protocol::Receipt>>(*record.statement);
  record.dispute.clear();  // a dispute to come is another one
  record.dispute_id = {};
  const auto accepted = intake_.accept(record, lease, opening, receipt);
  // The roots fit, so what does not is how it ends: a dispute without a game.
  if (!accepted && accepted.error().code == Errc::mismatch)
    (void)intake_.convicting(std::move(record), opening, receipt, accepted.error().message);
  else if (!accepted)
    return std::unexpected(accepted.error());
  io::log_info("demand {}: {} answer tokens came over the ledger", to_hex(view.id), count);
  // Nobody's payment waits for this buyer. Lost: the provider ends it when its time is over.
  (void)buyer_.settlement.submit(
      buyer_.sign(protocol::Timeout{.account = buyer_.address, .dispute = view.id}));
  return {};
}

Status Demands::lost(RequestRecord record, const LeaseRecord& lease,
                     const market::DisputeView& view) {
  const Address& provider = lease.lease.message.provider;
  if (view.outcome == protocol::Outcome::provider_wrong) market_.convicted(provider, view.reason);
  record.stage = RequestStage::refunded;
  record.reason = view.reason;
  CHECK_OK(buyer_.store->update_request(record, RequestStage::demanded));
  CHECK_OK(buyer_.store->set_returned(lease.id));
  market_.forget_cache();
  io::log_info("demand decided: {}: {}", market::to_string(view.outcome), view.reason);
  return {};
}

}  // namespace assay::services
