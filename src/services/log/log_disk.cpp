#include "services/log/log_disk.hpp"

#include <filesystem>

#include "io/schema.hpp"

namespace assay::services {
namespace {

const io::Schema kLogSchema{.owner = "log",
                            .steps = {R"(
CREATE TABLE IF NOT EXISTS state(
  id INTEGER PRIMARY KEY CHECK(id = 1), size INTEGER NOT NULL, root BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS numbers(
  ledger BLOB NOT NULL, issuer BLOB NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL,
  at INTEGER NOT NULL, PRIMARY KEY(ledger, issuer, first)) STRICT, WITHOUT ROWID;
)",
                                      R"(
CREATE TABLE auctions(
  call BLOB NOT NULL UNIQUE, awarded BLOB NOT NULL UNIQUE, at INTEGER NOT NULL,
  domain TEXT NOT NULL, record TEXT NOT NULL) STRICT;
)"}};

Result<std::unique_ptr<io::Database>> open_database(const std::string& folder) {
  return io::open_versioned(folder + "/log.db", io::OpenMode::create, kLogSchema);
}

std::int64_t i64(std::uint64_t n) { return static_cast<std::int64_t>(n); }
std::uint64_t u64(std::int64_t n) { return static_cast<std::uint64_t>(n); }

}  // namespace

Result<std::unique_ptr<FileDisk>> FileDisk::open(const std::string& folder) {
  CHECK_OK(io::make_directories(folder));
  TRY(auto db, open_database(folder));
  return std::unique_ptr<FileDisk>(new FileDisk(folder, std::move(db)));
}

Status FileDisk::write(std::span<const io::NewFile> files) {
  return io::write_files(folder_, files);
}

Result<TreeState> FileDisk::state() {
  const std::lock_guard lock(mutex_);
  TRY(io::Database* const db, database());
  TRY(auto select, db->prepare("SELECT size, root FROM state"));
  TRY(const bool found, select.step());
  TreeState out;
  if (!found) return out;
  out.size = u64(select.column_int64(0));
  TRY(out.root, select.column_hash(1));
  return out;
}

Result<io::Database*> FileDisk::database() const {
  if (db_) return db_.get();
  return fail(Errc::unavailable, "the log's database {}/log.db could not be opened again: restart",
              folder_);
}

Status FileDisk::commit(const TreeState& state, std::span<const NumberRange> ranges,
                        std::span<const LoggedAuction> auctions) {
  const std::lock_guard lock(mutex_);
  CHECK_OK(database());
  const Status status = put(state, ranges, auctions);
  if (status) return {};
  // Whether a commit that failed is in the journal is known once that has been read again.
  db_.reset();
  if (auto again = open_database(folder_)) db_ = std::move(*again);
  return status;
}

Status FileDisk::put(const TreeState& state, std::span<const NumberRange> ranges,
                     std::span<const LoggedAuction> auctions) {
  TRY(auto transaction, io::Transaction::begin(*db_));
  for (const LoggedAuction& auction : auctions) {
    TRY(auto insert, db_->prepare("INSERT INTO auctions(call, awarded, at, domain, record) "
                                  "VALUES(?1, ?2, ?3, ?4, ?5)"));
    CHECK_OK(insert
                 .bind_all(ByteView(auction.call), ByteView(auction.awarded), i64(auction.index),
                           std::string_view(auction.domain), std::string_view(auction.record))
                 .run());
  }
  for (const NumberRange& range : ranges) {
    TRY(auto insert, db_->prepare("INSERT INTO numbers(ledger, issuer, first, count, at) "
                                  "VALUES(?1, ?2, ?3, ?4, ?5)"));
    CHECK_OK(insert
                 .bind_all(ByteView(range.issuer.ledger), ByteView(range.issuer.address.bytes),
                           i64(range.first), i64(range.count), i64(range.index))
                 .run());
  }
  {
    TRY(auto replace,
        db_->prepare("INSERT OR REPLACE INTO state(id, size, root) VALUES(1, ?1, ?2)"));
    CHECK_OK(replace.bind_all(i64(state.size), ByteView(state.root)).run());
  }
  return transaction.commit();
}

Result<std::uint64_t> FileDisk::next_number(const IssuerId& issuer) {
  const std::lock_guard lock(mutex_);
  TRY(io::Database* const db, database());
  TRY(auto select, db->prepare("SELECT first + count FROM numbers WHERE ledger = ?1 AND "
                               "issuer = ?2 ORDER BY first DESC LIMIT 1"));
  select.bind_all(ByteView(issuer.ledger), ByteView(issuer.address.bytes));
  TRY(const bool found, select.step());
  return found ? u64(select.column_int64(0)) : 1;
}

Result<std::uint64_t> FileDisk::index_of(const IssuerId& issuer, std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  TRY(io::Database* const db, database());
  TRY(auto select, db->prepare("SELECT first, count, at FROM numbers WHERE ledger = ?1 AND "
                               "issuer = ?2 AND first <= ?3 ORDER BY first DESC LIMIT 1"));
  select.bind_all(ByteView(issuer.ledger), ByteView(issuer.address.bytes), i64(number));
  TRY(const bool found, select.step());
  if (!found || select.column_int64(0) + select.column_int64(1) <= i64(number))
    return fail(Errc::not_found, "{} has no entry number {} in this log",
                issuer.address.to_string(), number);
  return u64(select.column_int64(2) + i64(number) - select.column_int64(0));
}

Result<std::optional<LoggedAuction>> FileDisk::auction(const Hash& id) {
  const std::lock_guard lock(mutex_);
  TRY(io::Database* const db, database());
  TRY(auto select, db->prepare("SELECT call, awarded, at, domain, record FROM auctions "
                               "WHERE call = ?1 OR awarded = ?1"));
  select.bind_all(ByteView(id));
  TRY(const bool found, select.step());
  if (!found) return std::nullopt;
  LoggedAuction out;
  TRY(out.call, select.column_hash(0));
  TRY(out.awarded, select.column_hash(1));
  out.index = u64(select.column_int64(2));
  out.domain = select.column_text(3);
  out.record = select.column_text(4);
  return out;
}

Status FileDisk::publish(const std::string& checkpoint) {
  return io::write_file_atomic(folder_ + "/checkpoint", view(checkpoint));
}

Result<std::optional<std::string>> FileDisk::published() {
  auto text = files_.checkpoint();
  if (text) return std::optional(std::move(*text));
  if (text.error().code == Errc::not_found) return std::nullopt;
  return std::unexpected(text.error());
}

void FileDisk::drop_partials(const tlog::TileId& full) {
  std::error_code ignored;
  std::filesystem::remove_all(folder_ + "/" + tlog::tile_path(full.full()) + ".p", ignored);
}

}  // namespace assay::services
