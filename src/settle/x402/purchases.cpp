#include "settle/x402/purchases.hpp"

#include "io/schema.hpp"

namespace assay::settle::x402 {
namespace {

const io::Schema kPurchasesSchema{"x402 purchases", {R"(
CREATE TABLE purchases(
  id BLOB PRIMARY KEY, request BLOB NOT NULL, url TEXT NOT NULL, header TEXT NOT NULL,
  amount INTEGER NOT NULL, state TEXT NOT NULL, signed_s INTEGER NOT NULL) STRICT;
CREATE INDEX purchase_states ON purchases(state);
)"}};

constexpr std::string_view kPurchaseFields =
    "SELECT id, request, url, header, state, signed_s FROM purchases ";

Result<PurchaseState> purchase_state_from(std::string_view text) {
  for (const PurchaseState state : {PurchaseState::open, PurchaseState::paid, PurchaseState::void_})
    if (to_string(state) == text) return state;
  return fail(Errc::mismatch, "a purchase is in no known state '{}'", text);
}

}  // namespace

std::string_view to_string(PurchaseState state) {
  switch (state) {
    case PurchaseState::open:
      return "open";
    case PurchaseState::paid:
      return "paid";
    case PurchaseState::void_:
      return "void";
  }
  return "open";
}

Result<std::unique_ptr<Purchases>> Purchases::open(const std::string& path) {
  TRY(auto db, io::open_versioned(path, io::OpenMode::create, kPurchasesSchema));
  return std::unique_ptr<Purchases>(new Purchases(std::move(db)));
}

Result<std::vector<Purchase>> Purchases::read(io::Statement& select) {
  std::vector<Purchase> out;
  while (true) {
    TRY(const bool there, select.step());
    if (!there) return out;
    Purchase one;
    TRY(one.id, select.column_hash(0));
    TRY(one.request, select.column_hash(1));
    one.url = select.column_text(2);
    TRY(one.payment, protocol::x402::payment_from_header(select.column_text(3)));
    TRY(one.state, purchase_state_from(select.column_text(4)));
    one.signed_s = select.column_int64(5);
    out.push_back(std::move(one));
  }
}

Result<std::optional<Purchase>> Purchases::find(const Hash& id) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare(fmt::format("{}WHERE id = ?1", kPurchaseFields)));
  TRY(auto found, read(select.bind_all(ByteView(id))));
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

Result<Micros> Purchases::spent(std::int64_t since_s) {
  const std::lock_guard lock(mutex_);
  return spent_locked(since_s);
}

Result<Micros> Purchases::spent_locked(std::int64_t since_s) {
  TRY(auto select, db_->prepare("SELECT COALESCE(SUM(amount), 0) FROM purchases WHERE "
                                "state = 'open' OR (state = 'paid' AND signed_s >= ?1)"));
  TRY(const bool there, select.bind_all(since_s).step());
  return there ? select.column_int64(0) : 0;
}

Status Purchases::add(const Purchase& one, Micros budget, std::int64_t since_s) {
  const Micros amount = one.payment.authorization.value;
  const std::lock_guard lock(mutex_);
  TRY(auto transaction, io::Transaction::begin(*db_));
  TRY(const Micros spent, spent_locked(since_s));
  if (budget - spent < amount)
    return fail(Errc::refused, "{} of the budget of {} micro-units are spent, this costs {}", spent,
                budget, amount);
  {
    TRY(auto clear, db_->prepare("DELETE FROM purchases WHERE id = ?1 AND state = 'void'"));
    CHECK_OK(clear.bind_all(ByteView(one.id)).run());
    TRY(auto insert, db_->prepare("INSERT INTO purchases(id, request, url, header, amount, state, "
                                  "signed_s) VALUES(?,?,?,?,?,?,?)"));
    CHECK_OK(insert
                 .bind_all(ByteView(one.id), ByteView(one.request), one.url,
                           protocol::x402::to_header(one.payment), amount, to_string(one.state),
                           one.signed_s)
                 .run());
  }
  return transaction.commit();
}

Status Purchases::end(const Hash& id, PurchaseState state) {
  const std::lock_guard lock(mutex_);
  TRY(auto update,
      db_->prepare("UPDATE purchases SET state = ?2 WHERE id = ?1 AND state = 'open'"));
  return update.bind_all(ByteView(id), to_string(state)).run();
}

Result<std::vector<Purchase>> Purchases::open_ones() {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare(fmt::format("{}WHERE state = 'open' ORDER BY rowid", kPurchaseFields)));
  return read(select);
}

}  // namespace assay::settle::x402
