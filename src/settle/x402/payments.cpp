#include "settle/x402/payments.hpp"

#include <array>

#include "crypto/sha256.hpp"
#include "io/schema.hpp"

namespace assay::settle::x402 {
namespace {

const io::Schema kPaymentsSchema{"x402 payments", {R"(
CREATE TABLE payments(
  id BLOB PRIMARY KEY, payer BLOB NOT NULL, identifier TEXT, request BLOB NOT NULL,
  header TEXT NOT NULL, amount INTEGER NOT NULL, valid_before INTEGER NOT NULL,
  state TEXT NOT NULL, first_block INTEGER NOT NULL, taken_s INTEGER NOT NULL,
  ended_s INTEGER NOT NULL DEFAULT 0, transaction_hash BLOB, reason TEXT NOT NULL DEFAULT '') STRICT;
CREATE UNIQUE INDEX payment_identifiers ON payments(payer, identifier) WHERE identifier IS NOT NULL;
CREATE INDEX payment_states ON payments(state);
)"}};

constexpr std::string_view kPaymentFields =
    "SELECT id, request, header, state, first_block, taken_s, ended_s, transaction_hash, reason "
    "FROM payments ";

constexpr std::array kStates = {PaymentState::taken, PaymentState::released, PaymentState::answered,
                                PaymentState::settled, PaymentState::failed};

Result<PaymentState> payment_state_from(std::string_view text) {
  for (const PaymentState state : kStates)
    if (to_string(state) == text) return state;
  return fail(Errc::mismatch, "a payment is in no known state '{}'", text);
}

}  // namespace

std::string_view to_string(PaymentState state) {
  switch (state) {
    case PaymentState::taken:
      return "taken";
    case PaymentState::released:
      return "released";
    case PaymentState::answered:
      return "answered";
    case PaymentState::settled:
      return "settled";
    case PaymentState::failed:
      return "failed";
  }
  return "taken";
}

Hash payment_id(const Payment& payment) {
  Bytes bytes;
  append(bytes, view("assay/x402/v0"));
  append_le(bytes, payment.accepted.chain_id);
  append(bytes, payment.accepted.asset.bytes);
  append(bytes, payment.authorization.from.bytes);
  append(bytes, payment.authorization.nonce);
  return crypto::sha256(bytes);
}

Result<std::unique_ptr<Payments>> Payments::open(const std::string& path) {
  TRY(auto db, io::open_versioned(path, io::OpenMode::create, kPaymentsSchema));
  return std::unique_ptr<Payments>(new Payments(std::move(db)));
}

Result<std::vector<PaymentRow>> Payments::read(io::Statement& select) {
  std::vector<PaymentRow> out;
  while (true) {
    TRY(const bool there, select.step());
    if (!there) return out;
    PaymentRow row;
    TRY(row.id, select.column_hash(0));
    TRY(row.request, select.column_hash(1));
    TRY(row.payment, protocol::x402::payment_from_header(select.column_text(2)));
    TRY(row.state, payment_state_from(select.column_text(3)));
    row.first_block = static_cast<std::uint64_t>(select.column_int64(4));
    row.taken_s = select.column_int64(5);
    row.ended_s = select.column_int64(6);
    if (!select.column_is_null(7)) {
      TRY(row.transaction, select.column_hash(7));
    }
    row.reason = select.column_text(8);
    out.push_back(std::move(row));
  }
}

Result<std::optional<PaymentRow>> Payments::find(const Hash& id) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare(fmt::format("{}WHERE id = ?1", kPaymentFields)));
  TRY(auto found, read(select.bind_all(ByteView(id))));
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

Result<std::optional<PaymentRow>> Payments::find(const Address& payer,
                                                 const std::string& identifier) {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare(fmt::format("{}WHERE payer = ?1 AND identifier = ?2", kPaymentFields)));
  TRY(auto found, read(select.bind_all(ByteView(payer.bytes), identifier)));
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

Result<Micros> Payments::promised(const Address& payer, std::int64_t now_s) {
  const std::lock_guard lock(mutex_);
  return promised_locked(payer, now_s);
}

Result<Micros> Payments::promised_locked(const Address& payer, std::int64_t now_s) {
  TRY(auto select,
      db_->prepare("SELECT COALESCE(SUM(amount), 0) FROM payments WHERE payer = ?1 AND "
                   "(state = 'answered' OR (state = 'taken' AND valid_before > ?2))"));
  TRY(const bool there, select.bind_all(ByteView(payer.bytes), now_s).step());
  return there ? select.column_int64(0) : 0;
}

Status Payments::add(const PaymentRow& row, Micros balance) {
  const protocol::x402::Authorization& a = row.payment.authorization;
  const std::lock_guard lock(mutex_);
  TRY(auto transaction, io::Transaction::begin(*db_));
  TRY(const Micros promised, promised_locked(a.from, row.taken_s));
  if (balance - promised < a.value)
    return fail(Errc::refused, "{} has {} micro-units, and has promised {} of them",
                a.from.to_string(), balance, promised);
  {
    TRY(auto insert,
        db_->prepare("INSERT INTO payments(id, payer, identifier, request, header, amount, "
                     "valid_before, state, first_block, taken_s) VALUES(?,?,?,?,?,?,?,?,?,?)"));
    insert.bind(1, ByteView(row.id)).bind(2, ByteView(a.from.bytes)).bind_null(3);
    if (row.payment.id) insert.bind(3, *row.payment.id);
    // Larger times than SQLite's integers are as good as its largest.
    const auto valid_before = static_cast<std::int64_t>(
        std::min<std::uint64_t>(a.valid_before, std::numeric_limits<std::int64_t>::max()));
    insert.bind(4, ByteView(row.request))
        .bind(5, protocol::x402::to_header(row.payment))
        .bind(6, a.value)
        .bind(7, valid_before)
        .bind(8, to_string(row.state))
        .bind(9, static_cast<std::int64_t>(row.first_block))
        .bind(10, row.taken_s);
    CHECK_OK(insert.run());
  }
  return transaction.commit();
}

Status Payments::move(const Hash& id, PaymentState from, PaymentState to) {
  const std::lock_guard lock(mutex_);
  TRY(auto update, db_->prepare("UPDATE payments SET state = ?3 WHERE id = ?1 AND state = ?2"));
  CHECK_OK(update.bind_all(ByteView(id), to_string(from), to_string(to)).run());
  if (db_->changes() == 1) return {};
  return fail(Errc::conflict, "the payment is no longer '{}'", to_string(from));
}

Status Payments::settle(const Hash& id, const Hash& transaction, std::int64_t now_s) {
  const std::lock_guard lock(mutex_);
  TRY(auto update, db_->prepare("UPDATE payments SET state = 'settled', transaction_hash = ?2, "
                                "ended_s = ?3, reason = '' WHERE id = ?1 AND state <> 'settled'"));
  return update.bind_all(ByteView(id), ByteView(transaction), now_s).run();
}

Status Payments::give_up(const Hash& id, const std::string& reason, std::int64_t now_s) {
  const std::lock_guard lock(mutex_);
  TRY(auto update, db_->prepare("UPDATE payments SET state = 'failed', reason = ?2, ended_s = ?3 "
                                "WHERE id = ?1 AND state = 'answered'"));
  return update.bind_all(ByteView(id), reason, now_s).run();
}

Result<std::vector<PaymentRow>> Payments::in(PaymentState state) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare(fmt::format("{}WHERE state = ?1 ORDER BY rowid", kPaymentFields)));
  return read(select.bind_all(to_string(state)));
}

Result<std::vector<PaymentRow>> Payments::newest(std::uint32_t limit) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare(fmt::format("{}ORDER BY rowid DESC LIMIT ?1", kPaymentFields)));
  return read(select.bind_all(std::int64_t{limit}));
}

}  // namespace assay::settle::x402
