#include "services/gateway/hires.hpp"

#include <algorithm>

#include "base/hex.hpp"
#include "io/log.hpp"
#include "io/random.hpp"
#include "market/money.hpp"
#include "settle/retry.hpp"

namespace assay::services {
namespace {

using market::AuditView;
using market::DrawnAuditor;
using protocol::AuditVerdict;

AuditVerdict verdict_of(const DrawnAuditor& auditor) {
  return static_cast<AuditVerdict>(auditor.verdict);
}

json::array drawn_json(const AuditView& view) {
  json::array out;
  for (const DrawnAuditor& auditor : view.drawn)
    out.push_back(json::object{{"auditor", auditor.account.to_string()},
                               {"fee", market::format_money(auditor.fee)},
                               {"committed", auditor.nonce_hash != Hash{}},
                               {"verdict", market::to_string(verdict_of(auditor))},
                               {"convicted", auditor.convicted}});
  return out;
}

}  // namespace

Result<bool> Hires::wanted(const RequestRecord& record) {
  // The ledger hears audits about receipts only.
  if (buyer_.options.audit_by != AuditBy::hire ||
      !std::holds_alternative<Signed<protocol::Receipt>>(*record.statement))
    return false;
  TRY(const auto hires, buyer_.store->hires_of(record.id));
  return hires.size() < kHiresMax || hires.front().stage == HireStage::asked;
}

Status Hires::step(const RequestRecord& record) {
  TRY(auto hires, buyer_.store->hires_of(record.id));
  if (hires.empty() || hires.front().stage != HireStage::asked) {
    TRY(HireRecord fresh, draft(record));
    hires.insert(hires.begin(), std::move(fresh));
  }
  HireRecord& hire = hires.front();
  auto view = buyer_.settlement.audit(hire.audit);
  if (!view && view.error().code == Errc::not_found) {
    CHECK_OK(ask(record, hire));
    view = buyer_.settlement.audit(hire.audit);
  }
  if (!view) return std::unexpected(view.error());
  return accompany(record, hire, *view);
}

Result<HireRecord> Hires::draft(const RequestRecord& record) {
  const auto request = buyer_.sign(protocol::AuditRequest{.buyer = buyer_.address,
                                                          .lease = record.lease,
                                                          .subject = record.statement_id,
                                                          .auditors = buyer_.options.auditors,
                                                          .fee_max = buyer_.options.audit_fee_max,
                                                          .nonce = io::random_hash()});
  const market::RequestAudit operation{
      .request = request, .evidence = {.request = record.request, .statement = *record.statement}};
  HireRecord hire{.audit = buyer_.id(request.message),
                  .request = record.id,
                  .operation = json::dump(market::to_json(market::Operation(operation)))};
  // On disk before it is on the ledger: fees are never held twice for one audit.
  CHECK_OK(buyer_.store->put_hire(hire));
  return hire;
}

Status Hires::ask(const RequestRecord& record, const HireRecord& hire) {
  TRY(const json::value text, json::parse(hire.operation));
  TRY(const json::object* object, json::as_object(text, "a stored audit request"));
  TRY(const market::Operation operation, market::operation_from_json(*object));
  const auto asked = buyer_.settlement.submit(operation);
  if (asked) return {};
  const auto lease = buyer_.settlement.lease(record.lease);
  if (!lease || lease->state == market::LeaseState::open || settle::worth_repeating(asked.error()))
    return fail_in("audit request", asked.error());
  // Its escrow is back: nothing is left to pay or to ask for.
  RequestRecord over = record;
  over.audit = AuditState::not_drawn;
  over.reason = "the lease ended before the audit: " + asked.error().message;
  over.stage = lease->state == market::LeaseState::convicted ? RequestStage::refunded
                                                             : RequestStage::withheld;
  HireRecord closed = hire;
  closed.stage = HireStage::over;
  CHECK_OK(buyer_.store->conclude_hire(closed, over, RequestStage::receipted));
  return std::unexpected(asked.error());
}

Status Hires::accompany(const RequestRecord& record, HireRecord& hire, const AuditView& view) {
  const std::uint64_t now = buyer_.now();
  if (view.state == market::AuditState::waiting) {
    if (now < view.check_due + market::chain_lag_s(buyer_.ledger))
      return fail(Errc::unavailable, "the audit waits for beacon round {}", view.round);
    return again(hire, view);
  }
  TRY(const LeaseRecord lease, buyer_.store->lease(record.lease));
  TRY(protocol::Opening opening, buyer_.vault.opening(record.statement_id));
  const settle::AuditedReceipt about{
      .request = record.request,
      .receipt = std::get<Signed<protocol::Receipt>>(*record.statement),
      .execution = lease.execution,
      .opening = std::move(opening)};
  if (!escort_.accompany(view, about))
    return fail(Errc::unavailable, "auditors have until {} to say what they found",
                view.reveal_due);
  return conclude(record, hire, lease, view);
}

Status Hires::conclude(RequestRecord record, HireRecord& hire, const LeaseRecord& lease,
                       const AuditView& view) {
  const Address& provider = lease.lease.message.provider;
  const auto said = [&](AuditVerdict verdict) {
    return [verdict](const DrawnAuditor& a) { return verdict_of(a) == verdict && !a.convicted; };
  };
  hire.drawn = drawn_json(view);
  const auto failed = std::ranges::find_if(view.drawn, said(AuditVerdict::fail));
  if (view.subject_convicted && !view.subject_canary) {
    record.audit = AuditState::mismatch;
    record.stage = RequestStage::refunded;
    record.reason =
        failed == view.drawn.end()
            ? "convicted"
            : fmt::format("convicted after auditor {} found it wrong", failed->account.to_string());
    hire.stage = HireStage::decided;
    CHECK_OK(buyer_.store->conclude_hire(hire, record, RequestStage::receipted));
    CHECK_OK(buyer_.store->set_returned(lease.id));
    market_.convicted(provider, record.reason);
    market_.forget_cache();
    return {};
  }
  // An accusation holds the payment until it is decided; one that is not pursued is none.
  if (failed != view.drawn.end() && view.state != market::AuditState::settled) {
    CHECK_OK(settle_one(view));
    return fail(Errc::unavailable, "auditor {} found it wrong: its dispute is not decided",
                failed->account.to_string());
  }
  TRY(const AuditView now, buyer_.settlement.audit(hire.audit));
  TRY(const bool believed, checks_.passed(record, hire, lease, now));
  const auto passed = std::ranges::find_if(now.drawn, said(AuditVerdict::pass));
  if (!believed || passed == now.drawn.end()) return again(hire, now);
  record.audit = AuditState::match;
  record.stage = RequestStage::audited;
  record.reason = fmt::format("passed by auditor {}", passed->account.to_string());
  hire.stage = HireStage::decided;
  CHECK_OK(buyer_.store->conclude_hire(hire, record, RequestStage::receipted));
  market_.audited(provider);
  return {};
}

// Nobody said anything that counts: the request is as it was, and another audit may follow.
Status Hires::again(HireRecord& hire, const AuditView& view) {
  io::log_warn("audit {} gave no verdict: {} auditors were drawn", to_hex(hire.audit),
               view.drawn.size());
  hire.drawn = drawn_json(view);
  hire.stage = HireStage::decided;
  return buyer_.store->put_hire(hire);
}

Status Hires::settle_one(const AuditView& view) {
  // Whose fee it is goes first.
  const std::uint64_t from =
      view.check_due + view.drawn.size() * market::settling_turn_s(buyer_.ledger);
  if (view.state == market::AuditState::settled || buyer_.now() < from) return {};
  Result<market::Applied> done = market::Applied{};
  if (const market::OpenCheck* check = market::pending_check(view)) {
    if (buyer_.now() < check->due) return {};
    done = buyer_.settlement.submit(
        buyer_.sign(protocol::Timeout{.account = buyer_.address, .dispute = check->id}));
  } else {
    done = buyer_.settlement.submit(
        buyer_.sign(protocol::SettleAudit{.account = buyer_.address, .audit = view.id}));
  }
  // Refused while a failure waits for its dispute.
  if (!done && settle::worth_repeating(done.error())) return std::unexpected(done.error());
  return {};
}

Status Hires::settle() {
  TRY(auto hires, buyer_.store->hires_in(HireStage::decided));
  for (HireRecord& hire : hires) {
    const auto view = buyer_.settlement.audit(hire.audit);
    const bool gone = !view && view.error().code == Errc::not_found;
    if (!view && !gone) return std::unexpected(view.error());
    if (!gone) {
      CHECK_OK(settle_one(*view));
      if (view->state != market::AuditState::settled) continue;
      hire.drawn = drawn_json(*view);
    }
    hire.stage = HireStage::over;
    CHECK_OK(buyer_.store->put_hire(hire));
  }
  return {};
}

}  // namespace assay::services
