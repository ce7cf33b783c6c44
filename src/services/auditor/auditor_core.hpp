// What the parts of an auditor share.
#pragma once
#include "base/clock.hpp"
#include "market/settlement.hpp"
#include "services/auditor/audit_store.hpp"
#include "services/auditor/auditor_options.hpp"

namespace assay::services {

struct AuditorCore {
  AuditorOptions options;
  std::vector<AuditedModel> models;
  crypto::SecretKey key;
  protocol::Address address{};
  market::LedgerInfo ledger;
  market::Settlement& settlement;
  const Clock& clock;
  std::unique_ptr<AuditStore> store;

  std::uint64_t now() const { return static_cast<std::uint64_t>(clock.now_s()); }
  template <class M>
  protocol::Signed<M> sign(M message) const {
    return protocol::sign(ledger.domain, std::move(message), key);
  }
  template <class M>
  Hash id(const M& message) const {
    return protocol::digest(ledger.domain, message);
  }
  Result<const AuditedModel*> model_of(const Hash& execution) const {
    for (const AuditedModel& m : models)
      if (protocol::struct_hash(m.execution) == execution) return &m;
    return fail(Errc::not_found, "this auditor does not have the model: audit with --model again");
  }
};

}  // namespace assay::services
