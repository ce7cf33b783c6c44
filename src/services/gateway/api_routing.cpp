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
    return fields.bad(key, "a price as number or decimal text");
  }
  auto price = market::parse_money(text);
  if (!price)
    return fields.bad(key, fmt::format("a price per million tokens ({})", price.error().message));
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

}  // namespace

ApiResult<Routing> parse_routing(const json::value& provider) {
  TRY(const Fields fields, Fields::of(provider, "provider"));
  CHECK_OK(fields.only({"max_price", "min_vram_gb", "min_vram_mib", "max_latency_ms", "regions",
                        "only", "ignore", "order", "allow_fallbacks"}));
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
  TRY(out.max_latency_ms, fields.count("max_latency_ms", 1));
  TRY(out.regions, fields.texts("regions"));
  TRY(out.only, read_addresses(fields, "only"));
  TRY(out.ignore, read_addresses(fields, "ignore"));
  TRY(out.order, read_addresses(fields, "order"));
  TRY(out.allow_fallbacks, fields.boolean("allow_fallbacks", true));
  return out;
}

}  // namespace assay::services
