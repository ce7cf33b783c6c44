#include "services/auditor/intake.hpp"

#include <algorithm>

#include "base/hex.hpp"
#include "market/statements.hpp"
#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"
#include "verify/constraint.hpp"

namespace assay::services {
namespace {

constexpr std::int64_t kHandedMax = 64;  // audits whose tokens lie here and wait

}  // namespace

Result<AuditRecord> AuditIntake::known(const Hash& audit) {
  TRY(auto record, core_.store->audit(audit));
  if (!record)
    return fail(Errc::not_found, "nothing was handed over here for audit {}", to_hex(audit));
  return std::move(*record);
}

Result<AuditRecord> AuditIntake::take(const protocol::AuditCall& call) {
  const Hash& id = call.handover.message.audit;
  // From the ledger, not from the caller: who may hand over what.
  TRY(const market::AuditView view, core_.settlement.audit(id));
  CHECK_OK(protocol::check_audit_call(core_.ledger.domain, call, view.buyer, core_.address));
  if (const auto before = core_.store->audit(id); before && *before) {
    CHECK_OK(core_.store->add(id, call));  // a conflict where it is another handover
    return std::move(**before);
  }
  if (std::ranges::find(view.drawn, core_.address, &market::DrawnAuditor::account) ==
      view.drawn.end())
    return fail(Errc::refused, "this auditor was not drawn for the audit");
  if (core_.now() >= view.commit_due)
    return fail(Errc::refused, "commitments were due at {}, it is too late", view.commit_due);
  if (core_.id(call.receipt.message) != view.subject)
    return fail(Errc::mismatch, "the receipt is not the one to be audited");
  TRY(const market::LeaseView lease, core_.settlement.lease(view.lease));
  CHECK_OK(market::check_evidence(core_.ledger.domain, lease.terms, view.lease, call.request,
                                  call.receipt));
  const protocol::Request& request = call.request.message;
  TRY(const AuditedModel* model, core_.model_of(request.execution));
  const std::size_t positions = call.prompt.size() + call.answer.size();
  CHECK_OK(verify::check_kv_memory(positions, model->model->hyper(), core_.options.isa,
                                   core_.options.kv_bytes));
  CHECK_OK(verify::constraint_of(request, call.automaton, *model->model));
  if (request.logprobs > 1 + protocol::kTopLogprobsMax ||
      call.logprobs.size() > protocol::kLogprobNumbersMax)
    return fail(Errc::refused, "more log-probabilities than any execution has");
  TRY(const std::int64_t waiting, core_.store->handed());
  if (waiting >= kHandedMax) return fail(Errc::unavailable, "{} audits wait here already", waiting);
  CHECK_OK(core_.store->add(id, call));
  return known(id);
}

Result<AuditRecord> AuditIntake::take_secret(const protocol::AuditSecret& secret) {
  TRY(const AuditRecord record, known(secret.audit));
  if (record.stage == AuditStage::done) return record;
  if (record.stage == AuditStage::handed)
    return fail(Errc::conflict,
                "this auditor has not committed yet: it must not know the secret before");
  if (protocol::salt_commitment(secret.salt_secret) != record.request().salt_commitment)
    return fail(Errc::mismatch, "the salt secret is not the one the request commits to");
  CHECK_OK(core_.store->add_secret(secret.audit, secret.salt_secret));
  return known(secret.audit);
}

}  // namespace assay::services
