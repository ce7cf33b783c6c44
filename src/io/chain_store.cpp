#include "io/chain_store.hpp"

#include "io/schema.hpp"

namespace assay::io {
namespace {

const Schema kSchema{.owner = "chain sender", .steps = {R"(
CREATE TABLE IF NOT EXISTS chain_senders(
  sender BLOB PRIMARY KEY, chain_id INTEGER NOT NULL, genesis BLOB NOT NULL,
  next_nonce INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS chain_intents(
  sender BLOB NOT NULL REFERENCES chain_senders(sender), id BLOB NOT NULL, nonce INTEGER NOT NULL,
  recipient BLOB, value BLOB NOT NULL, data BLOB NOT NULL, gas_limit INTEGER NOT NULL,
  state INTEGER NOT NULL, mined_hash BLOB NOT NULL, block_hash BLOB NOT NULL,
  block_num INTEGER NOT NULL, gas_used INTEGER NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY(sender, id), UNIQUE(sender, nonce)) STRICT;
CREATE INDEX IF NOT EXISTS chain_open ON chain_intents(sender, nonce) WHERE state < 2;
CREATE TABLE IF NOT EXISTS chain_attempts(
  sender BLOB NOT NULL, id BLOB NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL,
  raw BLOB NOT NULL, max_fee INTEGER NOT NULL, priority_fee INTEGER NOT NULL,
  signed_ms INTEGER NOT NULL, PRIMARY KEY(sender, id, number),
  FOREIGN KEY(sender, id) REFERENCES chain_intents(sender, id)) STRICT;
)",
                                                    R"(
ALTER TABLE chain_attempts ADD COLUMN filler INTEGER NOT NULL DEFAULT 0;
)"}};

constexpr const char* kColumns =
    "SELECT id, nonce, recipient, value, data, gas_limit, state, mined_hash, block_hash, "
    "block_num, gas_used, reason FROM chain_intents WHERE sender = ?1 ";

std::int64_t as_i64(std::uint64_t n) { return static_cast<std::int64_t>(n); }
std::uint64_t as_u64(std::int64_t n) { return static_cast<std::uint64_t>(n); }

Bytes copied(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace

std::string_view to_string(TxState state) {
  switch (state) {
    case TxState::pending:
      return "pending";
    case TxState::mined:
      return "mined";
    case TxState::confirmed:
      return "confirmed";
    case TxState::reverted:
      return "reverted";
  }
  return "pending";
}

Result<ChainStore> ChainStore::open(const std::string& path, const crypto::Address& sender,
                                    std::uint64_t chain_id, const Hash& genesis) {
  TRY(auto db, open_versioned(path, OpenMode::create, kSchema));
  {
    TRY(Statement add, db->prepare("INSERT OR IGNORE INTO chain_senders VALUES(?1, ?2, ?3, 0)"));
    CHECK_OK(add.bind_all(ByteView(sender.bytes), as_i64(chain_id), ByteView(genesis)).run());
    TRY(Statement row,
        db->prepare("SELECT chain_id, genesis FROM chain_senders WHERE sender = ?1"));
    TRY(const bool found, row.bind(1, ByteView(sender.bytes)).step());
    if (!found) return fail(Errc::internal, "database {}: the sender's row is gone", path);
    TRY(const Hash known, row.column_hash(1));
    if (as_u64(row.column_int64(0)) != chain_id || known != genesis)
      return fail(Errc::conflict,
                  "database {} has transactions of {} on another chain: give this one its own data "
                  "directory",
                  path, sender.to_string());
  }
  return ChainStore(std::move(db), sender);
}

Result<std::uint64_t> ChainStore::take_nonce(std::uint64_t at_least) {
  TRY(Statement get, db_->prepare("SELECT next_nonce FROM chain_senders WHERE sender = ?1"));
  TRY(const bool found, get.bind(1, ByteView(sender_.bytes)).step());
  if (!found) return fail(Errc::internal, "database {}: the sender's row is gone", db_->path());
  const std::uint64_t nonce = std::max(at_least, as_u64(get.column_int64(0)));
  TRY(Statement set, db_->prepare("UPDATE chain_senders SET next_nonce = ?2 WHERE sender = ?1"));
  CHECK_OK(set.bind_all(ByteView(sender_.bytes), as_i64(nonce + 1)).run());
  return nonce;
}

Status ChainStore::put(const TxRow& row, bool fresh) {
  const Intent& intent = row.intent;
  if (fresh) {
    TRY(Statement insert,
        db_->prepare("INSERT INTO chain_intents VALUES"
                     "(?1,?2,?3,?4,?5,?6,?7,0,zeroblob(32),zeroblob(32),0,0,'')"));
    insert.bind_all(ByteView(sender_.bytes), ByteView(intent.id), as_i64(row.nonce));
    if (intent.to) {
      insert.bind(4, ByteView(intent.to->bytes));
    } else {
      insert.bind_null(4);
    }
    insert.bind(5, ByteView(intent.value.bytes)).bind(6, ByteView(intent.data));
    CHECK_OK(insert.bind(7, as_i64(intent.gas_limit)).run());
  } else {
    TRY(Statement change,
        db_->prepare(
            "UPDATE chain_intents SET nonce = ?3, state = ?4, mined_hash = ?5, block_hash "
            "= ?6, block_num = ?7, gas_used = ?8, reason = ?9 WHERE sender = ?1 AND id = ?2"));
    CHECK_OK(change
                 .bind_all(ByteView(sender_.bytes), ByteView(intent.id), as_i64(row.nonce),
                           static_cast<std::int64_t>(row.state), ByteView(row.mined_hash),
                           ByteView(row.block_hash), as_i64(row.block_num), as_i64(row.gas_used),
                           std::string_view(row.reason))
                 .run());
  }
  TRY(Statement add,
      db_->prepare("INSERT OR IGNORE INTO chain_attempts VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)"));
  for (std::size_t i = 0; i < row.attempts.size(); ++i) {
    const Attempt& a = row.attempts[i];
    add.bind_all(ByteView(sender_.bytes), ByteView(intent.id), as_i64(i), ByteView(a.hash));
    add.bind(5, ByteView(a.raw)).bind(6, as_i64(a.max_fee)).bind(7, as_i64(a.priority_fee));
    CHECK_OK(add.bind(8, a.signed_ms).bind(9, std::int64_t{a.filler}).run());
  }
  return {};
}

Status ChainStore::update(const TxRow& row) {
  TRY(Transaction change, Transaction::begin(*db_));
  CHECK_OK(put(row, false));
  return change.commit();
}

Result<TxRow> ChainStore::read(Statement& from) {
  TxRow row;
  TRY(row.intent.id, from.column_hash(0));
  row.nonce = as_u64(from.column_int64(1));
  if (!from.column_is_null(2)) {
    row.intent.to.emplace();
    const ByteView to = from.column_blob(2);
    if (to.size() != 20) return fail(Errc::mismatch, "database {}: a bad address", db_->path());
    std::ranges::copy(to, row.intent.to->bytes.begin());
  }
  TRY(row.intent.value.bytes, from.column_hash(3));
  row.intent.data = copied(from.column_blob(4));
  row.intent.gas_limit = as_u64(from.column_int64(5));
  row.state = static_cast<TxState>(from.column_int64(6));
  TRY(row.mined_hash, from.column_hash(7));
  TRY(row.block_hash, from.column_hash(8));
  row.block_num = as_u64(from.column_int64(9));
  row.gas_used = as_u64(from.column_int64(10));
  row.reason = from.column_text(11);
  TRY(Statement attempts,
      db_->prepare("SELECT hash, raw, max_fee, priority_fee, signed_ms, filler FROM "
                   "chain_attempts WHERE sender = ?1 AND id = ?2 ORDER BY number"));
  attempts.bind_all(ByteView(sender_.bytes), ByteView(row.intent.id));
  for (;;) {
    TRY(const bool more, attempts.step());
    if (!more) break;
    Attempt a;
    TRY(a.hash, attempts.column_hash(0));
    a.raw = copied(attempts.column_blob(1));
    a.max_fee = as_u64(attempts.column_int64(2));
    a.priority_fee = as_u64(attempts.column_int64(3));
    a.signed_ms = attempts.column_int64(4);
    a.filler = attempts.column_int64(5) != 0;
    row.attempts.push_back(std::move(a));
  }
  if (row.attempts.empty())
    return fail(Errc::mismatch, "database {}: an intent without a transaction", db_->path());
  return row;
}

Result<std::optional<TxRow>> ChainStore::find(const Hash& id) {
  TRY(Statement get, db_->prepare(std::string(kColumns) + "AND id = ?2"));
  TRY(const bool found, get.bind_all(ByteView(sender_.bytes), ByteView(id)).step());
  if (!found) return std::nullopt;
  TRY(TxRow row, read(get));
  return row;
}

Result<std::vector<TxRow>> ChainStore::open_rows() {
  TRY(Statement get, db_->prepare(std::string(kColumns) + "AND state < 2 ORDER BY nonce"));
  get.bind(1, ByteView(sender_.bytes));
  std::vector<TxRow> out;
  for (;;) {
    TRY(const bool more, get.step());
    if (!more) return out;
    TRY(TxRow row, read(get));
    out.push_back(std::move(row));
  }
}

}  // namespace assay::io
