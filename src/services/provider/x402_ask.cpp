#include "services/provider/x402_ask.hpp"

#include <array>
#include <bit>

namespace assay::services {
namespace {

constexpr double kTemperatureMax = 2.0;

constexpr std::array<std::string_view, 10> kKnown = {
    "model",       "messages", "prompt", "max_tokens", "max_completion_tokens",
    "temperature", "top_p",    "seed",   "stream",     "n"};

// Null and absent are the same.
const json::value* find_member(const json::object& o, std::string_view key) {
  const json::value* value = o.if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Status read_number(const json::object& o, std::string_view key, double max, bool zero,
                   std::uint32_t& bits) {
  const json::value* value = find_member(o, key);
  if (value == nullptr) return {};
  boost::system::error_code error;
  const double number = value->to_number<double>(error);
  // +0 for both zeros: a request has one form only.
  const float narrow = static_cast<float>(number) + 0.0f;
  if (error || !(number >= 0 && number <= max) || (narrow == 0 && !zero))
    return fail(Errc::invalid, "'{}' must be a number {} 0 and at most {}", key,
                zero ? "of at least" : "above", max);
  bits = std::bit_cast<std::uint32_t>(narrow);
  return {};
}

Result<std::optional<std::uint64_t>> read_count(const json::object& o, std::string_view key,
                                                std::uint64_t max) {
  const json::value* value = find_member(o, key);
  if (value == nullptr) return std::nullopt;
  boost::system::error_code error;
  const auto n = value->to_number<std::uint64_t>(error);
  if (error || value->is_double() || n > max)
    return fail(Errc::invalid, "'{}' must be an integer from 0 to {}", key, max);
  return n;
}

// What is the same for both.
Result<X402Ask> read(const json::object& o) {
  for (const auto& member : o)
    if (std::ranges::find(kKnown, std::string_view(member.key())) == kKnown.end())
      return fail(Errc::unsupported, "'{}' is not read here: ask through `assay gateway`",
                  std::string_view(member.key()));
  if (const json::value* stream = find_member(o, "stream"); stream != nullptr && *stream != false)
    return fail(Errc::unsupported, "answers are sent whole here: leave 'stream' out");
  TRY(const auto n, read_count(o, "n", UINT32_MAX));
  if (n && *n != 1) return fail(Errc::unsupported, "one answer is given here: leave 'n' out");
  X402Ask out;
  TRY(out.model, json::get_string(o, "model"));
  for (const std::string_view key : {"max_tokens", "max_completion_tokens"}) {
    TRY(const auto most, read_count(o, key, UINT32_MAX));
    if (most && *most == 0) return fail(Errc::invalid, "'{}' must be at least 1", key);
    if (most) out.max_tokens = static_cast<std::uint32_t>(*most);
  }
  TRY(out.seed, read_count(o, "seed", UINT64_MAX));
  out.sampling.temperature_bits = std::bit_cast<std::uint32_t>(1.0f);
  CHECK_OK(read_number(o, "temperature", kTemperatureMax, true, out.sampling.temperature_bits));
  CHECK_OK(read_number(o, "top_p", 1.0, false, out.sampling.top_p_bits));
  return out;
}

Result<json::object> object_of(std::string_view body) {
  TRY(const json::value parsed, json::parse(body));
  TRY(const json::object* o, json::as_object(parsed, "the request body"));
  return *o;
}

}  // namespace

Result<X402Ask> x402_ask_from_chat(std::string_view body) {
  TRY(const json::object o, object_of(body));
  TRY(X402Ask out, read(o));
  if (o.contains("prompt")) return fail(Errc::invalid, "'prompt' belongs to /v1/completions");
  TRY(const json::array* all, json::get_array(o, "messages"));
  std::vector<engine::ChatMessage> messages;
  for (const json::value& value : *all) {
    TRY(const json::object* message, json::as_object(value, "a message"));
    for (const auto& member : *message)
      if (member.key() != "role" && member.key() != "content")
        return fail(Errc::unsupported,
                    "a message's '{}' is not read here: ask through `assay "
                    "gateway`",
                    std::string_view(member.key()));
    engine::ChatMessage read;
    TRY(read.role, json::get_string(*message, "role"));
    TRY(read.content, json::get_string(*message, "content"));
    messages.push_back(std::move(read));
  }
  if (messages.empty()) return fail(Errc::invalid, "'messages' is empty");
  out.prompt = std::move(messages);
  return out;
}

Result<X402Ask> x402_ask_from_text(std::string_view body) {
  TRY(const json::object o, object_of(body));
  TRY(X402Ask out, read(o));
  if (o.contains("messages"))
    return fail(Errc::invalid, "'messages' belongs to /v1/chat/completions");
  TRY(out.prompt, json::get_string(o, "prompt"));
  return out;
}

}  // namespace assay::services
