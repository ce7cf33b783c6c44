#include <cmath>

#include "market/money.hpp"
#include "services/gateway/api_fields.hpp"

namespace assay::services {
namespace {

ApiResult<std::optional<protocol::Micros>> read_price(const Fields& fields, std::string_view key) {
  const json::value* value = fields.find(key);
  if (value == nullptr) return std::nullopt;
  std::string text;
  if (value->is_string()) {
    text = value->get_string();
  } else if (value->is_number()) {
    text = fmt::format("{}", value->to_number<double>());
  } else {
    return fields.bad(key, "money as number or decimal text");
  }
  auto price = market::parse_money(text);
  if (!price) return fields.bad(key, fmt::format("an amount of money ({})", price.error().message));
  return *price;
}

ApiResult<std::vector<protocol::Address>> read_addresses(const Fields& fields,
                                                         std::string_view key) {
  TRY(const std::vector<std::string> texts, fields.texts(key));
  std::vector<protocol::Address> out;
  for (const std::string& text : texts) {
    auto address = protocol::Address::parse(text);
    if (!address)
      return fields.bad(key,
                        fmt::format("made of provider addresses ({})", address.error().message));
    out.push_back(*address);
  }
  return out;
}

// An empty list would let nobody answer, or everybody.
ApiResult<void> refuse_empty(const Fields& fields, std::initializer_list<std::string_view> lists) {
  for (const std::string_view key : lists)
    if (const json::value* value = fields.find(key);
        value != nullptr && value->is_array() && value->get_array().empty())
      return fields.bad(key, "a list of at least one: leave it out for any");
  return {};
}

// A number, or an object of two.
ApiResult<void> read_latency(const Fields& fields, Routing& out) {
  const json::value* value = fields.find("max_latency_ms");
  if (value == nullptr || !value->is_object()) {
    TRY(out.max_latency_ms, fields.count("max_latency_ms", 1));
    return {};
  }
  TRY(const Fields latency, Fields::of(*value, "provider.max_latency_ms"));
  CHECK_OK(latency.only({"first_token", "per_token"}));
  TRY(out.max_latency_ms, latency.count("first_token", 1));
  TRY(out.max_per_token_ms, latency.count("per_token", 1));
  return {};
}

}  // namespace

ApiResult<Routing> parse_routing(const json::value& provider) {
  TRY(const Fields fields, Fields::of(provider, "provider"));
  CHECK_OK(fields.only({"max_price", "min_vram_gb", "min_vram_mib", "min_stake", "min_rebate",
                        "max_latency_ms", "hedge_ms", "regions", "quantizations", "only", "ignore",
                        "order", "allow_fallbacks", "sort", "verification"}));
  CHECK_OK(refuse_empty(fields, {"only", "regions", "quantizations"}));
  Routing out;
  if (const json::value* prices = fields.find("max_price")) {
    TRY(const Fields price, Fields::of(*prices, "provider.max_price"));
    CHECK_OK(price.only({"prompt", "completion"}));
    TRY(out.max_price_in, read_price(price, "prompt"));
    TRY(out.max_price_out, read_price(price, "completion"));
  }
  TRY(out.min_vram_mib, fields.count("min_vram_mib", 0));
  TRY(const auto gib, fields.number("min_vram_gb", 0.0, 1 << 20));
  if (gib && !out.min_vram_mib) out.min_vram_mib = static_cast<std::uint32_t>(*gib * 1024.0);
  CHECK_OK(read_latency(fields, out));
  TRY(out.min_stake, read_price(fields, "min_stake"));
  // Percent of an answer's price.
  TRY(const auto rebate, fields.number("min_rebate", 0.0, protocol::kRebateMax / 1e4));
  if (rebate) out.min_rebate_ppm = static_cast<std::uint32_t>(std::lround(*rebate * 1e4));
  TRY(out.hedge_ms, fields.count("hedge_ms", 0));
  TRY(out.regions, fields.texts("regions"));
  TRY(out.quantizations, fields.texts("quantizations"));
  TRY(out.only, read_addresses(fields, "only"));
  TRY(out.ignore, read_addresses(fields, "ignore"));
  TRY(out.order, read_addresses(fields, "order"));
  TRY(out.allow_fallbacks, fields.boolean("allow_fallbacks", true));
  if (fields.find("sort") != nullptr) {
    TRY(const std::string name, fields.text("sort"));
    const auto sort = market::parse_sort(name);
    if (!sort) return fields.bad("sort", "balanced, price, throughput or latency");
    out.sort = *sort;
  }
  if (fields.find("verification") != nullptr) {
    TRY(const std::string name, fields.text("verification"));
    TRY(out.proof, parse_proof(name, "provider.verification"));
  }
  return out;
}

}  // namespace assay::services
