// A thin RAII layer over SQLite 3. Databases open with WAL, synchronous=FULL, foreign_keys=ON and a
// busy timeout: a committed transaction survives kill -9 and power loss. STRICT tables are the
// caller's business. One Database is used by one thread at a time; several may open one file.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace assay::io {

enum class OpenMode {
  create,      // read and write; made when missing
  read_write,  // Errc::not_found when missing
  read_only,
};

class Database;

// A prepared statement on loan from its database's cache; it goes back, reset, on destruction.
// Parameters count from 1, columns from 0. The Database outlives it.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  // Each bind copies its value. An index out of range is a programmer error.
  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, std::string_view text);
  Statement& bind(int index, const char* text) { return bind(index, std::string_view(text)); }
  Statement& bind(int index, ByteView blob);
  Statement& bind_null(int index);
  // bind_all(a, b, c) binds 1, 2, 3.
  template <class... Args>
  Statement& bind_all(const Args&... args) {
    int index = 0;
    (bind(++index, args), ...);
    return *this;
  }

  // true: a row is ready; false: done. Errors: conflict (constraint), unavailable (busy, disk
  // full), io (disk error), mismatch (corrupt file).
  Result<bool> step();
  Status run();  // step to the end, rows ignored; then reset for the next binding
  void reset();  // ready to bind and step again

  // Of the current row; views live until the next step, reset or destruction.
  std::int64_t column_int64(int column) const;
  std::string_view column_text(int column) const;
  ByteView column_blob(int column) const;
  bool column_is_null(int column) const;
  // Errc::mismatch unless the blob has 32 bytes.
  Result<Hash> column_hash(int column) const;

 private:
  friend class Database;
  Statement(Database* db, sqlite3_stmt* raw) : db_(db), raw_(raw) {}
  Database* db_ = nullptr;
  sqlite3_stmt* raw_ = nullptr;
};

// Not movable, since statements and transactions point at it: held by unique_ptr.
class Database {
 public:
  static Result<std::unique_ptr<Database>> open(const std::string& path, OpenMode mode);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // One or more statements without parameters.
  Status exec(const std::string& sql);
  // From the cache when the same text was used before.
  Result<Statement> prepare(std::string_view sql);
  // The first column of the first row; nullopt without a row.
  Result<std::optional<std::int64_t>> query_int64(std::string_view sql);

  // "PRAGMA integrity_check" and foreign_key_check: Errc::mismatch with the first problem.
  Status check_integrity();
  Status checkpoint();  // moves the WAL into the file
  std::int64_t last_insert_rowid() const;
  std::int64_t changes() const;  // rows changed by the last statement
  bool in_transaction() const;
  const std::string& path() const { return path_; }

 private:
  friend class Statement;
  Database(sqlite3* raw, std::string path) : raw_(raw), path_(std::move(path)) {}
  void give_back(sqlite3_stmt* raw);
  Error error(int code, std::string_view doing) const;

  sqlite3* raw_;
  std::string path_;
  std::unordered_multimap<std::string, sqlite3_stmt*> idle_;  // key: the SQL text
};

// BEGIN IMMEDIATE now; rolled back on destruction unless committed. When commit returns OK the
// changes are on disk; on an error they are rolled back.
class Transaction {
 public:
  static Result<Transaction> begin(Database& db);
  Transaction(Transaction&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  Status commit();
  void rollback();

 private:
  explicit Transaction(Database* db) : db_(db) {}
  Database* db_;
};

}  // namespace assay::io
