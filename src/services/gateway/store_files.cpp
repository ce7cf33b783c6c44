// Files and batches.
#include "services/gateway/store.hpp"

namespace assay::services {
namespace {

FileRecord read_file_row(const io::Statement& row) {
  return {.id = std::string(row.column_text(0)),
          .api_key = std::string(row.column_text(1)),
          .name = std::string(row.column_text(2)),
          .purpose = std::string(row.column_text(3)),
          .bytes = row.column_int64(4),
          .created_s = row.column_int64(5)};
}

Result<BatchRecord> read_batch(const io::Statement& row) {
  BatchRecord out{.id = std::string(row.column_text(0)),
                  .api_key = std::string(row.column_text(1)),
                  .status = std::string(row.column_text(2)),
                  .created_s = row.column_int64(3),
                  .expires_s = row.column_int64(4),
                  .document = {}};
  TRY(const json::value document, json::parse(row.column_text(5)));
  TRY(const json::object* object, json::as_object(document, "a stored batch"));
  out.document = *object;
  return out;
}

Result<std::vector<BatchRecord>> read_batches(io::Statement& statement) {
  std::vector<BatchRecord> out;
  while (true) {
    TRY(const bool row, statement.step());
    if (!row) return out;
    TRY(BatchRecord batch, read_batch(statement));
    out.push_back(std::move(batch));
  }
}

constexpr std::string_view kFileColumns = "id, api_key, name, purpose, bytes, created_s";
constexpr std::string_view kBatchColumns = "id, api_key, status, created_s, expires_s, document";

}  // namespace

Status Store::put_file(const FileRecord& file) {
  const std::lock_guard lock(mutex_);
  TRY(auto put, db_->prepare(fmt::format("INSERT OR REPLACE INTO files({}) VALUES(?,?,?,?,?,?)",
                                         kFileColumns)));
  return put.bind_all(file.id, file.api_key, file.name, file.purpose, file.bytes, file.created_s)
      .run();
}

Result<std::optional<FileRecord>> Store::file(const std::string& id) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare(fmt::format("SELECT {} FROM files WHERE id = ?1", kFileColumns)));
  select.bind_all(id);
  TRY(const bool row, select.step());
  if (!row) return std::nullopt;
  return read_file_row(select);
}

Result<std::vector<FileRecord>> Store::files_of(const std::string& api_key) {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare(fmt::format("SELECT {} FROM files WHERE api_key = ?1 ORDER BY rowid DESC",
                               kFileColumns)));
  select.bind_all(api_key);
  std::vector<FileRecord> out;
  while (true) {
    TRY(const bool row, select.step());
    if (!row) return out;
    out.push_back(read_file_row(select));
  }
}

Status Store::remove_file(const std::string& id) {
  const std::lock_guard lock(mutex_);
  TRY(auto remove, db_->prepare("DELETE FROM files WHERE id = ?1"));
  return remove.bind_all(id).run();
}

Status Store::add_batch(const BatchRecord& batch) {
  const std::lock_guard lock(mutex_);
  TRY(auto insert,
      db_->prepare(fmt::format("INSERT INTO batches({}) VALUES(?,?,?,?,?,?)", kBatchColumns)));
  return insert
      .bind_all(batch.id, batch.api_key, batch.status, batch.created_s, batch.expires_s,
                json::dump(batch.document))
      .run();
}

Status Store::update_batch(const BatchRecord& batch, std::string_view from) {
  const std::lock_guard lock(mutex_);
  TRY(auto update, db_->prepare("UPDATE batches SET status = ?2, document = ?3 WHERE id = ?1 AND "
                                "status = ?4"));
  CHECK_OK(update.bind_all(batch.id, batch.status, json::dump(batch.document), from).run());
  if (db_->changes() != 1)
    return fail(Errc::conflict, "the batch is no longer at the status '{}'", from);
  return {};
}

Result<std::optional<BatchRecord>> Store::batch(const std::string& id) {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare(fmt::format("SELECT {} FROM batches WHERE id = ?1", kBatchColumns)));
  select.bind_all(id);
  TRY(auto found, read_batches(select));
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

Result<std::vector<BatchRecord>> Store::batches_of(const std::string& api_key) {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare(fmt::format("SELECT {} FROM batches WHERE api_key = ?1 ORDER BY rowid DESC",
                               kBatchColumns)));
  select.bind_all(api_key);
  return read_batches(select);
}

Result<std::vector<BatchRecord>> Store::open_batches() {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare(fmt::format("SELECT {} FROM batches WHERE status IN ('validating', "
                                            "'in_progress', 'cancelling') ORDER BY rowid",
                                            kBatchColumns)));
  return read_batches(select);
}

}  // namespace assay::services
