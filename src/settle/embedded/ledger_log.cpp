#include "settle/embedded/ledger_log.hpp"

#include "base/hex.hpp"
#include "crypto/sha256.hpp"

namespace assay::settle {
namespace {

constexpr std::string_view kFormat = "assay-ledger/2";

std::string hex(const Hash& h) { return to_hex(h); }

}  // namespace

Hash row_hash(const LogRow& row) {
  Bytes bytes;
  append(bytes, view("assay/log/v0"));
  append(bytes, row.previous);
  append(bytes, row.id);
  append_le(bytes, row.sequence);
  append_le(bytes, row.time);
  append(bytes, row.state);
  append(bytes, crypto::sha256(view(row.body)));
  return crypto::sha256(bytes);
}

std::string to_line(const LogRow& row) {
  // The body is JSON already and must stay as it was hashed.
  return fmt::format(
      R"({{"sequence":"{}","time":"{}","id":"{}","previous":"{}","hash":"{}","state":"{}","operation":{}}})"
      "\n",
      row.sequence, row.time, hex(row.id), hex(row.previous), hex(row.hash), hex(row.state),
      row.body);
}

Result<LogRow> log_row_from_line(std::string_view line) {
  TRY(const json::value v, json::parse(line, 2 * kRowBytesMax));
  TRY(const json::object* o, json::as_object(v, "a line of the log"));
  LogRow row;
  TRY(row.sequence, json::get_u64(*o, "sequence"));
  TRY(row.time, json::get_u64(*o, "time"));
  TRY(row.id, json::get_hash(*o, "id"));
  TRY(row.previous, json::get_hash(*o, "previous"));
  TRY(row.hash, json::get_hash(*o, "hash"));
  TRY(row.state, json::get_hash(*o, "state"));
  TRY(const json::object* operation, json::get_object(*o, "operation"));
  row.body = json::dump(*operation);
  return row;
}

Result<LogReplay> LogReplay::start(const market::LedgerInfo& info, const market::Referee& referee) {
  TRY(auto state, market::genesis(info, referee));
  return LogReplay(std::move(state));
}

Status LogReplay::add(const LogRow& row) {
  const auto& totals = state_.totals;
  const auto check = [&]() -> Status {
    if (row.sequence != totals.operations + 1)
      return fail(Errc::mismatch, "the row before it is {}", totals.operations);
    if (row.previous != head_)
      return fail(Errc::mismatch, "does not follow the row before it: the chain is broken");
    if (row.hash != row_hash(row))
      return fail(Errc::mismatch, "was changed: its hash is {}, recorded is {}", hex(row_hash(row)),
                  hex(row.hash));
    TRY(const json::value body, json::parse(row.body, kRowBytesMax));
    TRY(const json::object* o, json::as_object(body, "an operation"));
    TRY(const auto operation, market::operation_from_json(*o));
    if (json::dump(market::to_json(operation)) != row.body)
      return fail(Errc::mismatch, "is not in canonical form");
    if (market::operation_id(state_.info.domain, operation) != row.id)
      return fail(Errc::mismatch, "is filed under another id");
    TRY(const auto applied, market::apply(state_, operation, row.time));
    if (applied.already) return fail(Errc::mismatch, "appears twice");
    if (totals.state != row.state)
      return fail(Errc::mismatch, "leads to state {}, recorded is {}", hex(totals.state),
                  hex(row.state));
    if (!totals.conserved()) return fail(Errc::mismatch, "does not conserve money");
    return {};
  };
  if (auto status = check(); !status)
    return fail_in(fmt::format("operation {}", row.sequence), status.error());
  head_ = row.hash;
  return {};
}

Status LogReplay::finish() const {
  const auto counted = market::recount(state_);
  const auto& t = state_.totals;
  const bool same = counted.available == t.available && counted.stake == t.stake &&
                    counted.unbonding == t.unbonding && counted.escrow == t.escrow &&
                    counted.bonds == t.bonds && counted.conserved();
  if (same) return {};
  return fail(Errc::mismatch, "the accounts do not add up to the totals");
}

Status LogReplay::add_lines(std::string_view lines) {
  for (std::size_t at = 0; at < lines.size();) {
    const auto end = std::min(lines.find('\n', at), lines.size());
    TRY(const LogRow row, log_row_from_line(lines.substr(at, end - at)));
    CHECK_OK(add(row));
    at = end + 1;
  }
  return {};
}
const io::Schema kLedgerSchema{.owner = "ledger", .steps = {R"(
CREATE TABLE IF NOT EXISTS meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS operations (
  sequence INTEGER PRIMARY KEY,
  time INTEGER NOT NULL,
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
  previous BLOB NOT NULL CHECK (length(previous) = 32),
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  state BLOB NOT NULL CHECK (length(state) = 32),
  body TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS offers (
  provider BLOB PRIMARY KEY CHECK (length(provider) = 20),
  body TEXT NOT NULL) STRICT, WITHOUT ROWID;
)"}};

Result<LogReport> verify_log(const std::string& path) {
  TRY(auto database, io::open_versioned(path, io::OpenMode::read_only, kLedgerSchema));
  LogReport report;
  TRY(report.info, read_info(*database));
  TRY(auto replay, LogReplay::start(report.info));
  auto status = each_row(*database, 1, [&](const LogRow& row) {
    auto added = replay.add(row);
    if (!added) report.bad_row = row.sequence;
    return added;
  });
  if (status) status = replay.finish();
  report.ok = status.has_value();
  if (!status) report.problem = status.error().message;
  report.totals = replay.state().totals;
  report.head = replay.head();
  return report;
}

Status write_info(io::Database& database, const market::LedgerInfo& info) {
  TRY(auto transaction, io::Transaction::begin(database));
  TRY(auto insert, database.prepare("INSERT INTO meta (key, value) VALUES (?, ?)"));
  CHECK_OK(insert.bind_all("format", kFormat).run());
  CHECK_OK(insert.bind_all("info", json::dump(market::to_json(info))).run());
  // A crash before this line leaves empty tables, which the next start fills.
  return transaction.commit();
}

Result<market::LedgerInfo> read_info(io::Database& database) {
  TRY(const auto tables,
      database.query_int64(
          "SELECT count(*) FROM sqlite_schema WHERE name IN ('meta', 'operations')"));
  if (tables.value_or(0) != 2) return fail(Errc::not_found, "{} holds no ledger", database.path());
  TRY(auto select, database.prepare("SELECT value FROM meta WHERE key = ?"));
  TRY(const bool has_format, select.bind(1, "format").step());
  if (!has_format) return fail(Errc::not_found, "{} holds no ledger", database.path());
  if (select.column_text(0) != kFormat)
    return fail(Errc::unsupported,
                "{} is a ledger of format {}, this program knows {}: begin a new one in another "
                "folder, or open it with the program that made it",
                database.path(), select.column_text(0), kFormat);
  select.reset();
  TRY(const bool has_info, select.bind(1, "info").step());
  if (!has_info) return fail(Errc::mismatch, "{} lost its parameters", database.path());
  TRY(const json::value v, json::parse(select.column_text(0)));
  TRY(const json::object* o, json::as_object(v, "ledger info"));
  return market::ledger_info_from_json(*o);
}

Status insert_row(io::Database& database, const LogRow& row) {
  TRY(auto insert,
      database.prepare("INSERT INTO operations (sequence, time, id, previous, hash, state, body) "
                       "VALUES (?, ?, ?, ?, ?, ?, ?)"));
  return insert
      .bind_all(static_cast<std::int64_t>(row.sequence), static_cast<std::int64_t>(row.time),
                ByteView(row.id), ByteView(row.previous), ByteView(row.hash), ByteView(row.state),
                std::string_view(row.body))
      .run();
}

Result<market::Operation> read_operation(io::Database& database, const Hash& id) {
  TRY(auto select, database.prepare("SELECT body FROM operations WHERE id = ?"));
  select.bind(1, ByteView(id));
  TRY(const bool found, select.step());
  if (!found) return fail(Errc::not_found, "no operation {} in this ledger's log", to_hex(id));
  TRY(const json::value body, json::parse(select.column_text(0), kRowBytesMax));
  TRY(const json::object* o, json::as_object(body, "an operation"));
  return market::operation_from_json(*o);
}

Status each_row(io::Database& database, std::uint64_t from,
                const std::function<Status(const LogRow&)>& take) {
  TRY(auto select, database.prepare("SELECT sequence, time, id, previous, hash, state, body FROM "
                                    "operations WHERE sequence >= ? ORDER BY sequence"));
  if (from > INT64_MAX) return {};
  select.bind(1, static_cast<std::int64_t>(from));
  for (;;) {
    TRY(const bool more, select.step());
    if (!more) return {};
    LogRow row;
    row.sequence = static_cast<std::uint64_t>(select.column_int64(0));
    row.time = static_cast<std::uint64_t>(select.column_int64(1));
    TRY(row.id, select.column_hash(2));
    TRY(row.previous, select.column_hash(3));
    TRY(row.hash, select.column_hash(4));
    TRY(row.state, select.column_hash(5));
    row.body = select.column_text(6);
    CHECK_OK(take(row));
  }
}

}  // namespace assay::settle
