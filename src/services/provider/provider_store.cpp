#include "services/provider/provider_store.hpp"

#include <algorithm>

#include "base/hex.hpp"
#include "io/schema.hpp"

namespace assay::services {
namespace {

using protocol::Signed;

const io::Schema kProviderSchema{.owner = "provider",
                                 .steps = {R"(
CREATE TABLE IF NOT EXISTS meta(
  key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases(
  id BLOB PRIMARY KEY, lease TEXT NOT NULL, stage INTEGER NOT NULL, used INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS requests(
  id BLOB PRIMARY KEY, lease BLOB NOT NULL REFERENCES leases(id), sequence INTEGER NOT NULL,
  request TEXT NOT NULL, salt BLOB NOT NULL, prompt BLOB NOT NULL, stop_ids BLOB NOT NULL,
  answer BLOB, logprobs BLOB, receipt TEXT, amount INTEGER, key_sequence INTEGER UNIQUE,
  UNIQUE(lease, sequence)) STRICT;
CREATE TABLE IF NOT EXISTS voids(key_sequence INTEGER PRIMARY KEY, salt BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS claims(
  id BLOB PRIMARY KEY, lease BLOB NOT NULL REFERENCES leases(id), claim TEXT NOT NULL,
  leaves BLOB NOT NULL) STRICT;
)",
                                           R"(
ALTER TABLE requests ADD COLUMN automaton BLOB;
)",
                                           R"(
ALTER TABLE requests ADD COLUMN first_ms INTEGER;
ALTER TABLE requests ADD COLUMN stream_ms INTEGER;
ALTER TABLE requests ADD COLUMN rebated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE requests ADD COLUMN rebate TEXT;
)"},
                                 .readable_from = 3};

Bytes pack(std::span<const std::uint32_t> tokens) {
  Bytes out;
  out.reserve(tokens.size() * 4);
  for (const auto t : tokens) append_le(out, t);
  return out;
}

std::vector<std::uint32_t> unpack(ByteView bytes) {
  std::vector<std::uint32_t> out;
  out.reserve(bytes.size() / 4);
  for (std::size_t i = 0; i + 4 <= bytes.size(); i += 4)
    out.push_back(load_le<std::uint32_t>(bytes.data() + i));
  return out;
}

std::vector<Hash> unpack_hashes(ByteView bytes) {
  std::vector<Hash> out;
  for (std::size_t i = 0; i + 32 <= bytes.size(); i += 32)
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(i), 32, out.emplace_back().begin());
  return out;
}

template <class M>
std::string dump(const Signed<M>& message) {
  return json::dump(protocol::to_json(message));
}

std::string dump(const StoredRebate& rebate) {
  return json::dump(json::object{{"rebate", protocol::to_json(rebate.rebate)},
                                 {"acceptance", protocol::to_json(rebate.acceptance)}});
}

Result<StoredRebate> load_rebate(std::string_view text) {
  TRY(const json::value v, json::parse(text));
  TRY(const json::object* o, json::as_object(v, "a stored rebate"));
  StoredRebate out;
  protocol::FieldReader read(*o, "a stored rebate");
  read("rebate", out.rebate);
  read("acceptance", out.acceptance);
  CHECK_OK(read.finish());
  return out;
}

template <class M>
Result<Signed<M>> load(std::string_view text) {
  TRY(const json::value v, json::parse(text));
  TRY(const json::object* o, json::as_object(v, "a stored message"));
  return protocol::signed_from_json<M>(*o);
}

constexpr const char* kColumns =
    "id, request, salt, prompt, stop_ids, answer, logprobs, receipt, automaton, first_ms, "
    "stream_ms, "
    "rebate";

Result<StoredRequest> read_request(const io::Statement& row) {
  StoredRequest out;
  TRY(out.id, row.column_hash(0));
  TRY(out.request, load<protocol::Request>(row.column_text(1)));
  TRY(out.salt_secret, row.column_hash(2));
  out.prompt = unpack(row.column_blob(3));
  out.stop_ids = unpack(row.column_blob(4));
  const ByteView automaton = row.column_blob(8);
  out.automaton.assign(automaton.begin(), automaton.end());
  if (row.column_is_null(7)) return out;
  TRY(auto receipt, load<protocol::Receipt>(row.column_text(7)));
  out.outcome =
      StoredOutcome{unpack(row.column_blob(5)), unpack(row.column_blob(6)), std::move(receipt)};
  if (!row.column_is_null(9))
    out.times = protocol::AnswerTimes{static_cast<std::uint64_t>(row.column_int64(9)),
                                      static_cast<std::uint64_t>(row.column_int64(10))};
  if (!row.column_is_null(11)) {
    TRY(out.rebate, load_rebate(row.column_text(11)));
  }
  return out;
}

Result<std::optional<StoredRequest>> find(io::Database& db, const Hash& id) {
  TRY(auto select, db.prepare(fmt::format("SELECT {} FROM requests WHERE id = ?1", kColumns)));
  select.bind_all(ByteView(id));
  TRY(const bool found, select.step());
  if (!found) return std::nullopt;
  TRY(auto request, read_request(select));
  return request;
}

Result<std::optional<std::string>> get_meta(io::Database& db, std::string_view key) {
  TRY(auto select, db.prepare("SELECT value FROM meta WHERE key = ?1"));
  select.bind_all(key);
  TRY(const bool found, select.step());
  if (!found) return std::nullopt;
  return std::string(select.column_text(0));
}

Status set_meta(io::Database& db, std::string_view key, std::string_view value) {
  TRY(auto insert, db.prepare("INSERT OR REPLACE INTO meta(key, value) VALUES(?1, ?2)"));
  return insert.bind_all(key, value).run();
}

// What the database is bound to; set by the first run.
Status bind_to(io::Database& db, std::string_view key, const std::string& value,
               std::string_view what) {
  TRY(const auto stored, get_meta(db, key));
  if (!stored) return set_meta(db, key, value);
  if (*stored != value)
    return fail(Errc::conflict,
                "this data directory belongs to another {} ({}): choose another with --data", what,
                *stored);
  return {};
}

// Of this key: after every receipt, void and reserved number.
Result<std::int64_t> next_number(io::Database& db) {
  TRY(const auto last,
      db.query_int64("SELECT MAX(COALESCE((SELECT MAX(key_sequence) FROM requests), 0), "
                     "COALESCE((SELECT MAX(key_sequence) FROM voids), 0), COALESCE((SELECT "
                     "CAST(value AS INTEGER) FROM meta WHERE key = 'numbers_below'), 1) - 1)"));
  return last.value_or(0) + 1;
}

Status touch(io::Database& db, const Hash& lease, std::uint64_t now) {
  TRY(auto update, db.prepare("UPDATE leases SET used = ?2 WHERE id = ?1"));
  return update.bind_all(ByteView(lease), static_cast<std::int64_t>(now)).run();
}

}  // namespace

Result<std::unique_ptr<ProviderStore>> ProviderStore::open(const std::string& path,
                                                           const protocol::Domain& domain,
                                                           const protocol::Address& provider) {
  TRY(auto db, io::open_versioned(path, io::OpenMode::create, kProviderSchema));
  TRY(auto transaction, io::Transaction::begin(*db));
  CHECK_OK(bind_to(*db, "ledger", to_hex(domain.separator()), "ledger"));
  CHECK_OK(bind_to(*db, "provider", provider.to_string(), "key"));
  CHECK_OK(transaction.commit());
  return std::unique_ptr<ProviderStore>(new ProviderStore(std::move(db)));
}

Result<std::unique_ptr<ProviderStore>> ProviderStore::open_existing(const std::string& path) {
  TRY(auto db, io::open_versioned(path, io::OpenMode::read_only, kProviderSchema));
  return std::unique_ptr<ProviderStore>(new ProviderStore(std::move(db)));
}

Status ProviderStore::add_request(const Hash& id, const protocol::InferenceCall& call,
                                  std::uint64_t now) {
  const std::lock_guard lock(mutex_);
  const auto& request = call.request.message;
  TRY(auto transaction, io::Transaction::begin(*db_));
  {
    TRY(auto insert,
        db_->prepare("INSERT INTO leases(id, lease, stage, used) VALUES(?1, ?2, 0, ?3) "
                     "ON CONFLICT(id) DO UPDATE SET used = excluded.used"));
    CHECK_OK(
        insert.bind_all(ByteView(request.lease), dump(call.lease), static_cast<std::int64_t>(now))
            .run());
  }
  {
    TRY(auto same, db_->prepare("SELECT id FROM requests WHERE lease = ?1 AND sequence = ?2"));
    same.bind_all(ByteView(request.lease), static_cast<std::int64_t>(request.sequence));
    TRY(const bool found, same.step());
    if (found) {
      TRY(const Hash stored, same.column_hash(0));
      if (stored == id) return {};
      return fail(Errc::conflict, "another request has sequence {} of this lease: use a new one",
                  request.sequence);
    }
  }
  TRY(auto insert, db_->prepare("INSERT INTO requests(id, lease, sequence, request, salt, prompt, "
                                "stop_ids, automaton) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"));
  CHECK_OK(insert
               .bind_all(ByteView(id), ByteView(request.lease),
                         static_cast<std::int64_t>(request.sequence), dump(call.request),
                         ByteView(call.salt_secret), ByteView(pack(call.prompt)),
                         ByteView(pack(call.stop_ids)), ByteView(call.automaton))
               .run());
  return transaction.commit();
}

Result<std::optional<StoredRequest>> ProviderStore::request(const Hash& id) {
  const std::lock_guard lock(mutex_);
  return find(*db_, id);
}

Result<StoredOutcome> ProviderStore::finish(const Hash& id, const Hash& lease,
                                            std::span<const std::uint32_t> answer,
                                            std::span<const std::uint32_t> logprobs,
                                            const protocol::AnswerTimes& times, std::uint64_t now,
                                            const Sign& sign) {
  const std::lock_guard lock(mutex_);
  TRY(auto transaction, io::Transaction::begin(*db_));
  TRY(auto stored, find(*db_, id));
  if (!stored) return fail(Errc::not_found, "no such request");
  if (stored->outcome) return std::move(*stored->outcome);
  TRY(const std::int64_t key_sequence, next_number(*db_));
  StoredOutcome outcome{{answer.begin(), answer.end()},
                        {logprobs.begin(), logprobs.end()},
                        sign(static_cast<std::uint64_t>(key_sequence))};
  {
    TRY(auto update, db_->prepare("UPDATE requests SET answer = ?2, receipt = ?3, amount = ?4, "
                                  "key_sequence = ?5, logprobs = ?6, first_ms = ?7, stream_ms = ?8 "
                                  "WHERE id = ?1 AND receipt IS NULL"));
    CHECK_OK(update
                 .bind_all(ByteView(id), ByteView(pack(answer)), dump(outcome.receipt),
                           outcome.receipt.message.amount, key_sequence, ByteView(pack(logprobs)),
                           static_cast<std::int64_t>(times.first_token_ms),
                           static_cast<std::int64_t>(times.stream_ms))
                 .run());
  }
  CHECK_OK(touch(*db_, lease, now));
  // If the process dies before this returns, the receipt was never sent and does not exist.
  CHECK_OK(transaction.commit());
  return outcome;
}

Result<std::vector<NumberUsed>> ProviderStore::numbers(std::uint64_t from, std::size_t most) {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare("SELECT key_sequence, receipt, salt FROM requests WHERE key_sequence >= ?1 "
                   "UNION ALL SELECT key_sequence, NULL, salt FROM voids WHERE key_sequence >= ?1 "
                   "ORDER BY 1 LIMIT ?2"));
  select.bind_all(static_cast<std::int64_t>(from), static_cast<std::int64_t>(most));
  std::vector<NumberUsed> out;
  for (;;) {
    TRY(const bool row, select.step());
    if (!row) return out;
    NumberUsed used;
    used.number = static_cast<std::uint64_t>(select.column_int64(0));
    if (!select.column_is_null(1)) {
      TRY(used.receipt, load<protocol::Receipt>(select.column_text(1)));
    }
    TRY(used.salt, select.column_hash(2));
    out.push_back(std::move(used));
  }
}

Status ProviderStore::add_voids(std::span<const Hash> salts) {
  const std::lock_guard lock(mutex_);
  TRY(auto transaction, io::Transaction::begin(*db_));
  TRY(std::int64_t next, next_number(*db_));
  for (const Hash& salt : salts) {
    TRY(auto insert, db_->prepare("INSERT INTO voids(key_sequence, salt) VALUES(?1, ?2)"));
    CHECK_OK(insert.bind_all(next++, ByteView(salt)).run());
  }
  return transaction.commit();
}

Status ProviderStore::reserve_numbers(std::uint64_t next) {
  const std::lock_guard lock(mutex_);
  TRY(auto transaction, io::Transaction::begin(*db_));
  TRY(const std::int64_t known, next_number(*db_));
  if (known >= static_cast<std::int64_t>(next)) return {};
  CHECK_OK(set_meta(*db_, "numbers_below", std::to_string(next)));
  return transaction.commit();
}

Result<protocol::Micros> ProviderStore::receipted(const Hash& lease) {
  const std::lock_guard lock(mutex_);
  TRY(auto sum, db_->prepare("SELECT SUM(amount - rebated) FROM requests WHERE lease = ?1"));
  sum.bind_all(ByteView(lease));
  TRY(const bool found, sum.step());
  return found && !sum.column_is_null(0) ? sum.column_int64(0) : 0;
}

Result<std::vector<StoredLease>> ProviderStore::leases_where(std::string_view condition,
                                                             ByteView id) {
  TRY(auto select, db_->prepare(fmt::format(
                       "SELECT l.id, l.lease, l.stage, l.used, (SELECT SUM(amount - rebated) FROM "
                       "requests r WHERE r.lease = l.id) FROM leases l WHERE {}",
                       condition)));
  if (!id.empty()) select.bind_all(id);
  std::vector<StoredLease> out;
  for (;;) {
    TRY(const bool row, select.step());
    if (!row) return out;
    StoredLease lease;
    TRY(lease.id, select.column_hash(0));
    TRY(lease.lease, load<protocol::Lease>(select.column_text(1)));
    lease.stage = static_cast<LeaseStanding>(select.column_int64(2));
    lease.used = static_cast<std::uint64_t>(select.column_int64(3));
    if (!select.column_is_null(4)) lease.receipted = select.column_int64(4);
    out.push_back(std::move(lease));
  }
}

Result<std::optional<StoredLease>> ProviderStore::lease(const Hash& id) {
  const std::lock_guard lock(mutex_);
  TRY(auto found, leases_where("l.id = ?1", id));
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

Result<std::vector<StoredLease>> ProviderStore::open_leases() {
  const std::lock_guard lock(mutex_);
  return leases_where("stage = 0", {});
}

Status ProviderStore::end_lease(const Hash& id) {
  const std::lock_guard lock(mutex_);
  TRY(auto update, db_->prepare("UPDATE leases SET stage = 1 WHERE id = ?1"));
  return update.bind_all(ByteView(id)).run();
}

Result<std::vector<StoredRequest>> ProviderStore::receipts(const Hash& lease) {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare(fmt::format(
          "SELECT {} FROM requests WHERE lease = ?1 AND receipt IS NOT NULL ORDER BY sequence",
          kColumns)));
  select.bind_all(ByteView(lease));
  std::vector<StoredRequest> out;
  for (;;) {
    TRY(const bool row, select.step());
    if (!row) return out;
    TRY(auto request, read_request(select));
    out.push_back(std::move(request));
  }
}

Result<StoredRebate> ProviderStore::add_rebate(const Hash& request, const StoredRebate& rebate) {
  const std::lock_guard lock(mutex_);
  TRY(auto transaction, io::Transaction::begin(*db_));
  TRY(auto stored, find(*db_, request));
  if (!stored || !stored->outcome)
    return fail(Errc::not_found, "there is no receipt for this request");
  if (stored->rebate) return std::move(*stored->rebate);
  {
    TRY(auto claims, db_->prepare("SELECT leaves FROM claims WHERE lease = ?1"));
    claims.bind_all(ByteView(stored->request.message.lease));
    for (;;) {
      TRY(const bool row, claims.step());
      if (!row) break;
      const auto leaves = unpack_hashes(claims.column_blob(0));
      if (std::ranges::find(leaves, request) != leaves.end())
        return fail(Errc::conflict, "this receipt is in a claim already");
    }
  }
  {
    TRY(auto update, db_->prepare("UPDATE requests SET rebated = ?2, rebate = ?3 WHERE id = ?1"));
    CHECK_OK(update.bind_all(ByteView(request), rebate.rebate.message.amount, dump(rebate)).run());
  }
  // Whoever has the acceptance can rely on it: it is on disk before it is told.
  CHECK_OK(transaction.commit());
  return rebate;
}

Status ProviderStore::add_claim(const StoredClaim& claim) {
  Bytes leaves;
  for (const Hash& leaf : claim.leaves) append(leaves, leaf);
  const std::lock_guard lock(mutex_);
  TRY(auto transaction, io::Transaction::begin(*db_));
  TRY(const auto now, leases_where("l.id = ?1", claim.claim.message.lease));
  if (now.empty() || now.front().receipted != claim.claim.message.total)
    return fail(Errc::conflict, "the lease's receipts come to another sum by now");
  {
    TRY(auto insert, db_->prepare("INSERT OR IGNORE INTO claims(id, lease, claim, leaves) "
                                  "VALUES(?1, ?2, ?3, ?4)"));
    CHECK_OK(insert
                 .bind_all(ByteView(claim.id), ByteView(claim.claim.message.lease),
                           dump(claim.claim), ByteView(leaves))
                 .run());
  }
  return transaction.commit();
}

Result<std::optional<StoredClaim>> ProviderStore::claim(const Hash& id) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare("SELECT claim, leaves FROM claims WHERE id = ?1"));
  select.bind_all(ByteView(id));
  TRY(const bool found, select.step());
  if (!found) return std::nullopt;
  StoredClaim out;
  out.id = id;
  TRY(out.claim, load<protocol::Claim>(select.column_text(0)));
  out.leaves = unpack_hashes(select.column_blob(1));
  return out;
}

Result<std::uint64_t> ProviderStore::next_offer_sequence() {
  const std::lock_guard lock(mutex_);
  TRY(auto transaction, io::Transaction::begin(*db_));
  TRY(const auto stored, get_meta(*db_, "offer_sequence"));
  std::uint64_t next = 1;
  if (stored) {
    TRY(const std::uint64_t last, json::parse_u64(*stored));
    next = last + 1;
  }
  CHECK_OK(set_meta(*db_, "offer_sequence", std::to_string(next)));
  CHECK_OK(transaction.commit());
  return next;
}

Result<ProviderTotals> ProviderStore::totals() {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare("SELECT COUNT(*), COUNT(receipt), COALESCE(SUM(amount), 0), "
                   "COALESCE(SUM(LENGTH(answer)), 0) / 4, (SELECT COUNT(*) FROM leases "
                   "WHERE stage = 0), COALESCE(SUM(rebated), 0) FROM requests"));
  TRY(const bool row, select.step());
  if (!row) return ProviderTotals{};
  ProviderTotals out;
  out.requests = static_cast<std::uint64_t>(select.column_int64(0));
  out.receipts = static_cast<std::uint64_t>(select.column_int64(1));
  out.receipted = select.column_int64(2);
  out.tokens_out = static_cast<std::uint64_t>(select.column_int64(3));
  out.open_leases = static_cast<std::uint64_t>(select.column_int64(4));
  out.rebated = select.column_int64(5);
  return out;
}

}  // namespace assay::services
