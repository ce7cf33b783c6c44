#include "services/gateway/store.hpp"

#include "io/files.hpp"
#include "services/gateway/store_rows.hpp"

namespace assay::services {

using rows::kLeaseColumns;

namespace {

// What the database is bound to: set by the first run. What is stored.
Result<std::string> bound_to(io::Database& db, std::string_view key, const std::string& value) {
  TRY(auto insert, db.prepare("INSERT OR IGNORE INTO meta VALUES(?1, ?2)"));
  CHECK_OK(insert.bind_all(key, value).run());
  TRY(auto select, db.prepare("SELECT value FROM meta WHERE key = ?1"));
  select.bind_all(key);
  TRY(const bool found, select.step());
  return found ? std::string(select.column_text(0)) : std::string();
}

// Whose a database is that was written before it said so.
Result<Address> buyer_of_leases(io::Database& db, const Address& otherwise) {
  TRY(auto select, db.prepare("SELECT lease FROM leases LIMIT 1"));
  TRY(const bool found, select.step());
  if (!found) return otherwise;
  TRY(const auto lease, rows::signed_from_text<protocol::Lease>(select.column_text(0)));
  return lease.message.buyer;
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const std::string& path, const protocol::Domain& domain,
                                           const Address& buyer) {
  TRY(auto db, io::open_versioned(path, io::OpenMode::create, rows::kSchema));
  TRY(auto transaction, io::Transaction::begin(*db));
  const std::string ledger = json::dump(domain.to_json());
  TRY(const std::string bound, bound_to(*db, "ledger", ledger));
  if (bound != ledger)
    return fail(Errc::conflict,
                "{} belongs to another ledger: use another --data directory for this market", path);
  TRY(const Address owner, buyer_of_leases(*db, buyer));
  TRY(const std::string bound_buyer, bound_to(*db, "buyer", owner.to_string()));
  if (bound_buyer != buyer.to_string())
    return fail(Errc::conflict,
                "{} belongs to the account {}, and the key is {}'s: use that account's --key, or "
                "another --data directory for this one",
                path, bound_buyer, buyer.to_string());
  CHECK_OK(transaction.commit());
  return std::unique_ptr<Store>(new Store(std::move(db)));
}

Result<std::unique_ptr<Store>> Store::open_beside(const std::string& data_directory, bool make) {
  const std::string path = data_directory + "/gateway.db";
  if (!make && !io::path_exists(path))
    return fail(Errc::not_found, "no gateway was ever run in {}: give its --data folder",
                data_directory);
  CHECK_OK(io::make_directories(data_directory, 0700));
  // Whoever holds the lock may change tables.
  const auto lock = io::FileLock::acquire(data_directory);
  TRY(auto db, io::open_versioned(path, lock ? io::OpenMode::create : io::OpenMode::read_write,
                                  rows::kSchema));
  return std::unique_ptr<Store>(new Store(std::move(db)));
}

Status Store::add_lease(const LeaseRecord& lease) {
  const std::lock_guard lock(mutex_);
  TRY(auto insert,
      db_->prepare("INSERT INTO leases(id, stage, provider, execution_hash, expires, lease, offer, "
                   "execution, audit_seed, chain_length, next_sequence, escrow, cumulative, "
                   "confirmed, returned) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"));
  const protocol::Lease& terms = lease.lease.message;
  insert.bind_all(ByteView(lease.id), to_string(lease.stage), ByteView(terms.provider.bytes),
                  ByteView(terms.execution), static_cast<std::int64_t>(terms.expires),
                  rows::signed_text(lease.lease), rows::signed_text(lease.offer),
                  json::dump(protocol::to_json(lease.execution)), ByteView(lease.audit_seed),
                  static_cast<std::int64_t>(lease.chain_length),
                  static_cast<std::int64_t>(lease.next_sequence), lease.escrow, lease.cumulative,
                  lease.confirmed, std::int64_t{lease.returned});
  return insert.run();
}

Status Store::set_lease_stage(const Hash& lease, LeaseStage stage) {
  const std::lock_guard lock(mutex_);
  TRY(auto update, db_->prepare("UPDATE leases SET stage = ?2 WHERE id = ?1"));
  return update.bind_all(ByteView(lease), to_string(stage)).run();
}

Status Store::set_returned(const Hash& lease) {
  const std::lock_guard lock(mutex_);
  TRY(auto update, db_->prepare("UPDATE leases SET returned = 1, stage = 'ended' WHERE id = ?1"));
  return update.bind_all(ByteView(lease)).run();
}

Result<std::vector<LeaseRecord>> Store::read_leases(io::Statement& statement) {
  std::vector<LeaseRecord> out;
  while (true) {
    TRY(const bool row, statement.step());
    if (!row) return out;
    TRY(LeaseRecord lease, rows::read_lease(statement));
    out.push_back(std::move(lease));
  }
}

Result<LeaseRecord> Store::lease(const Hash& id) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare(fmt::format("SELECT {} FROM leases WHERE id = ?1", kLeaseColumns)));
  select.bind_all(ByteView(id));
  TRY(auto found, read_leases(select));
  if (found.empty()) return fail(Errc::not_found, "the gateway has no such lease");
  return std::move(found.front());
}

Result<std::vector<LeaseRecord>> Store::leases() {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare(fmt::format("SELECT {} FROM leases ORDER BY rowid", kLeaseColumns)));
  return read_leases(select);
}

Result<std::vector<LeaseRecord>> Store::unreturned_leases() {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare(fmt::format(
                       "SELECT {} FROM leases WHERE returned = 0 ORDER BY rowid", kLeaseColumns)));
  return read_leases(select);
}

Result<std::vector<LeaseRecord>> Store::usable_leases(const Address& provider,
                                                      const Hash& execution, std::uint64_t after) {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare(fmt::format(
          "SELECT {} FROM leases WHERE provider = ?1 AND execution_hash = ?2 AND expires > ?3 AND "
          "stage IN ('opening','open') AND next_sequence <= chain_length ORDER BY rowid DESC",
          kLeaseColumns)));
  select.bind_all(ByteView(provider.bytes), ByteView(execution), static_cast<std::int64_t>(after));
  return read_leases(select);
}

Result<Micros> Store::free_escrow(const Hash& lease) {
  const std::lock_guard lock(mutex_);
  return free_escrow_locked(lease);
}

Result<Micros> Store::free_escrow_locked(const Hash& lease) {
  TRY(auto select,
      db_->prepare(fmt::format("SELECT l.escrow - l.cumulative - COALESCE((SELECT SUM(CASE r.stage "
                               "WHEN 'signed' THEN r.cap "
                               "WHEN 'settled' THEN 0 WHEN 'refunded' THEN 0 WHEN 'expired' THEN 0 "
                               "ELSE {} END) FROM requests r WHERE r.lease = l.id), 0) "
                               "FROM leases l WHERE l.id = ?1",
                               rows::kNetAmount)));
  select.bind_all(ByteView(lease));
  TRY(const bool row, select.step());
  if (!row) return fail(Errc::not_found, "the gateway has no such lease");
  return select.column_int64(0);
}

Status Store::add_top_up(const PendingTopUp& top_up) {
  const std::lock_guard lock(mutex_);
  TRY(auto insert, db_->prepare("INSERT INTO top_ups VALUES(?1, ?2, ?3, ?4, 0)"));
  return insert
      .bind_all(ByteView(top_up.id), ByteView(top_up.operation.message.lease),
                top_up.operation.message.amount, rows::signed_text(top_up.operation))
      .run();
}

Result<std::vector<Store::PendingTopUp>> Store::pending_top_ups() {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare("SELECT id, operation FROM top_ups WHERE done = 0 ORDER BY rowid"));
  std::vector<PendingTopUp> out;
  while (true) {
    TRY(const bool row, select.step());
    if (!row) return out;
    PendingTopUp top_up;
    TRY(top_up.id, select.column_hash(0));
    TRY(top_up.operation, rows::signed_from_text<protocol::TopUp>(select.column_text(1)));
    out.push_back(std::move(top_up));
  }
}

Status Store::top_up_done(const Hash& id, bool accepted) {
  const std::lock_guard lock(mutex_);
  TRY(auto transaction, io::Transaction::begin(*db_));
  if (accepted) {
    TRY(auto add, db_->prepare("UPDATE leases SET escrow = escrow + (SELECT amount FROM top_ups "
                               "WHERE id = ?1) WHERE id = (SELECT lease FROM top_ups WHERE id = ?1 "
                               "AND done = 0)"));
    CHECK_OK(add.bind_all(ByteView(id)).run());
  }
  TRY(auto update, db_->prepare("UPDATE top_ups SET done = 1 WHERE id = ?1"));
  CHECK_OK(update.bind_all(ByteView(id)).run());
  return transaction.commit();
}

}  // namespace assay::services
