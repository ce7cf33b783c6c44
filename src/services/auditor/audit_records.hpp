// What an auditor remembers of an audit it was drawn for: a row of its database.
#pragma once
#include <optional>

#include "market/operation.hpp"
#include "protocol/handover.hpp"

namespace assay::services {

using protocol::Address;
using protocol::Signed;

// handed → committed → judged → revealed → done; from each to done where the ledger is past it.
enum class AuditStage {
  handed,     // the buyer brought the tokens: to be computed
  committed,  // key and keyed root are drawn and computed: to be on the ledger before commit_due
  judged,     // the verdict is known: to be on the ledger between commit_due and reveal_due
  revealed,   // checks are answered, passes defended, a failure is disputed
  done,       // nothing about it can be asked any more; tokens, secret and key are gone
};

// A dispute this auditor files: about the statement it found wrong, or about another auditor's pass
// of it.
enum class DisputeStage { draft, filed, over };

struct AuditorsDispute {
  Hash subject{};  // of the dispute
  Hash audit{};    // whose tokens it is played with
  Address defender{};
  DisputeStage stage = DisputeStage::draft;
  std::string operation{};  // the FileDispute, JSON; empty: not yet drafted
  Hash id{};                // of the dispute
};

struct AuditRecord {
  Hash id{};  // digest of the AuditRequest
  AuditStage stage = AuditStage::handed;
  protocol::AuditCall call;
  std::optional<Hash> salt_secret;
  Hash key{}, keyed_root{};  // from committed on; the key is a secret
  protocol::AuditVerdict verdict = protocol::AuditVerdict::none;
  std::string reason;  // one line
  Hash reveal_id{};    // digest of the RevealAudit: subject of disputes about it

  const protocol::Request& request() const { return call.request.message; }
  market::Evidence evidence() const { return {call.request, call.receipt}; }
};

std::string_view to_string(AuditStage stage);
std::string_view to_string(DisputeStage stage);

}  // namespace assay::services
