// The members of one JSON object of an API body; errors name the field as OpenAI's do.
#pragma once
#include <initializer_list>

#include "services/gateway/api_request.hpp"

namespace assay::services {

class Fields {
 public:
  // `name` is how errors call the object. The value must outlive the view.
  static ApiResult<Fields> of(const json::value& value, std::string name);

  const json::object& object() const { return *object_; }
  const json::value* find(std::string_view key) const;  // null and absent are the same
  // unknown_parameter for any other key.
  ApiResult<void> only(std::initializer_list<std::string_view> keys) const;

  ApiResult<std::string> text(std::string_view key) const;  // required
  ApiResult<bool> boolean(std::string_view key, bool fallback) const;
  ApiResult<std::optional<double>> number(std::string_view key, double min, double max) const;
  ApiResult<std::optional<std::uint32_t>> count(std::string_view key, std::uint32_t min) const;
  // Any 64-bit integer; a negative one stands for its two's complement.
  ApiResult<std::optional<std::uint64_t>> seed(std::string_view key) const;
  ApiResult<std::vector<std::string>> texts(std::string_view key) const;

  std::unexpected<ApiError> bad(std::string_view key, std::string_view expected) const;

 private:
  Fields(const json::object* object, std::string name) : object_(object), name_(std::move(name)) {}
  std::string path(std::string_view key) const;
  const json::object* object_;
  std::string name_;
};

// The body's `provider` object: {max_price {prompt, completion}, min_vram_gb | min_vram_mib,
// min_stake, min_rebate, max_latency_ms (to the first token, or {first_token, per_token}),
// hedge_ms, regions, quantizations, only, ignore, order, allow_fallbacks, sort, verification}.
// Prices are whole coins per million tokens, as number or decimal text.
ApiResult<Routing> parse_routing(const json::value& provider);

}  // namespace assay::services
