// What a buyer gives an auditor (spec/messages.md section 9): first the tokens, without the salt
// secret, so that nothing anybody serves helps an auditor that does not compute; once the auditor's
// commitment is on the ledger, the secret.
//
//   POST /v1/audit    AuditCall → {"audit", "stage"}
//   POST /v1/secret   AuditSecret → {"audit", "stage"}
//   GET  /v1/audit/{audit}   {"audit", "stage"}; the reason is in the auditor's own books only
//   GET  /health      {"status": "ok"}
// Both are idempotent. The tokens cannot be checked against request and receipt before the secret
// comes, so the buyer signs for them: no stranger can make an auditor commit to others.
#pragma once
#include "protocol/files.hpp"

namespace assay::protocol {

// Buyer → auditor.
struct Handover {
  static constexpr std::string_view kName = "Handover";
  Hash audit{};  // digest of the RequestAudit
  Address auditor{};
  Hash content{};  // handover_content
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("audit", s.audit);
    v("auditor", s.auditor);
    v("content", s.content);
  }
};

struct AuditCall {
  Signed<Handover> handover;
  Signed<Request> request;
  Signed<Receipt> receipt;
  ExecutionId execution;
  std::vector<std::uint32_t> prompt, answer, stop_ids, logprobs;  // logprobs: tokens.hpp
  Bytes automaton{};                                              // as in an InferenceCall
};
json::object to_json(const AuditCall& call);
Result<AuditCall> audit_call_from_json(const json::object& o);

struct AuditSecret {
  Hash audit{}, salt_secret{};
};
json::object to_json(const AuditSecret& secret);
Result<AuditSecret> audit_secret_from_json(const json::object& o);

// sha256("assay/handover/v0" ‖ prompt ‖ answer ‖ stop ids ‖ log-probability numbers ‖ automaton),
// each list as le32 of its length ‖ le32 of each element, the automaton as it is.
Hash handover_content(std::span<const std::uint32_t> prompt, std::span<const std::uint32_t> answer,
                      std::span<const std::uint32_t> stop_ids,
                      std::span<const std::uint32_t> logprobs, ByteView automaton);

// The buyer handed exactly these lists to this auditor, and they are as long as request and receipt
// say. Whether request and receipt are those of the audit is for whoever knows the ledger.
Status check_audit_call(const Domain& domain, const AuditCall& call, const Address& buyer,
                        const Address& auditor);

}  // namespace assay::protocol
