#include "services/gateway/api_keys.hpp"

#include <chrono>

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "io/random.hpp"
#include "market/money.hpp"

namespace assay::services {

std::string_view to_string(Period period) {
  switch (period) {
    case Period::ever:
      return "ever";
    case Period::day:
      return "day";
    case Period::month:
      return "month";
  }
  return "?";
}

Result<Period> parse_period(std::string_view text) {
  for (const Period period : {Period::ever, Period::day, Period::month})
    if (text == to_string(period)) return period;
  return fail(Errc::invalid, "a budget is per day, month or ever, not per '{}'",
              text.substr(0, 40));
}

std::int64_t period_start(Period period, std::int64_t now_s) {
  using namespace std::chrono;
  if (period == Period::ever) return 0;
  const auto day = floor<days>(sys_seconds(seconds(now_s)));
  if (period == Period::day) return sys_seconds(day).time_since_epoch().count();
  const year_month_day date(day);
  return sys_seconds(sys_days(date.year() / date.month() / 1)).time_since_epoch().count();
}

std::string new_api_key() { return "sk-assay-" + to_hex_bare(io::random_hash()); }

std::string new_api_key_id() { return "key_" + to_hex_bare(io::random_hash()).substr(0, 12); }

// A plain hash will do: nobody searches 256 random bits.
Hash api_key_hash(std::string_view secret) { return crypto::sha256(view(secret)); }

json::object to_json(const ApiKey& key) {
  const auto optional = [](const auto& value) {
    return value ? json::value(*value) : json::value();
  };
  return {{"id", key.id},
          {"name", key.name},
          {"created", key.created_s},
          {"revoked", optional(key.revoked_s)},
          {"budget", key.budget ? json::value(market::format_money(*key.budget)) : json::value()},
          {"per", key.budget ? json::value(to_string(key.period)) : json::value()},
          {"requests_per_minute", optional(key.requests_per_min)},
          {"tokens_per_minute", optional(key.tokens_per_min)}};
}

}  // namespace assay::services
