// The computing half of an auditor: tokens in, keyed root, verdict and answers out.
#pragma once
#include <deque>

#include "services/auditor/auditor_core.hpp"
#include "verify/audit.hpp"
#include "verify/bare_trace.hpp"

namespace assay::services {

// One thread at a time.
class Examiner {
 public:
  Examiner(AuditorCore& core, verify::ReplayProgress progress)
      : core_(core), progress_(std::move(progress)), pool_(std::max(1u, core.options.threads)) {}

  // One prefill. The root of the keyed tree under this nonce; zero where no execution of the
  // request exists: such a statement is never passed. Errors: cancelled, refused (memory).
  Result<Hash> keyed_root(const AuditRecord& record, const Hash& nonce);
  // Once the salt secret is known. Costs another prefill where what the first one found is no
  // longer in memory. Errors: as before, and mismatch: the secret and the tokens do not open the
  // statement.
  Result<verify::AuditReport> judge(const AuditRecord& record);
  // What checks of this auditor's pass are answered with, all together: one prefill. nullopt: the
  // execution has no such place, which a check that a ledger took does not ask for.
  Result<std::vector<std::optional<Bytes>>> answers(const AuditRecord& record, const Hash& nonce,
                                                    std::span<const Bytes> check_proofs);

  static protocol::Opening opening_of(const AuditRecord& record);

 private:
  struct Examined {
    verify::BareTrace trace;
    verify::Rerun rerun;
  };
  // nullopt: there is no execution.
  Result<std::optional<Examined>> run(const AuditRecord& record, engine::StateSink* also);
  void remember(const Hash& audit, std::optional<Examined> examined);

  AuditorCore& core_;
  verify::ReplayProgress progress_;
  ThreadPool pool_;
  // The last ones, as much as kRememberedBytes.
  std::deque<std::pair<Hash, std::optional<Examined>>> remembered_;
};

}  // namespace assay::services
