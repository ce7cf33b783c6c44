#include "services/auditor/audit_store.hpp"

#include "base/hex.hpp"
#include "io/schema.hpp"
#include "market/settlement.hpp"

namespace assay::services {
namespace {

using protocol::AuditVerdict;

const io::Schema kSchema{.owner = "auditor", .steps = {R"(
CREATE TABLE IF NOT EXISTS meta(
  key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audits(
  id BLOB PRIMARY KEY, stage TEXT NOT NULL, handover BLOB NOT NULL, call TEXT NOT NULL,
  salt_secret BLOB, key BLOB, keyed_root BLOB, verdict INTEGER NOT NULL, reason TEXT NOT NULL,
  reveal_id BLOB) STRICT;
CREATE INDEX IF NOT EXISTS audits_by_stage ON audits(stage);
CREATE TABLE IF NOT EXISTS disputes(
  subject BLOB PRIMARY KEY, audit BLOB NOT NULL REFERENCES audits(id), defender BLOB NOT NULL,
  stage TEXT NOT NULL, operation TEXT NOT NULL, id BLOB NOT NULL) STRICT;
)"}};

constexpr const char* kColumns =
    "id, stage, call, salt_secret, key, keyed_root, verdict, reason, reveal_id";
constexpr auto kStages = {AuditStage::handed, AuditStage::committed, AuditStage::judged,
                          AuditStage::revealed, AuditStage::done};
constexpr auto kDisputeStages = {DisputeStage::draft, DisputeStage::filed, DisputeStage::over};

template <class E>
Result<E> parse_stage(std::string_view text, std::initializer_list<E> all) {
  for (const E stage : all)
    if (to_string(stage) == text) return stage;
  return fail(Errc::mismatch, "auditor database: unknown stage '{}'", text);
}

Status bind_to(io::Database& db, std::string_view key, const std::string& value,
               std::string_view what) {
  TRY(auto insert, db.prepare("INSERT OR IGNORE INTO meta(key, value) VALUES(?1, ?2)"));
  CHECK_OK(insert.bind_all(key, value).run());
  TRY(auto select, db.prepare("SELECT value FROM meta WHERE key = ?1"));
  select.bind_all(key);
  TRY(const bool found, select.step());
  if (found && select.column_text(0) == value) return {};
  return fail(Errc::conflict,
              "this data directory belongs to another {} ({}): choose another with --data", what,
              found ? select.column_text(0) : "");
}

Result<AuditRecord> read_record(const io::Statement& row) {
  AuditRecord out;
  TRY(out.id, row.column_hash(0));
  TRY(out.stage, parse_stage(row.column_text(1), kStages));
  if (!row.column_text(2).empty()) {
    TRY(const json::value call, json::parse(row.column_text(2)));
    TRY(const json::object* object, json::as_object(call, "a stored audit"));
    TRY(out.call, protocol::audit_call_from_json(*object));
  }
  if (!row.column_is_null(3)) {
    TRY(out.salt_secret, row.column_hash(3));
  }
  if (!row.column_is_null(4)) {
    TRY(out.key, row.column_hash(4));
    TRY(out.keyed_root, row.column_hash(5));
  }
  out.verdict = static_cast<AuditVerdict>(row.column_int64(6));
  out.reason = row.column_text(7);
  if (!row.column_is_null(8)) {
    TRY(out.reveal_id, row.column_hash(8));
  }
  return out;
}

}  // namespace

std::string_view to_string(AuditStage stage) {
  switch (stage) {
    case AuditStage::handed:
      return "handed";
    case AuditStage::committed:
      return "committed";
    case AuditStage::judged:
      return "judged";
    case AuditStage::revealed:
      return "revealed";
    case AuditStage::done:
      return "done";
  }
  return "?";
}

std::string_view to_string(DisputeStage stage) {
  switch (stage) {
    case DisputeStage::draft:
      return "draft";
    case DisputeStage::filed:
      return "filed";
    case DisputeStage::over:
      return "over";
  }
  return "?";
}

Result<std::unique_ptr<AuditStore>> AuditStore::open(const std::string& path,
                                                     const protocol::Domain& domain,
                                                     const Address& auditor) {
  TRY(auto db, io::open_versioned(path, io::OpenMode::create, kSchema));
  TRY(auto transaction, io::Transaction::begin(*db));
  CHECK_OK(bind_to(*db, "ledger", to_hex(domain.separator()), "ledger"));
  CHECK_OK(bind_to(*db, "auditor", auditor.to_string(), "key"));
  CHECK_OK(transaction.commit());
  return std::unique_ptr<AuditStore>(new AuditStore(std::move(db)));
}

Result<std::unique_ptr<AuditStore>> AuditStore::open_existing(const std::string& path) {
  TRY(auto db, io::open_versioned(path, io::OpenMode::read_only, kSchema));
  return std::unique_ptr<AuditStore>(new AuditStore(std::move(db)));
}

Status AuditStore::add(const Hash& audit, const protocol::AuditCall& call) {
  const std::lock_guard lock(mutex_);
  TRY(auto transaction, io::Transaction::begin(*db_));
  const Hash content = call.handover.message.content;
  {
    TRY(auto insert, db_->prepare("INSERT INTO audits(id, stage, handover, call, verdict, reason) "
                                  "VALUES(?1, 'handed', ?2, ?3, 0, '') ON CONFLICT DO NOTHING"));
    CHECK_OK(
        insert.bind_all(ByteView(audit), ByteView(content), json::dump(protocol::to_json(call)))
            .run());
  }
  {
    TRY(auto select, db_->prepare("SELECT handover FROM audits WHERE id = ?1"));
    select.bind_all(ByteView(audit));
    TRY([[maybe_unused]] const bool found, select.step());
    TRY(const Hash stored, select.column_hash(0));
    if (stored != content)
      return fail(Errc::conflict, "other tokens were handed over for this audit before");
  }
  return transaction.commit();
}

Status AuditStore::add_secret(const Hash& audit, const Hash& salt_secret) {
  const std::lock_guard lock(mutex_);
  TRY(auto update, db_->prepare("UPDATE audits SET salt_secret = ?2 WHERE id = ?1 AND stage <> "
                                "'done' AND salt_secret IS NULL"));
  return update.bind_all(ByteView(audit), ByteView(salt_secret)).run();
}

Result<std::vector<AuditRecord>> AuditStore::read(io::Statement& statement) {
  std::vector<AuditRecord> out;
  while (true) {
    TRY(const bool row, statement.step());
    if (!row) return out;
    TRY(AuditRecord record, read_record(statement));
    out.push_back(std::move(record));
  }
}

Result<std::optional<AuditRecord>> AuditStore::audit(const Hash& id) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare(fmt::format("SELECT {} FROM audits WHERE id = ?1", kColumns)));
  select.bind_all(ByteView(id));
  TRY(auto found, read(select));
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

Result<std::optional<AuditRecord>> AuditStore::by_reveal(const Hash& reveal_id) {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare(fmt::format("SELECT {} FROM audits WHERE reveal_id = ?1", kColumns)));
  select.bind_all(ByteView(reveal_id));
  TRY(auto found, read(select));
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

Result<std::vector<AuditRecord>> AuditStore::live() {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare(fmt::format(
                       "SELECT {} FROM audits WHERE stage <> 'done' ORDER BY rowid", kColumns)));
  return read(select);
}

Result<std::int64_t> AuditStore::handed() {
  const std::lock_guard lock(mutex_);
  TRY(const auto count, db_->query_int64("SELECT COUNT(*) FROM audits WHERE stage = 'handed'"));
  return count.value_or(0);
}

Status AuditStore::moved(io::Statement& update) {
  CHECK_OK(update.run());
  if (db_->changes() != 1) return fail(Errc::conflict, "the audit is no longer at that stage");
  return {};
}

Status AuditStore::commit(const Hash& audit, const Hash& key, const Hash& keyed_root) {
  const std::lock_guard lock(mutex_);
  TRY(auto update, db_->prepare("UPDATE audits SET stage = 'committed', key = ?2, keyed_root = ?3 "
                                "WHERE id = ?1 AND stage = 'handed'"));
  return moved(update.bind_all(ByteView(audit), ByteView(key), ByteView(keyed_root)));
}

Status AuditStore::judge(const Hash& audit, AuditVerdict verdict, const Hash& reveal_id,
                         const std::string& reason) {
  const std::lock_guard lock(mutex_);
  TRY(auto update, db_->prepare("UPDATE audits SET stage = 'judged', verdict = ?2, reveal_id = ?3, "
                                "reason = ?4 WHERE id = ?1 AND stage = 'committed'"));
  return moved(update.bind_all(ByteView(audit), static_cast<std::int64_t>(verdict),
                               ByteView(reveal_id), reason));
}

Status AuditStore::reveal(const Hash& audit) {
  const std::lock_guard lock(mutex_);
  TRY(auto update,
      db_->prepare("UPDATE audits SET stage = 'revealed' WHERE id = ?1 AND stage = 'judged'"));
  return moved(update.bind_all(ByteView(audit)));
}

Status AuditStore::finish(const Hash& audit, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  TRY(auto update, db_->prepare("UPDATE audits SET stage = 'done', call = '', salt_secret = NULL, "
                                "key = NULL, keyed_root = NULL, reason = ?2 "
                                "WHERE id = ?1 AND stage <> 'done'"));
  return moved(update.bind_all(ByteView(audit), reason));
}

Status AuditStore::add_dispute(const AuditorsDispute& dispute) {
  const std::lock_guard lock(mutex_);
  TRY(auto insert, db_->prepare("INSERT INTO disputes(subject, audit, defender, stage, operation, "
                                "id) VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING"));
  return insert
      .bind_all(ByteView(dispute.subject), ByteView(dispute.audit),
                ByteView(dispute.defender.bytes), to_string(dispute.stage), dispute.operation,
                ByteView(dispute.id))
      .run();
}

Result<bool> AuditStore::has_dispute(const Hash& subject) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare("SELECT 1 FROM disputes WHERE subject = ?1"));
  select.bind_all(ByteView(subject));
  return select.step();
}

Status AuditStore::update_dispute(const AuditorsDispute& dispute) {
  const std::lock_guard lock(mutex_);
  TRY(auto update, db_->prepare("UPDATE disputes SET stage = ?2, operation = ?3, id = ?4 WHERE "
                                "subject = ?1"));
  return moved(update.bind_all(ByteView(dispute.subject), to_string(dispute.stage),
                               dispute.operation, ByteView(dispute.id)));
}

Result<std::vector<AuditorsDispute>> AuditStore::disputes() {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare("SELECT subject, audit, defender, stage, operation, id FROM "
                                "disputes WHERE stage <> 'over' ORDER BY rowid"));
  std::vector<AuditorsDispute> out;
  while (true) {
    TRY(const bool row, select.step());
    if (!row) return out;
    AuditorsDispute dispute;
    TRY(dispute.subject, select.column_hash(0));
    TRY(dispute.audit, select.column_hash(1));
    const ByteView defender = select.column_blob(2);
    if (defender.size() != dispute.defender.bytes.size())
      return fail(Errc::mismatch, "auditor database: an address of {} bytes", defender.size());
    std::ranges::copy(defender, dispute.defender.bytes.begin());
    TRY(dispute.stage, parse_stage(select.column_text(3), kDisputeStages));
    dispute.operation = select.column_text(4);
    TRY(dispute.id, select.column_hash(5));
    out.push_back(std::move(dispute));
  }
}

Result<AuditorTotals> AuditStore::totals() {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare(
          "SELECT COUNT(*), COUNT(CASE WHEN verdict = 1 THEN 1 END), COUNT(CASE WHEN "
          "verdict = 2 THEN 1 END), COUNT(CASE WHEN verdict = 3 THEN 1 END), COUNT(CASE "
          "WHEN stage <> 'done' THEN 1 END), (SELECT COUNT(*) FROM disputes) FROM audits"));
  TRY([[maybe_unused]] const bool row, select.step());
  const auto n = [&](int column) {
    return static_cast<std::uint64_t>(select.column_int64(column));
  };
  return AuditorTotals{n(0), n(1), n(2), n(3), n(4), n(5)};
}

}  // namespace assay::services
