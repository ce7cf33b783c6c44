#include <algorithm>

#include "services/gateway/store.hpp"
#include "services/gateway/store_rows.hpp"

namespace assay::services {

using rows::kRequestColumns;
using rows::kRequestFields;

namespace {

// Of requests `r` of lease ?1.
constexpr std::string_view kPayable =
    "r.lease = ?1 AND r.stage = 'audited' AND NOT EXISTS(SELECT 1 FROM rebates b WHERE b.request = "
    "r.id AND b.state = 'due')";

}  // namespace

Result<std::vector<RequestRecord>> Store::read_requests(io::Statement& statement) {
  std::vector<RequestRecord> out;
  while (true) {
    TRY(const bool row, statement.step());
    if (!row) return out;
    TRY(RequestRecord request, rows::read_request(statement));
    out.push_back(std::move(request));
  }
}

Result<RequestRecord> Store::add_request(
    const Hash& lease, Micros cap, const Spender& spender,
    const std::function<Result<RequestRecord>(std::uint64_t sequence)>& make) {
  const std::lock_guard lock(mutex_);
  TRY(auto transaction, io::Transaction::begin(*db_));
  TRY(const Micros free, free_escrow_locked(lease));
  if (free < cap)
    return fail(Errc::refused, "the lease has {} micro-units free, the request may cost {}", free,
                cap);
  if (spender.budget) {
    TRY(const Micros spent, spent_locked(spender));
    if (*spender.budget - spent < cap) return fail(Errc::refused, "the key's budget is used up");
  }
  std::uint64_t sequence = 0;
  {
    TRY(auto take, db_->prepare("UPDATE leases SET next_sequence = next_sequence + 1 WHERE id = ?1 "
                                "AND next_sequence <= chain_length AND stage = 'open' "
                                "RETURNING next_sequence - 1"));
    take.bind_all(ByteView(lease));
    TRY(const bool row, take.step());
    if (!row) return fail(Errc::refused, "the lease has ended");
    sequence = static_cast<std::uint64_t>(take.column_int64(0));
    CHECK_OK(take.run());
  }
  TRY(RequestRecord record, make(sequence));
  {
    TRY(auto insert,
        db_->prepare(fmt::format("INSERT INTO requests({}, sequence, cap, api_key, job) "
                                 "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                                 kRequestColumns)));
    rows::bind_request(insert, record);
    insert.bind(18, static_cast<std::int64_t>(sequence));
    insert.bind(19, record.request.message.cap);
    insert.bind(20, record.api_key);
    insert.bind(21, record.job);
    CHECK_OK(insert.run());
  }
  // From here on the sequence is used up, whatever happens to this process.
  CHECK_OK(transaction.commit());
  if (spender.reserved) spender.reserved->left = std::max<Micros>(0, spender.reserved->left - cap);
  return record;
}

Status Store::update_request(const RequestRecord& record, RequestStage from) {
  const std::lock_guard lock(mutex_);
  return update_request_locked(record, from);
}

Status Store::update_request_locked(const RequestRecord& record, RequestStage from) {
  TRY(auto update,
      db_->prepare(fmt::format("UPDATE requests SET ({}) = (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) "
                               "WHERE id = ?1 AND stage = ?18",
                               kRequestColumns)));
  rows::bind_request(update, record);
  update.bind(18, to_string(from));
  CHECK_OK(update.run());
  if (db_->changes() != 1)
    return fail(Errc::conflict, "the request is no longer at the stage '{}'", to_string(from));
  return {};
}

Result<RequestRecord> Store::request(const Hash& id) {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare(fmt::format("SELECT {} FROM requests WHERE id = ?1", kRequestFields)));
  select.bind_all(ByteView(id));
  TRY(auto found, read_requests(select));
  if (found.empty()) return fail(Errc::not_found, "the gateway has no such request");
  return std::move(found.front());
}

Result<std::optional<RequestRecord>> Store::by_statement(const Hash& statement_id) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare(fmt::format("SELECT {} FROM requests WHERE statement_id = ?1 AND "
                                            "statement_kind <> ''",
                                            kRequestFields)));
  select.bind_all(ByteView(statement_id));
  TRY(auto found, read_requests(select));
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

Result<std::vector<RequestRecord>> Store::requests_in(RequestStage stage) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare(fmt::format("SELECT {} FROM requests WHERE stage = ?1 "
                                            "ORDER BY rowid",
                                            kRequestFields)));
  select.bind_all(to_string(stage));
  return read_requests(select);
}

Result<std::vector<RequestRecord>> Store::recent_requests(std::uint32_t limit) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare(fmt::format("SELECT {} FROM requests ORDER BY rowid DESC LIMIT ?1",
                                            kRequestFields)));
  select.bind_all(std::int64_t{limit});
  return read_requests(select);
}

Result<std::optional<Signed<protocol::Settlement>>> Store::take_settlement(
    const Hash& lease,
    const std::function<Signed<protocol::Settlement>(const protocol::Settlement&)>& sign) {
  const std::lock_guard lock(mutex_);
  TRY(auto transaction, io::Transaction::begin(*db_));
  std::int64_t owed = 0, cumulative = 0;
  {
    TRY(auto select,
        db_->prepare(fmt::format("SELECT cumulative, (SELECT COALESCE(SUM({}), 0) FROM requests r "
                                 "WHERE {}) FROM leases WHERE id = ?1",
                                 rows::kNetAmount, kPayable)));
    select.bind_all(ByteView(lease));
    TRY(const bool row, select.step());
    if (!row) return fail(Errc::not_found, "the gateway has no such lease");
    cumulative = select.column_int64(0);
    owed = select.column_int64(1);
  }
  TRY(auto mark,
      db_->prepare(fmt::format("UPDATE requests AS r SET stage = 'settled' WHERE {}", kPayable)));
  CHECK_OK(mark.bind_all(ByteView(lease)).run());
  std::optional<Signed<protocol::Settlement>> out;
  if (owed > 0) {
    out = sign({.lease = lease, .cumulative = cumulative + owed});
    TRY(auto update,
        db_->prepare("UPDATE leases SET cumulative = ?2, settlement = ?3 WHERE id = ?1"));
    CHECK_OK(update.bind_all(ByteView(lease), cumulative + owed, rows::signed_text(*out)).run());
  }
  // A crash before this line leaves the receipts owed; after it, the settlement is submitted again
  // until the ledger has it. Either way each receipt is in exactly one total.
  CHECK_OK(transaction.commit());
  return out;
}

Result<std::vector<Store::PendingSettlement>> Store::pending_settlements() {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare("SELECT id, settlement FROM leases WHERE confirmed < cumulative "
                                "ORDER BY rowid"));
  std::vector<PendingSettlement> out;
  while (true) {
    TRY(const bool row, select.step());
    if (!row) return out;
    PendingSettlement pending;
    TRY(pending.lease, select.column_hash(0));
    TRY(pending.operation, rows::signed_from_text<protocol::Settlement>(select.column_text(1)));
    out.push_back(std::move(pending));
  }
}

Status Store::settlement_done(const Hash& lease, Micros cumulative) {
  const std::lock_guard lock(mutex_);
  TRY(auto update, db_->prepare("UPDATE leases SET confirmed = MAX(confirmed, ?2) WHERE id = ?1"));
  return update.bind_all(ByteView(lease), cumulative).run();
}

}  // namespace assay::services
