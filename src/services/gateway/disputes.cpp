#include "services/gateway/disputes.hpp"

#include "io/log.hpp"

namespace assay::services {

using Filed = settle::Challenger::Filed;

namespace {
constexpr std::int64_t kLookoutMs = 2'000;
}

Disputes::Disputes(Buyer& buyer, MarketView& market)
    : buyer_(buyer),
      market_(market),
      challenger_(buyer.ledger, buyer.key, buyer.settlement, buyer.clock,
                  buyer.options.audit_threads, buyer.options.audit_kv_bytes),
      alarm_("dispute", buyer.ledger.parameters.move_s) {}

void Disputes::start_lookout() {
  lookout_.start(
      [this]() -> std::int64_t {
        alarm_.round("disputes", [this] { return look(); }, [this] { return buyer_.now(); });
        return kLookoutMs;
      },
      kLookoutMs);
}

Status Disputes::look() {
  TRY(const auto records, buyer_.store->requests_in(RequestStage::disputed));
  for (const RequestRecord& record : records) {
    TRY(const market::DisputeView view, buyer_.settlement.dispute(record.dispute_id));
    if (view.state != market::DisputeState::decided && view.turn == market::Turn::challenger)
      alarm_.look(view.id, view.due, buyer_.now());
  }
  return {};
}

settle::DisputedCase Disputes::case_of(const RequestRecord& record, const LeaseRecord& lease) {
  const auto model = [this, &record]() -> Result<settle::DisputedModel> {
    const auto local = buyer_.models.find(record.request.message.execution);
    if (!local)
      return fail(Errc::not_found, "the model '{}' is no longer in {}: put it back to dispute",
                  record.model, buyer_.options.models_directory);
    return settle::DisputedModel{.model = local->model,
                                 .execution = local->execution,
                                 .program = verify::program_bytes(local->program)};
  };
  const auto opening = [this, &record] { return buyer_.vault.opening(record.statement_id); };
  return {.subject = record.statement_id,
          .defender = lease.lease.message.provider,
          .lease = lease.lease.message,
          .sources = {.model = model, .opening = opening}};
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
  const settle::DisputedCase about = case_of(record, lease);
  const auto keep = [&](const market::FileDispute& dispute) {
    record.dispute = json::dump(market::to_json(market::Operation(dispute)));
    record.dispute_id = buyer_.id(dispute.dispute.message);
    return buyer_.store->update_request(record, RequestStage::mismatch);
  };
  if (record.dispute.empty()) {
    TRY(const market::FileDispute fresh,
        challenger_.draft({.request = record.request, .statement = *record.statement}, about));
    CHECK_OK(keep(fresh));
  }
  TRY(market::FileDispute dispute, stored(record));
  const std::string endpoint = market_.endpoint_of(lease);
  TRY(const Filed filed,
      challenger_.file(std::move(dispute), about, keep, [&](const market::FileDispute& so_far) {
        return buyer_.providers.dispute(endpoint, so_far);
      }));
  switch (filed) {
    case Filed::filed:
      record.stage = RequestStage::disputed;
      break;
    case Filed::pointless:
      record.stage = RequestStage::withheld;
      record.reason += "; nothing that the provider opened differs from this replay";
      break;
    case Filed::too_late: {
      const auto view = buyer_.settlement.lease(record.lease);
      // A convicted lease has returned its escrow already: nothing is left to ask for.
      record.stage = view && view->state == market::LeaseState::convicted ? RequestStage::refunded
                                                                          : RequestStage::withheld;
      break;
    }
  }
  return buyer_.store->update_request(record, RequestStage::mismatch);
}

Status Disputes::follow(RequestRecord record) {
  TRY(const market::DisputeView view, buyer_.settlement.dispute(record.dispute_id));
  if (view.state != market::DisputeState::decided) {
    TRY(const LeaseRecord lease, buyer_.store->lease(record.lease));
    return challenger_.move(view, case_of(record, lease));
  }
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
