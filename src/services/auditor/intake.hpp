// What buyers bring: tokens to be audited, and later the salt secret. Nothing they say is believed:
// the ledger knows the audit, the buyer signed for the tokens, the request commits to the secret.
#pragma once
#include "services/auditor/auditor_core.hpp"

namespace assay::services {

class AuditIntake {
 public:
  explicit AuditIntake(AuditorCore& core) : core_(core) {}

  // On disk when it returns. Errors: refused (not drawn, too late, too much memory), mismatch (a
  // signature or digest), conflict (other tokens before), not_found (no such audit, no such model).
  Result<AuditRecord> take(const protocol::AuditCall& call);
  // conflict: the commitment is not made yet; mismatch: another secret than the request's.
  Result<AuditRecord> take_secret(const protocol::AuditSecret& secret);
  Result<AuditRecord> known(const Hash& audit);

 private:
  AuditorCore& core_;
};

}  // namespace assay::services
