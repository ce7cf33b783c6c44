#include "services/gateway/api_fields.hpp"

#include <algorithm>
#include <cmath>

namespace assay::services {

ApiResult<Fields> Fields::of(const json::value& value, std::string name) {
  if (const auto* object = value.if_object()) return Fields(object, std::move(name));
  return api_fail(400, "invalid_type", name == "body" ? "" : name, "the {} must be a JSON object",
                  name);
}

std::string Fields::path(std::string_view key) const {
  return name_ == "body" ? std::string(key) : fmt::format("{}.{}", name_, key);
}

std::unexpected<ApiError> Fields::bad(std::string_view key, std::string_view expected) const {
  const bool missing = find(key) == nullptr;
  return api_fail(400, missing ? "missing_required_parameter" : "invalid_value", path(key),
                  "'{}' {} {}", path(key), missing ? "is missing: it must be" : "must be",
                  expected);
}

const json::value* Fields::find(std::string_view key) const {
  const json::value* value = object_->if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

ApiResult<void> Fields::only(std::initializer_list<std::string_view> keys) const {
  for (const auto& member : *object_)
    if (std::find(keys.begin(), keys.end(), std::string_view(member.key())) == keys.end())
      return api_fail(400, "unknown_parameter", path(member.key()),
                      "Unrecognized request argument supplied: {}", path(member.key()));
  return {};
}

ApiResult<std::string> Fields::text(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr || !value->is_string()) return bad(key, "a string");
  return std::string(value->get_string());
}

ApiResult<bool> Fields::boolean(std::string_view key, bool fallback) const {
  const json::value* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_bool()) return bad(key, "true or false");
  return value->get_bool();
}

ApiResult<std::optional<double>> Fields::number(std::string_view key, double min,
                                                double max) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  boost::system::error_code error;
  const double n = value->to_number<double>(error);
  if (error || !(n >= min && n <= max))
    return bad(key, fmt::format("a number between {} and {}", min, max));
  return n;
}

ApiResult<std::optional<std::uint32_t>> Fields::count(std::string_view key,
                                                      std::uint32_t min) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  boost::system::error_code error;
  const auto n = value->to_number<std::uint32_t>(error);
  if (error || value->is_double() || n < min)
    return bad(key, fmt::format("an integer of at least {}", min));
  return n;
}

ApiResult<std::optional<std::uint64_t>> Fields::seed(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_uint64()) return value->get_uint64();
  if (value->is_int64()) return static_cast<std::uint64_t>(value->get_int64());
  return bad(key, "a 64-bit integer");
}

ApiResult<std::vector<std::string>> Fields::texts(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::vector<std::string>{};
  if (!value->is_array()) return bad(key, "an array of strings");
  std::vector<std::string> out;
  for (const json::value& item : value->get_array()) {
    if (!item.is_string()) return bad(key, "an array of strings");
    out.emplace_back(item.get_string());
  }
  return out;
}

}  // namespace assay::services
