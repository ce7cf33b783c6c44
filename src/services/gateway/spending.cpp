#include "services/gateway/spending.hpp"

#include "base/hex.hpp"
#include "market/money.hpp"
#include "services/gateway/store.hpp"
#include "services/gateway/store_rows.hpp"

namespace assay::services {

std::string_view to_string(SpendingBy by) {
  switch (by) {
    case SpendingBy::model:
      return "model";
    case SpendingBy::provider:
      return "provider";
    case SpendingBy::key:
      return "key";
  }
  return "?";
}

Result<SpendingBy> parse_spending_by(std::string_view text) {
  for (const SpendingBy by : {SpendingBy::model, SpendingBy::provider, SpendingBy::key})
    if (text == to_string(by)) return by;
  return fail(Errc::invalid, "spending is reported by model, provider or key, not by '{}'",
              text.substr(0, 40));
}

std::optional<Micros> per_verified(const Spending& spending) {
  if (spending.verified == 0) return std::nullopt;
  const auto answers = static_cast<Micros>(spending.verified);
  return (spending.settled + spending.owed + answers - 1) / answers;
}

json::object to_json(const Spending& spending) {
  const auto price = per_verified(spending);
  return {
      {"of", spending.of},
      {"answers", spending.answers},
      {"verified", spending.verified},
      {"refunded", spending.refunded},
      {"tokens_in", spending.tokens_in},
      {"tokens_out", spending.tokens_out},
      {"settled", market::format_money(spending.settled)},
      {"owed", market::format_money(spending.owed)},
      {"open", market::format_money(spending.open)},
      {"rebated", market::format_money(spending.rebated)},
      {"rebates_refused", spending.rebates_refused},
      {"per_verified_answer", price ? json::value(market::format_money(*price)) : json::value()}};
}

Result<std::vector<Spending>> Store::spending(SpendingBy by, std::int64_t since_s) {
  const std::lock_guard lock(mutex_);
  constexpr std::string_view kGroups[] = {"r.model", "l.provider", "r.api_key"};
  TRY(auto select,
      db_->prepare(fmt::format(
          "SELECT {0} AS of, SUM(statement_kind <> '' AND r.stage <> 'signed'), "
          "SUM(audit = 'match'), SUM(r.stage = 'refunded'), "
          "SUM(CASE WHEN statement_kind <> '' THEN "
          "CAST(json_extract(request, '$.message.prompt_count') AS INTEGER) ELSE 0 END), "
          "SUM(CASE WHEN statement_kind <> '' THEN "
          "CAST(json_extract(statement, '$.message.count') AS INTEGER) ELSE 0 END), "
          "SUM(CASE WHEN r.stage = 'settled' THEN {1} ELSE 0 END), "
          "SUM(CASE WHEN r.stage IN ('signed', 'expired', 'refunded', 'settled') THEN 0 "
          "ELSE {1} END), "
          "SUM(CASE WHEN r.stage = 'signed' THEN cap ELSE 0 END), SUM(r.amount - {1}), "
          "SUM(EXISTS(SELECT 1 FROM rebates b WHERE b.request = r.id AND b.state IN ('refused', "
          "'unanswered', 'broken'))) "
          "FROM requests r JOIN leases l ON l.id = r.lease WHERE r.created_s >= ?1 "
          "GROUP BY of ORDER BY 7 DESC, of",
          kGroups[static_cast<std::size_t>(by)], rows::kNetAmount)));
  select.bind_all(since_s);
  std::vector<Spending> out;
  while (true) {
    TRY(const bool row, select.step());
    if (!row) return out;
    Spending one;
    if (by == SpendingBy::provider) {
      TRY(const auto provider, Address::parse(to_hex(select.column_blob(0))));
      one.of = provider.to_string();
    } else {
      one.of = select.column_text(0);
    }
    const auto number = [&](int column) {
      return static_cast<std::uint64_t>(select.column_int64(column));
    };
    one.answers = number(1);
    one.verified = number(2);
    one.refunded = number(3);
    one.tokens_in = number(4);
    one.tokens_out = number(5);
    one.settled = select.column_int64(6);
    one.owed = select.column_int64(7);
    one.open = select.column_int64(8);
    one.rebated = select.column_int64(9);
    one.rebates_refused = number(10);
    out.push_back(std::move(one));
  }
}

Result<std::vector<Store::StageTotal>> Store::stage_totals() {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare("SELECT stage, COUNT(*), SUM(amount) FROM requests GROUP BY stage"));
  std::vector<StageTotal> out;
  while (true) {
    TRY(const bool row, select.step());
    if (!row) return out;
    out.push_back({std::string(select.column_text(0)),
                   static_cast<std::uint64_t>(select.column_int64(1)), select.column_int64(2)});
  }
}

}  // namespace assay::services
