#include "io/sqlite.hpp"

#include <sqlite3.h>

#include "base/assert.hpp"

namespace assay::io {
namespace {

constexpr int kBusyTimeoutMs = 5000;
constexpr std::size_t kIdleStatementsMax = 64;

Errc errc_of(int code) {
  switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
      return Errc::conflict;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return Errc::unavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Errc::mismatch;
    case SQLITE_CANTOPEN:
      return Errc::not_found;
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
      return Errc::invalid;
    case SQLITE_ERROR:
      return Errc::internal;
    default:
      return Errc::io;
  }
}

}  // namespace

Error Database::error(int code, std::string_view doing) const {
  const char* detail = raw_ != nullptr ? sqlite3_errmsg(raw_) : sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_FULL:
      return {errc_of(code),
              fmt::format("no space left for the database {}: free some and try again", path_)};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {errc_of(code), fmt::format("database {} is in use by another process", path_)};
    case SQLITE_CORRUPT:
      return {errc_of(code),
              fmt::format("database {} is damaged ({}): restore it from a copy", path_, detail)};
    case SQLITE_NOTADB:
      return {errc_of(code), fmt::format("not a database: {}", path_)};
    case SQLITE_READONLY:
      return {errc_of(code), fmt::format("database {} is read-only", path_)};
    default:
      return {errc_of(code), fmt::format("cannot {} database {}: {}", doing, path_, detail)};
  }
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path, OpenMode mode) {
  const int flags = mode == OpenMode::create       ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                    : mode == OpenMode::read_write ? SQLITE_OPEN_READWRITE
                                                   : SQLITE_OPEN_READONLY;
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw,
                                   flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  std::unique_ptr<Database> db(new Database(raw, path));
  if (code != SQLITE_OK) {
    if ((code & 0xff) == SQLITE_CANTOPEN && mode == OpenMode::create)
      return fail(Errc::io, "cannot create database {}: check its folder and permissions", path);
    if ((code & 0xff) == SQLITE_CANTOPEN)
      return fail(Errc::not_found, "no such database: {}", path);
    return std::unexpected(db->error(code, "open"));
  }
  sqlite3_busy_timeout(raw, kBusyTimeoutMs);
  CHECK_OK(db->exec("PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF"));
  if (mode == OpenMode::read_only) return db;
  // FULL: a commit returns only after the WAL is on disk. The first real access to the file is
  // here, so that what is not a database is named at once.
  CHECK_OK(db->exec("PRAGMA synchronous=FULL"));
  TRY(Statement wal, db->prepare("PRAGMA journal_mode=WAL"));
  TRY(const bool row, wal.step());
  // In-memory databases have no WAL; everything else must.
  if (!row || (wal.column_text(0) != "wal" && wal.column_text(0) != "memory"))
    return fail(Errc::io, "database {} cannot use a write-ahead log on this file system", path);
  return db;
}

Database::~Database() {
  for (const auto& [sql, statement] : idle_) sqlite3_finalize(statement);
  // OK proves that every Statement was given back.
  ASSAY_ASSERT(sqlite3_close(raw_) == SQLITE_OK);
}

Status Database::exec(const std::string& sql) {
  const int code = sqlite3_exec(raw_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error(code, "change"));
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
  if (const auto it = idle_.find(std::string(sql)); it != idle_.end()) {
    sqlite3_stmt* raw = it->second;
    idle_.erase(it);
    return Statement(this, raw);
  }
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(raw_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error(code, "query"));
  if (raw == nullptr) return fail(Errc::invalid, "empty SQL statement");
  return Statement(this, raw);
}

void Database::give_back(sqlite3_stmt* raw) {
  sqlite3_reset(raw);
  sqlite3_clear_bindings(raw);
  if (idle_.size() < kIdleStatementsMax) {
    idle_.emplace(sqlite3_sql(raw), raw);
  } else {
    sqlite3_finalize(raw);
  }
}

Result<std::optional<std::int64_t>> Database::query_int64(std::string_view sql) {
  TRY(Statement statement, prepare(sql));
  TRY(const bool row, statement.step());
  if (!row) return std::nullopt;
  return statement.column_int64(0);
}

Status Database::check_integrity() {
  TRY(Statement integrity, prepare("PRAGMA integrity_check(1)"));
  TRY(const bool row, integrity.step());
  if (!row || integrity.column_text(0) != "ok")
    return fail(Errc::mismatch, "database {} is damaged ({}): restore it from a copy", path_,
                row ? integrity.column_text(0) : "no answer");
  TRY(Statement keys, prepare("PRAGMA foreign_key_check"));
  TRY(const bool dangling, keys.step());
  if (dangling)
    return fail(Errc::mismatch, "database {} is damaged: table {} refers to a missing row of {}",
                path_, keys.column_text(0), keys.column_text(2));
  return {};
}

Status Database::checkpoint() {
  const int code =
      sqlite3_wal_checkpoint_v2(raw_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  if (code != SQLITE_OK) return std::unexpected(error(code, "checkpoint"));
  return {};
}

std::int64_t Database::last_insert_rowid() const { return sqlite3_last_insert_rowid(raw_); }
std::int64_t Database::changes() const { return sqlite3_changes64(raw_); }
bool Database::in_transaction() const { return sqlite3_get_autocommit(raw_) == 0; }

Statement::Statement(Statement&& other) noexcept
    : db_(other.db_), raw_(std::exchange(other.raw_, nullptr)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(db_, other.db_);
  std::swap(raw_, other.raw_);
  return *this;
}

Statement::~Statement() {
  if (raw_ != nullptr) db_->give_back(raw_);
}

Statement& Statement::bind(int index, std::int64_t value) {
  ASSAY_ASSERT(sqlite3_bind_int64(raw_, index, value) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind(int index, std::string_view text) {
  // A null pointer would bind NULL, not "".
  const char* data = text.data() != nullptr ? text.data() : "";
  ASSAY_ASSERT(sqlite3_bind_text64(raw_, index, data, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8) ==
               SQLITE_OK);
  return *this;
}

Statement& Statement::bind(int index, ByteView blob) {
  const void* data = blob.data() != nullptr ? static_cast<const void*>(blob.data()) : "";
  ASSAY_ASSERT(sqlite3_bind_blob64(raw_, index, data, blob.size(), SQLITE_TRANSIENT) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind_null(int index) {
  ASSAY_ASSERT(sqlite3_bind_null(raw_, index) == SQLITE_OK);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(raw_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  const Error error = db_->error(code, "use");
  sqlite3_reset(raw_);
  return std::unexpected(error);
}

Status Statement::run() {
  for (;;) {
    TRY(const bool row, step());
    if (row) continue;
    reset();
    return {};
  }
}

void Statement::reset() {
  sqlite3_reset(raw_);
  sqlite3_clear_bindings(raw_);
}

std::int64_t Statement::column_int64(int column) const {
  return sqlite3_column_int64(raw_, column);
}

std::string_view Statement::column_text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(raw_, column));
  return {data, data != nullptr ? static_cast<std::size_t>(sqlite3_column_bytes(raw_, column)) : 0};
}

ByteView Statement::column_blob(int column) const {
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(raw_, column));
  return {data, data != nullptr ? static_cast<std::size_t>(sqlite3_column_bytes(raw_, column)) : 0};
}

bool Statement::column_is_null(int column) const {
  return sqlite3_column_type(raw_, column) == SQLITE_NULL;
}

Result<Hash> Statement::column_hash(int column) const {
  const ByteView blob = column_blob(column);
  Hash out{};
  if (blob.size() != out.size())
    return fail(Errc::mismatch, "database {}: a hash of {} bytes", db_->path(), blob.size());
  std::ranges::copy(blob, out.begin());
  return out;
}

Result<Transaction> Transaction::begin(Database& db) {
  TRY(Statement begin, db.prepare("BEGIN IMMEDIATE"));
  CHECK_OK(begin.run());
  return Transaction(&db);
}

Transaction::~Transaction() { rollback(); }

Status Transaction::commit() {
  ASSAY_ASSERT(db_ != nullptr);
  TRY(Statement commit, db_->prepare("COMMIT"));
  // A crash before the next line returns loses the transaction whole; after it, nothing is lost.
  if (auto done = commit.run(); !done) {
    rollback();
    return done;
  }
  db_ = nullptr;
  return {};
}

void Transaction::rollback() {
  if (db_ == nullptr) return;
  Database* const db = std::exchange(db_, nullptr);
  // Some errors (disk full) have rolled back already. What remains cannot fail to be undone: the
  // log is simply not committed.
  if (db->in_transaction()) static_cast<void>(db->exec("ROLLBACK"));
}

}  // namespace assay::io
