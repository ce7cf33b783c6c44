// Keys that clients of one gateway carry, and what each may spend. As long as none was ever made,
// whoever reaches the port may ask; from the first on, nobody without one.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "services/gateway/records.hpp"

namespace assay::services {

enum class Period { ever, day, month };  // UTC
std::string_view to_string(Period period);
Result<Period> parse_period(std::string_view text);
// When the period that holds `now_s` began, Unix time; ever: 0.
std::int64_t period_start(Period period, std::int64_t now_s);

struct ApiKey {
  std::string id;    // "key_…", what lists and reports say
  std::string name;  // the owner's word for it
  std::int64_t created_s = 0;
  std::optional<std::int64_t> revoked_s{};
  std::optional<Micros> budget{};  // most spent within one period; none: what the account has
  Period period = Period::ever;
  std::optional<std::uint32_t> requests_per_min{}, tokens_per_min{};
};

// What of a budget is kept for requests that are yet to be signed (Store::reserve).
struct Reservation {
  Micros left = 0;
};

// Whose money a request is counted against: what Store checks before it gives out a sequence.
struct Spender {
  std::string api_key{};  // its id; "": no keys are in use
  std::optional<Micros> budget{};
  std::int64_t since_s = 0;                 // the period's start
  std::shared_ptr<Reservation> reserved{};  // its own part of the budget; null: none is kept
};

// What a client sends as "Authorization: Bearer …", 256 random bits. Only its hash is kept.
std::string new_api_key();
Hash api_key_hash(std::string_view secret);
std::string new_api_key_id();
json::object to_json(const ApiKey& key);

}  // namespace assay::services
