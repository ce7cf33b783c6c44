#include <limits>

#include "services/gateway/store.hpp"
#include "services/gateway/store_rows.hpp"

namespace assay::services {
namespace {

constexpr std::string_view kColumns =
    "id, name, created_s, revoked_s, budget, period, requests_per_min, tokens_per_min";

template <class T>
void bind_optional(io::Statement& statement, int index, const std::optional<T>& value) {
  if (value) {
    statement.bind(index, static_cast<std::int64_t>(*value));
  } else {
    statement.bind_null(index);
  }
}

Result<ApiKey> read_key(const io::Statement& row) {
  ApiKey out;
  out.id = row.column_text(0);
  out.name = row.column_text(1);
  out.created_s = row.column_int64(2);
  if (!row.column_is_null(3)) out.revoked_s = row.column_int64(3);
  if (!row.column_is_null(4)) out.budget = row.column_int64(4);
  TRY(out.period, parse_period(row.column_text(5)));
  if (!row.column_is_null(6))
    out.requests_per_min = static_cast<std::uint32_t>(row.column_int64(6));
  if (!row.column_is_null(7)) out.tokens_per_min = static_cast<std::uint32_t>(row.column_int64(7));
  return out;
}

}  // namespace

Status Store::add_api_key(const ApiKey& key, const Hash& hash) {
  const std::lock_guard lock(mutex_);
  TRY(auto insert, db_->prepare(fmt::format(
                       "INSERT INTO api_keys({}, hash) VALUES(?,?,?,?,?,?,?,?,?)", kColumns)));
  insert.bind_all(key.id, key.name, key.created_s);
  bind_optional(insert, 4, key.revoked_s);
  bind_optional(insert, 5, key.budget);
  insert.bind(6, to_string(key.period));
  bind_optional(insert, 7, key.requests_per_min);
  bind_optional(insert, 8, key.tokens_per_min);
  insert.bind(9, ByteView(hash));
  const Status added = insert.run();
  if (!added && added.error().code == Errc::conflict)
    return fail(Errc::conflict,
                "there is a key named '{}' in use: revoke it or choose another name", key.name);
  return added;
}

Result<std::vector<ApiKey>> Store::api_keys() {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare(fmt::format("SELECT {} FROM api_keys ORDER BY rowid", kColumns)));
  std::vector<ApiKey> out;
  while (true) {
    TRY(const bool row, select.step());
    if (!row) return out;
    TRY(ApiKey key, read_key(select));
    out.push_back(std::move(key));
  }
}

Result<bool> Store::uses_api_keys() {
  const std::lock_guard lock(mutex_);
  TRY(const auto any, db_->query_int64("SELECT EXISTS(SELECT 1 FROM api_keys)"));
  return any.value_or(0) != 0;
}

Result<std::optional<ApiKey>> Store::api_key(const Hash& hash) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare(fmt::format("SELECT {} FROM api_keys WHERE hash = ?1", kColumns)));
  select.bind_all(ByteView(hash));
  TRY(const bool row, select.step());
  if (!row) return std::nullopt;
  return read_key(select);
}

Status Store::revoke_api_key(const std::string& id_or_name, std::int64_t now_s) {
  const std::lock_guard lock(mutex_);
  TRY(auto update, db_->prepare("UPDATE api_keys SET revoked_s = ?2 WHERE (id = ?1 OR name = ?1) "
                                "AND revoked_s IS NULL"));
  CHECK_OK(update.bind_all(id_or_name, now_s).run());
  if (db_->changes() == 0)
    return fail(Errc::not_found, "no key in use has the id or name '{}': see `keys list`",
                id_or_name);
  return {};
}

Result<Micros> Store::spent(const Spender& spender) {
  const std::lock_guard lock(mutex_);
  return spent_locked(spender);
}

// Open requests with all they may cost, so that many at once cannot go over together.
Result<io::Statement> Store::select_spent(std::string_view which) {
  return db_->prepare(
      fmt::format("SELECT COALESCE(SUM(CASE r.stage WHEN 'signed' THEN r.cap WHEN 'expired' THEN 0 "
                  "WHEN 'refunded' THEN 0 ELSE {} END), 0) FROM requests r WHERE {}",
                  rows::kNetAmount, which));
}

Result<Micros> Store::spent_locked(const Spender& spender) {
  TRY(auto select, select_spent("r.api_key = ?1 AND r.created_s >= ?2"));
  select.bind_all(spender.api_key, spender.since_s);
  TRY(const bool row, select.step());
  Micros sum = row ? select.column_int64(0) : 0;
  const auto kept = reserved_.find(spender.api_key);
  if (kept == reserved_.end()) return sum;
  std::erase_if(kept->second, [](const auto& one) { return one.expired(); });
  for (const auto& one : kept->second)
    if (const auto held = one.lock(); held && held != spender.reserved) sum += held->left;
  return sum;
}

Result<std::vector<std::shared_ptr<Reservation>>> Store::reserve(const Spender& spender,
                                                                 std::span<const Micros> amounts) {
  const std::lock_guard lock(mutex_);
  TRY(const Micros spent, spent_locked(spender));
  Micros left = spender.budget.value_or(std::numeric_limits<Micros>::max()) - spent;
  std::vector<std::shared_ptr<Reservation>> out;
  for (const Micros amount : amounts) {
    if (amount > left) return fail(Errc::refused, "the key's budget is used up");
    left -= amount;
    out.push_back(std::make_shared<Reservation>(Reservation{amount}));
  }
  auto& kept = reserved_[spender.api_key];
  kept.insert(kept.end(), out.begin(), out.end());
  return out;
}

}  // namespace assay::services
