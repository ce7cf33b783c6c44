#include "services/gateway/api_sampling.hpp"

#include <algorithm>
#include <bit>

namespace assay::services {
namespace {

// +0 for both zeros: a request has one form only.
std::uint32_t bits_of(double value) {
  return std::bit_cast<std::uint32_t>(static_cast<float>(value) + 0.0f);
}

// Above 0 as a binary32, too.
ApiResult<void> read_positive(const Fields& fields, std::string_view key, double max,
                              std::uint32_t& out) {
  TRY(const auto value, fields.number(key, 0.0, max));
  if (!value) return {};
  if (bits_of(*value) == 0)
    return fields.bad(key, fmt::format("a number above 0 and at most {}", max));
  out = bits_of(*value);
  return {};
}

ApiResult<void> read_between(const Fields& fields, std::string_view key, double min, double max,
                             std::uint32_t& out) {
  TRY(const auto value, fields.number(key, min, max));
  if (value) out = bits_of(*value);
  return {};
}

// Two names for one thing; both only if they agree.
ApiResult<void> read_repetition(const Fields& fields, protocol::Request& out) {
  constexpr double kMax = 10.0;
  CHECK_OK(read_positive(fields, "repetition_penalty", kMax, out.repetition_penalty_bits));
  std::uint32_t alias = out.repetition_penalty_bits;
  CHECK_OK(read_positive(fields, "repeat_penalty", kMax, alias));
  if (fields.find("repetition_penalty") != nullptr && alias != out.repetition_penalty_bits)
    return api_fail(400, "invalid_value", "repeat_penalty",
                    "'repetition_penalty' and 'repeat_penalty' differ: send one of them");
  out.repetition_penalty_bits = alias;
  return {};
}

// Elsewhere both -1 and 0 keep every token.
ApiResult<void> read_top_k(const Fields& fields, protocol::Request& out) {
  const json::value* value = fields.find("top_k");
  if (value == nullptr) return {};
  boost::system::error_code error;
  const auto k = value->to_number<std::int64_t>(error);
  if (error || value->is_double() || k < -1 || k > UINT32_MAX)
    return fields.bad("top_k", "an integer from 1 to 4294967295; 0 or -1 keeps every token");
  out.top_k = k < 0 ? 0 : static_cast<std::uint32_t>(k);
  return {};
}

ApiResult<void> read_bias(const Fields& fields, protocol::Request& out) {
  constexpr double kMax = 100.0;
  const json::value* value = fields.find("logit_bias");
  if (value == nullptr) return {};
  const auto bad = [&] {
    return fields.bad("logit_bias", fmt::format("an object of token ids and numbers between {} and "
                                                "{}, such as {{\"42\": -100}}",
                                                -kMax, kMax));
  };
  const json::object* object = value->if_object();
  if (object == nullptr) return bad();
  for (const auto& [id, number] : *object) {
    const auto token = json::parse_u64(id);
    boost::system::error_code error;
    const double bias = number.to_number<double>(error);
    if (!token || *token > UINT32_MAX || error || !(bias >= -kMax && bias <= kMax)) return bad();
    // 0 changes nothing, and a request has one form only.
    if (bits_of(bias) != 0)
      out.logit_bias.push_back({static_cast<std::uint32_t>(*token), bits_of(bias)});
  }
  if (out.logit_bias.size() > protocol::kLogitBiasMax)
    return api_fail(400, "array_above_max_length", "logit_bias",
                    "'logit_bias' has {} token ids, at most {}", out.logit_bias.size(),
                    protocol::kLogitBiasMax);
  std::ranges::sort(out.logit_bias, {}, &protocol::LogitBias::token);
  return {};
}

ApiResult<std::uint32_t> read_top(const Fields& fields, std::string_view key) {
  TRY(const auto top, fields.count(key, 0));
  if (top && *top > protocol::kTopLogprobsMax)
    return fields.bad(key, fmt::format("an integer from 0 to {}", protocol::kTopLogprobsMax));
  return top.value_or(0);
}

}  // namespace

ApiResult<void> read_filters(const Fields& fields, protocol::Request& out) {
  TRY(const auto given, fields.number("temperature", 0.0, 2.0));
  const double temperature = given.value_or(1.0);
  // Clients send 1e-8 for "greedy"; as a divisor it would only overflow.
  out.temperature_bits = temperature < 1e-4 ? 0 : bits_of(temperature);
  CHECK_OK(read_top_k(fields, out));
  CHECK_OK(read_positive(fields, "top_p", 1.0, out.top_p_bits));
  CHECK_OK(read_between(fields, "min_p", 0.0, 1.0, out.min_p_bits));
  CHECK_OK(read_between(fields, "presence_penalty", -2.0, 2.0, out.presence_penalty_bits));
  CHECK_OK(read_between(fields, "frequency_penalty", -2.0, 2.0, out.frequency_penalty_bits));
  CHECK_OK(read_repetition(fields, out));
  return read_bias(fields, out);
}

ApiResult<std::uint32_t> read_chat_logprobs(const Fields& fields) {
  TRY(const bool asked, fields.boolean("logprobs", false));
  TRY(const std::uint32_t top, read_top(fields, "top_logprobs"));
  if (!asked && top > 0)
    return api_fail(400, "invalid_value", "top_logprobs",
                    "'top_logprobs' needs \"logprobs\": true beside it");
  return asked ? 1 + top : 0;
}

ApiResult<std::uint32_t> read_text_logprobs(const Fields& fields) {
  const json::value* value = fields.find("logprobs");
  if (value == nullptr || *value == json::value(false)) return 0;
  TRY(const std::uint32_t top, read_top(fields, "logprobs"));
  return 1 + top;
}

}  // namespace assay::services
