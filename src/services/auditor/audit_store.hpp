// The auditor's durable state, in SQLite (<data>/auditor.db). Every method is one transaction that
// is on disk when it returns; methods may be called from any thread. Prompts, answers, salts and
// keys are in it: the file is for its owner only.
#pragma once
#include <memory>
#include <mutex>

#include "io/sqlite.hpp"
#include "services/auditor/audit_records.hpp"

namespace assay::services {

struct AuditorTotals {
  std::uint64_t audits = 0, passed = 0, failed = 0, unauditable = 0, open = 0;
  std::uint64_t disputes = 0;
};

class AuditStore {
 public:
  // A data directory of another ledger or key is refused.
  static Result<std::unique_ptr<AuditStore>> open(const std::string& path,
                                                  const protocol::Domain& domain,
                                                  const Address& auditor);
  static Result<std::unique_ptr<AuditStore>> open_existing(const std::string& path);

  // The first handover of an audit stays: the same again changes nothing, another is a conflict.
  Status add(const Hash& audit, const protocol::AuditCall& call);
  // The first secret stays.
  Status add_secret(const Hash& audit, const Hash& salt_secret);
  Result<std::optional<AuditRecord>> audit(const Hash& id);
  Result<std::optional<AuditRecord>> by_reveal(const Hash& reveal_id);
  Result<std::vector<AuditRecord>> live();  // all but done
  Result<std::int64_t> handed();            // how many wait to be computed
  // Each moves one stage on; conflict when the record is no longer where it has to be.
  Status commit(const Hash& audit, const Hash& key, const Hash& keyed_root);
  Status judge(const Hash& audit, protocol::AuditVerdict verdict, const Hash& reveal_id,
               const std::string& reason);
  Status reveal(const Hash& audit);
  // From any stage; forgets tokens, secret and key.
  Status finish(const Hash& audit, const std::string& reason);

  Status add_dispute(const AuditorsDispute& dispute);  // the subject's first stays
  Result<bool> has_dispute(const Hash& subject);
  Status update_dispute(const AuditorsDispute& dispute);
  Result<std::vector<AuditorsDispute>> disputes();  // all but over

  Result<AuditorTotals> totals();

 private:
  explicit AuditStore(std::unique_ptr<io::Database> db) : db_(std::move(db)) {}
  Result<std::vector<AuditRecord>> read(io::Statement& statement);
  Status moved(io::Statement& update);

  std::unique_ptr<io::Database> db_;
  std::mutex mutex_;
};

}  // namespace assay::services
