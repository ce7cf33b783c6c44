#include "settle/evm/audit_calls.hpp"

namespace assay::settle::evm {

using namespace protocol;

namespace {

// In the transaction of a beacon, so that it stays under the 2^24 gas of EIP-7825: an audit of four
// auditors costs 0.35 million, a registration of two tickets that is looked at 12,000 (measured).
// The rest is drawn by itself.
constexpr std::size_t kDrawnMax = 16;
constexpr std::uint64_t kRankedMax = 300;
constexpr std::uint64_t kRankedAtOnce = 400;  // of one draw

}  // namespace

Result<Call> AuditCalls::make(const Signed<RegisterAuditor>& op) {
  AbiWriter out = signed_message(op);
  out.bytes(view(op.message.endpoint));
  return call(chain_.contracts().auditors, out, "registerAuditor({},bytes,string)",
              abi_type<RegisterAuditor>());
}

Result<Call> AuditCalls::make(const market::RequestAudit& op) {
  AbiWriter out = signed_message(op.request);
  CHECK_OK(put_terms(out, op.request.message.lease));
  out.tuple(evidence_tuple(op.evidence));
  return call(chain_.contracts().audits, out, "{}", request_audit_signature());
}

Result<Call> AuditCalls::make(const Signed<Beacon>& op) {
  TRY(const auto waiting, chain_.waiting_audits());
  std::vector<Hash> drawn;
  std::vector<AbiWriter> terms;
  std::uint64_t ranked = 0;
  for (const auto& [id, audit] : waiting) {
    if (audit.round != op.message.round || drawn.size() == kDrawnMax) continue;
    TRY(const auto lease, chain_.terms(audit.lease));
    if (!lease) return fail(Errc::unavailable, "the endpoint does not show an audit's lease");
    TRY(const std::uint64_t registered, chain_.registrations(lease->execution));
    if (ranked + registered > kRankedMax) continue;
    ranked += registered;
    drawn.push_back(id);
    put(terms.emplace_back(), *lease);
  }
  AbiWriter out = signed_message(op);
  out.words(drawn).structs(terms);
  return call(chain_.contracts().audits, out, "publishBeacon({},bytes,bytes32[],{}[])",
              abi_type<Beacon>(), lease_type());
}

Result<Call> AuditCalls::make(const market::CheckAudit& op) {
  CHECK_OK(check_program(op.execution, op.program));
  const Hash& id = op.check.message.audit;
  TRY(const AuditSlot audit, chain_.audit(id));
  market::Evidence evidence;
  if (!audit.buyer.is_zero()) {
    TRY(const market::RequestAudit asked, chain_.audit_request(id));
    evidence = asked.evidence;
  }
  AbiWriter out = signed_message(op.check);
  CHECK_OK(put_terms(out, audit.lease));
  put(out.tuple(evidence_tuple(evidence)), op.execution).bytes(op.proof);
  return call(chain_.contracts().checks, out, "{}", check_audit_signature());
}

Result<Call> AuditCalls::make(const market::AnswerCheck& op) {
  TRY(const auto proof, chain_.check_proof(op.answer.message.check));
  AbiWriter out = signed_message(op.answer);
  out.bytes(proof.value_or(Bytes{})).bytes(op.proof);
  return call(chain_.contracts().checks, out, "answer({},bytes,bytes,bytes)",
              abi_type<CheckAnswer>());
}

Result<Call> AuditCalls::make(const market::ShowCanary& op) {
  AbiWriter out = signed_message(op.shown);
  put(put(out, op.canary.message), op.canary.signature);
  CHECK_OK(put_terms(out, op.canary.message.lease));
  return call(chain_.contracts().audits, out, "showCanary({},bytes,{},bytes,{})",
              abi_type<CanaryShown>(), abi_type<Canary>(), lease_type());
}

Result<Call> AuditCalls::draw(const Hash& audit) {
  TRY(const AuditSlot slot, chain_.audit(audit));
  AbiWriter out;
  out.bytes32(audit);
  CHECK_OK(put_terms(out, slot.lease));
  out.uint(kRankedAtOnce);
  return call(chain_.contracts().audits, out, "draw(bytes32,{},uint256)", lease_type());
}

}  // namespace assay::settle::evm
