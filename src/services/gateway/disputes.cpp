#include "services/gateway/disputes.hpp"

#include "io/log.hpp"
#include "io/random.hpp"
#include "io/system_clock.hpp"
#include "market/statements.hpp"
#include "settle/dispute_game.hpp"

namespace assay::services {
namespace {

// How long a dispute is played off the ledger: claims and payments wait meanwhile.
constexpr std::int64_t kPlayMs = 120'000;

}  // namespace

Disputes::Disputes(Buyer& buyer, MarketView& market)
    : buyer_(buyer), market_(market), pool_(std::max(1u, buyer.options.audit_threads)) {}

Result<market::FileDispute> Disputes::draft(const RequestRecord& record, const LeaseRecord& lease) {
  const auto model = buyer_.models.find(record.request.message.execution);
  if (!model)
    return fail(Errc::not_found, "the model '{}' is no longer in {}: put it back to dispute",
                record.model, buyer_.options.models_directory);
  market::FileDispute out;
  out.dispute = buyer_.sign(protocol::Dispute{.challenger = buyer_.address,
                                              .lease = lease.id,
                                              .subject = record.statement_id,
                                              .bond = buyer_.ledger.parameters.dispute_bond,
                                              .nonce = io::random_u64()});
  out.evidence = {.request = record.request, .statement = *record.statement};
  out.execution = lease.execution;
  out.program = verify::program_bytes(verify::program_of(
      *model->model, model->tokenizer, model->chat ? &*model->chat : nullptr, pool_));
  return out;
}

Result<market::FileDispute> Disputes::stored(const RequestRecord& record) const {
  TRY(const json::value text, json::parse(record.dispute));
  TRY(const json::object* object, json::as_object(text, "a stored dispute"));
  TRY(market::Operation operation, market::operation_from_json(*object));
  auto* dispute = std::get_if<market::FileDispute>(&operation);
  if (dispute == nullptr) return fail(Errc::mismatch, "a stored dispute is another operation");
  return std::move(*dispute);
}

Status Disputes::file(RequestRecord record) {
  TRY(const LeaseRecord lease, buyer_.store->lease(record.lease));
  if (record.dispute.empty()) {
    TRY(const market::FileDispute fresh, draft(record, lease));
    record.dispute = json::dump(market::to_json(market::Operation(fresh)));
    record.dispute_id = buyer_.id(fresh.dispute.message);
    // Written before it is filed: a bond is never put up twice for one receipt.
    CHECK_OK(buyer_.store->update_request(record, RequestStage::mismatch));
  }
  TRY(market::FileDispute dispute, stored(record));
  const auto keep = [&] {
    record.dispute = json::dump(market::to_json(market::Operation(dispute)));
    return buyer_.store->update_request(record, RequestStage::mismatch);
  };
  const bool by_figures =
      market::arithmetic_fault(lease.lease.message, record.request.message, *record.statement)
          .has_value();
  if (!by_figures && !dispute.finish) {
    TRY(const protocol::Opening opening, buyer_.vault.opening(record.statement_id));
    TRY(const verify::Subject subject,
        settle::subject_of(dispute.execution, dispute.program, record.request.message,
                           *record.statement));
    dispute.finish = verify::finish_evidence(subject, opening);
    if (dispute.finish) CHECK_OK(keep());
  }
  // Who cannot make its own moves puts up no bond.
  const bool game = !by_figures && !dispute.finish;
  if (game) {
    TRY([[maybe_unused]] verify::Party * party, party_for(record, dispute));
  }
  CHECK_OK(buyer_.settlement.submit(buyer_.sign(protocol::CommitDispute{
      .account = buyer_.address,
      .commitment = market::commitment_of(buyer_.ledger.domain, market::Operation(dispute)),
      .nonce = dispute.dispute.message.nonce})));
  if (game && dispute.transcript.empty()) {
    TRY(const bool lost, play(record, lease, dispute));
    if (lost) {
      record.stage = RequestStage::withheld;
      record.reason += "; nothing that the provider opened differs from this replay";
      return buyer_.store->update_request(record, RequestStage::mismatch);
    }
    CHECK_OK(keep());
  }

  const auto filed = buyer_.settlement.submit(dispute);
  if (!filed) {
    const Errc code = filed.error().code;
    const bool may_pass_later = code == Errc::unavailable || code == Errc::io ||
                                code == Errc::internal || code == Errc::cancelled ||
                                code == Errc::refused;  // the bond may be affordable later
    const auto view = buyer_.settlement.lease(record.lease);
    // A closed lease can be disputed for another window.
    const bool lease_over =
        view &&
        (view->state == market::LeaseState::convicted ||
         (view->state == market::LeaseState::closed && buyer_.now() > view->disputable_until));
    if (may_pass_later && !lease_over) return fail_in("dispute", filed.error());
    io::log_warn("dispute not taken: {}", filed.error().message);
    // A convicted lease has returned its escrow already: nothing is left to ask for.
    record.stage = view && view->state == market::LeaseState::convicted ? RequestStage::refunded
                                                                        : RequestStage::withheld;
    return buyer_.store->update_request(record, RequestStage::mismatch);
  }
  record.stage = RequestStage::disputed;
  return buyer_.store->update_request(record, RequestStage::mismatch);
}

Result<bool> Disputes::play(const RequestRecord& record, const LeaseRecord& lease,
                            market::FileDispute& dispute) {
  TRY(verify::Transcript transcript,
      settle::transcript_of(buyer_.ledger.domain, lease.lease.message.provider, dispute));
  TRY(verify::Party * party, party_for(record, dispute));
  const std::string endpoint = market_.endpoint_of(lease);
  const verify::Game& game = transcript.game();
  const std::int64_t until_ms = io::steady_ms() + kPlayMs;
  while (game.outcome() == verify::DisputeOutcome::open) {
    verify::PlayedMove played;
    if (game.turn() == verify::Side::provider) {
      if (io::steady_ms() > until_ms) break;
      const auto move = buyer_.providers.dispute(endpoint, dispute);
      if (!move) {
        io::log_info("the dispute goes on the ledger: {}", move.error().message);
        break;
      }
      played = settle::as_next(transcript, *move);
      if (const auto added = transcript.add(played); !added) {
        io::log_info("the provider's move is none: {}", added.error().message);
        break;
      }
    } else {
      auto payload = party->challenge(game);
      if (!payload && payload.error().code == Errc::not_found) return true;
      if (!payload) return std::unexpected(payload.error());
      played = settle::sign_next(buyer_.ledger.domain, transcript, std::move(*payload), buyer_.key);
      TRY([[maybe_unused]] const auto added, transcript.add(played));
    }
    dispute.transcript.push_back(settle::as_signed(played));
  }
  return false;
}

Result<verify::Party*> Disputes::party_for(const RequestRecord& record,
                                           const market::FileDispute& dispute) {
  if (party_ && about_ == record.statement_id) return party_.get();
  party_.reset();
  const auto model = buyer_.models.find(record.request.message.execution);
  if (!model) return fail(Errc::not_found, "the model '{}' is not here any more", record.model);
  auto& trees = trees_[model->execution_hash];
  if (!trees) trees = std::make_shared<const verify::ModelTrees>(model->model, pool_);
  TRY(protocol::Opening opening, buyer_.vault.opening(record.statement_id));
  TRY(verify::Subject subject, settle::subject_of(dispute.execution, dispute.program,
                                                  record.request.message, *record.statement));
  TRY(party_, verify::Party::prepare(std::move(subject), trees, std::move(opening), pool_,
                                     engine::best_isa(), {}, buyer_.options.audit_kv_bytes));
  about_ = record.statement_id;
  return party_.get();
}

Status Disputes::move_on_ledger(const RequestRecord& record, const market::DisputeView& view) {
  // Over by the clock, whosever turn it is; or another dispute convicted the statement.
  const auto time_out = [&] {
    return buyer_.settlement.submit(
        buyer_.sign(protocol::Timeout{.account = buyer_.address, .dispute = view.id}));
  };
  if (buyer_.now() >= view.due) {
    CHECK_OK(time_out());
    return {};
  }
  if (view.turn == market::Turn::provider)
    return fail(Errc::unavailable, "the provider has until {} to move", view.due);
  TRY(const market::FileDispute dispute, buyer_.settlement.game(view.id));
  TRY(const LeaseRecord lease, buyer_.store->lease(record.lease));
  TRY(const verify::Transcript transcript,
      settle::transcript_of(buyer_.ledger.domain, lease.lease.message.provider, dispute));
  TRY(verify::Party * party, party_for(record, dispute));
  TRY(Bytes payload, party->challenge(transcript.game()));
  const auto moved = buyer_.settlement.submit(settle::as_operation(
      settle::sign_next(buyer_.ledger.domain, transcript, std::move(payload), buyer_.key)));
  if (!moved && moved.error().code == Errc::conflict) {
    CHECK_OK(time_out());
  } else if (!moved) {
    return std::unexpected(moved.error());
  }
  return {};
}

Status Disputes::follow(RequestRecord record) {
  TRY(const market::DisputeView view, buyer_.settlement.dispute(record.dispute_id));
  if (view.state != market::DisputeState::decided) return move_on_ledger(record, view);
  switch (view.outcome) {
    case protocol::Outcome::provider_wrong:
      record.stage = RequestStage::refunded;
      CHECK_OK(buyer_.store->set_returned(record.lease));
      break;
    case protocol::Outcome::provider_right:
      record.stage = RequestStage::audited;
      record.reason = "the referee found the provider right: " + view.reason;
      break;
    case protocol::Outcome::invalid_model:
      record.stage = RequestStage::refunded;
      record.reason += "; the model itself is invalid: " + view.reason;
      CHECK_OK(buyer_.store->set_returned(record.lease));
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
