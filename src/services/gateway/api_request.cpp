#include "services/gateway/api_request.hpp"

#include <algorithm>
#include <cmath>

#include "services/gateway/api_fields.hpp"
#include "services/gateway/api_sampling.hpp"

namespace assay::services {
namespace {

constexpr std::size_t kStopMax = 4;
constexpr std::size_t kMessagesMax = 2048;

constexpr std::string_view kShared[] = {"model",
                                        "stream",
                                        "stream_options",
                                        "temperature",
                                        "top_p",
                                        "top_k",
                                        "min_p",
                                        "presence_penalty",
                                        "frequency_penalty",
                                        "repetition_penalty",
                                        "repeat_penalty",
                                        "logit_bias",
                                        "logprobs",
                                        "seed",
                                        "max_tokens",
                                        "stop",
                                        "n",
                                        "provider",
                                        "verification"};
constexpr std::string_view kChatOnly[] = {
    "messages", "max_completion_tokens", "top_logprobs",       "response_format",
    "tools",    "tool_choice",           "parallel_tool_calls"};
// They change nothing about the answer: labels, or promises of the service they were made for.
constexpr std::string_view kHarmless[] = {"user",
                                          "store",
                                          "metadata",
                                          "safety_identifier",
                                          "service_tier",
                                          "prompt_cache_key",
                                          "prompt_cache_retention"};

template <std::size_t N>
bool one_of(std::string_view key, const std::string_view (&keys)[N]) {
  return std::find(std::begin(keys), std::end(keys), key) != std::end(keys);
}

// Fields that exist in OpenAI's API and that nothing here can honour, unless they ask for nothing.
bool asks_for_nothing(std::string_view key, const json::value& value) {
  if (value.is_null()) return true;
  if (const auto* a = value.if_array(); a != nullptr && a->empty()) return true;
  // An empty one switches a search on, with its defaults.
  if (const auto* o = value.if_object(); o != nullptr && o->empty())
    return key != "web_search_options";
  if (const auto* b = value.if_bool(); b != nullptr && !*b) return true;
  if (key == "best_of") return value.is_number() && value.to_number<double>() == 1.0;
  if (key == "top_logprobs") return value.is_number() && value.to_number<double>() == 0.0;
  if (key == "suffix" || key == "tool_choice" || key == "function_call")
    return value.is_string() && (value.get_string().empty() || value.get_string() == "none");
  if (key == "parallel_tool_calls") return true;  // without tools it says nothing
  if (key == "modalities") return value == json::value(json::array{"text"});
  if (key == "response_format")
    return value.is_object() && value.get_object().contains("type") &&
           value.get_object().at("type") == "text";
  return false;
}

constexpr std::string_view kUnsupported[] = {"audio",
                                             "best_of",
                                             "echo",
                                             "function_call",
                                             "functions",
                                             "modalities",
                                             "moderation",
                                             "parallel_tool_calls",
                                             "prediction",
                                             "reasoning_effort",
                                             "response_format",
                                             "suffix",
                                             "tool_choice",
                                             "tools",
                                             "top_logprobs",
                                             "verbosity",
                                             "web_search_options"};

ApiResult<void> read_stop(const Fields& fields, ApiRequest& out) {
  const json::value* value = fields.find("stop");
  if (value == nullptr) return {};
  if (const auto* s = value->if_string()) {
    out.stop.emplace_back(*s);
  } else if (const auto* a = value->if_array()) {
    for (const json::value& item : *a) {
      if (!item.is_string()) return fields.bad("stop", "a string or an array of strings");
      out.stop.emplace_back(item.get_string());
    }
  } else {
    return fields.bad("stop", "a string or an array of strings");
  }
  if (out.stop.size() > kStopMax)
    return api_fail(400, "array_above_max_length", "stop", "'stop' has {} strings, at most {}",
                    out.stop.size(), kStopMax);
  for (const std::string& stop : out.stop)
    if (stop.empty()) return fields.bad("stop", "made of non-empty strings");
  return {};
}

ApiResult<void> read_stream(const Fields& fields, ApiRequest& out) {
  TRY(out.stream, fields.boolean("stream", false));
  const json::value* options = fields.find("stream_options");
  if (options == nullptr) return {};
  if (!out.stream)
    return api_fail(400, "invalid_value", "stream_options",
                    "'stream_options' is only allowed with \"stream\": true");
  TRY(const Fields inner, Fields::of(*options, "stream_options"));
  CHECK_OK(inner.only({"include_usage", "include_obfuscation"}));
  TRY(out.include_usage, inner.boolean("include_usage", false));
  return {};
}

ApiResult<void> read_sampling(const Fields& fields, ApiRequest& out) {
  CHECK_OK(read_filters(fields, out.sampling));
  TRY(out.seed, fields.seed("seed"));
  TRY(out.max_tokens, fields.count("max_tokens", 1));
  TRY(const auto n, fields.count("n", 1));
  if (n && *n > kChoicesMax)
    return api_fail(400, "invalid_value", "n", "'n' is {}, at most {} answers come at once", *n,
                    kChoicesMax);
  out.n = n.value_or(1);
  return {};
}

ApiResult<ApiRequest> read_shared(const Fields& fields, ApiRequest::Kind kind) {
  for (const auto& [key_view, value] : fields.object()) {
    const std::string_view key = key_view;
    if (one_of(key, kShared) || one_of(key, kHarmless)) continue;
    if (kind == ApiRequest::Kind::chat ? one_of(key, kChatOnly) : key == "prompt") continue;
    if (!one_of(key, kUnsupported))
      return api_fail(400, "unknown_parameter", std::string(key),
                      "Unrecognized request argument supplied: {}", key);
    if (!asks_for_nothing(key, value))
      return api_fail(400, "unsupported_parameter", std::string(key),
                      "'{}' is not supported by canonical execution yet: leave it out", key);
  }
  ApiRequest out;
  out.kind = kind;
  TRY(out.model, fields.text("model"));
  TRY(out.sampling.logprobs,
      kind == ApiRequest::Kind::chat ? read_chat_logprobs(fields) : read_text_logprobs(fields));
  CHECK_OK(read_stream(fields, out));
  CHECK_OK(read_sampling(fields, out));
  CHECK_OK(read_stop(fields, out));
  if (const json::value* provider = fields.find("provider")) {
    TRY(out.routing, parse_routing(*provider));
  }
  if (fields.find("verification") != nullptr) {
    const json::value* provider = fields.find("provider");
    if (provider != nullptr && provider->get_object().contains("verification"))
      return api_fail(400, "invalid_value", "verification",
                      "'verification' and 'provider.verification' are one setting: send one");
    TRY(const std::string name, fields.text("verification"));
    TRY(out.routing.proof, parse_proof(name, "verification"));
  }
  out.delivery = out.routing.proof.delivery;
  return out;
}

ApiResult<std::string> read_content(const json::value& content, const std::string& where) {
  if (const auto* s = content.if_string()) return std::string(*s);
  const auto* parts = content.if_array();
  if (parts == nullptr)
    return api_fail(400, "invalid_type", where, "'{}' must be a string or an array of text parts",
                    where);
  std::string text;
  for (const json::value& part : *parts) {
    TRY(const Fields fields, Fields::of(part, where));
    TRY(const std::string type, fields.text("type"));
    if (type != "text")
      return api_fail(400, "unsupported_value", where,
                      "'{}' has a part of type '{}': only text is supported", where, type);
    CHECK_OK(fields.only({"type", "text"}));
    TRY(const std::string piece, fields.text("text"));
    text += piece;
  }
  return text;
}

ApiResult<engine::ChatMessage> read_message(const json::value& value, std::size_t index) {
  const std::string where = fmt::format("messages[{}]", index);
  TRY(const Fields fields, Fields::of(value, where));
  for (const auto& [key_view, member] : fields.object()) {
    const std::string_view key = key_view;
    if (key == "role" || key == "content" || key == "tool_calls" || key == "tool_call_id") continue;
    // An answer handed back by a client library carries these, empty.
    if (asks_for_nothing(key, member)) continue;
    return api_fail(400, "unsupported_parameter", where,
                    "'{}.{}' is not supported: send role and content", where, key);
  }
  engine::ChatMessage message;
  TRY(message.role, fields.text("role"));
  if (message.role == "developer") message.role = "system";
  if (message.role != "system" && message.role != "user" && message.role != "assistant" &&
      message.role != "tool")
    return api_fail(400, "invalid_value", where + ".role",
                    "'{}.role' is '{}': use system, developer, user, assistant or tool", where,
                    message.role);
  TRY(message.more, read_calls(fields, message.role, where));
  const json::value* content = fields.find("content");
  if (content == nullptr && message.more.contains("tool_calls")) return message;
  if (content == nullptr)
    return api_fail(400, "missing_required_parameter", where + ".content",
                    "'{}.content' is missing", where);
  TRY(message.content, read_content(*content, where + ".content"));
  return message;
}

ApiResult<Fields> read_body(std::string_view body, json::value& storage) {
  auto parsed = json::parse(body);
  if (!parsed)
    return api_fail(400, "invalid_json", "", "the body cannot be read: {}", parsed.error().message);
  storage = std::move(*parsed);
  return Fields::of(storage, "body");
}

}  // namespace

std::string_view to_string(Delivery delivery) {
  return delivery == Delivery::verify_before_stream ? "verify-before-stream" : "stream-then-verify";
}

ApiResult<Proof> parse_proof(std::string_view name, const std::string& param) {
  constexpr std::string_view kReplicate = "replicate:";
  Proof out;
  for (const Delivery delivery : {Delivery::stream_then_verify, Delivery::verify_before_stream})
    if (name == to_string(delivery)) {
      out.delivery = delivery;
      return out;
    }
  if (name == "audit") {
    out.always_audited = true;
    return out;
  }
  if (name == "tee") {
    out.evidence = true;
    return out;
  }
  if (name.starts_with(kReplicate)) {
    const auto replicas = json::parse_u64(name.substr(kReplicate.size()));
    if (!replicas || *replicas < 2 || *replicas > kReplicasMax)
      return api_fail(400, "invalid_value", param,
                      "'{}' is '{}': replicate:2 to replicate:{} ask so many providers", param,
                      name, kReplicasMax);
    out.replicas = static_cast<std::uint32_t>(*replicas);
    return out;
  }
  return api_fail(400, "invalid_value", param,
                  "'{}' is '{}': use audit, replicate:2, tee, stream-then-verify or "
                  "verify-before-stream",
                  param, name);
}

ApiResult<ApiRequest> parse_chat_request(std::string_view body) {
  json::value storage;
  TRY(const Fields fields, read_body(body, storage));
  TRY(ApiRequest out, read_shared(fields, ApiRequest::Kind::chat));
  TRY(const auto completion, fields.count("max_completion_tokens", 1));
  if (completion && out.max_tokens && *completion != *out.max_tokens)
    return api_fail(400, "invalid_value", "max_completion_tokens",
                    "'max_tokens' and 'max_completion_tokens' differ: send one of them");
  if (completion) out.max_tokens = completion;
  if (const json::value* format = fields.find("response_format")) {
    TRY(out.shape, parse_response_format(*format));
  }
  TRY(out.tools, read_tools(fields));
  if (!std::holds_alternative<AnyText>(out.shape) && out.tools.choice != ToolRequest::Choice::none)
    return api_fail(400, "unsupported_parameter", "response_format",
                    "'response_format' does not go together with calls of tools: send one, or "
                    "\"tool_choice\": \"none\"");

  const json::value* messages = fields.find("messages");
  if (messages == nullptr || !messages->is_array() || messages->get_array().empty() ||
      messages->get_array().size() > kMessagesMax)
    return fields.bad("messages", "a non-empty array of messages");
  std::vector<engine::ChatMessage> list;
  for (const json::value& value : messages->get_array()) {
    TRY(engine::ChatMessage message, read_message(value, list.size()));
    list.push_back(std::move(message));
  }
  out.prompt = std::move(list);
  return out;
}

ApiResult<ApiRequest> parse_text_request(std::string_view body) {
  json::value storage;
  TRY(const Fields fields, read_body(body, storage));
  TRY(ApiRequest out, read_shared(fields, ApiRequest::Kind::text));
  const json::value* prompt = fields.find("prompt");
  if (prompt == nullptr) return fields.bad("prompt", "a string or an array of token ids");
  if (const auto* a = prompt->if_array(); a != nullptr && a->size() == 1 && !a->front().is_number())
    prompt = &a->front();  // a batch of one
  if (const auto* s = prompt->if_string()) {
    out.prompt = std::string(*s);
    return out;
  }
  const auto* ids = prompt->if_array();
  if (ids == nullptr || ids->empty())
    return fields.bad("prompt", "a string or an array of token ids");
  std::vector<std::uint32_t> tokens;
  for (const json::value& id : *ids) {
    boost::system::error_code error;
    const auto token = id.to_number<std::uint32_t>(error);
    if (error || id.is_double())
      return api_fail(400, "unsupported_value", "prompt",
                      "'prompt' must be one string or one array of token ids: send a request for "
                      "each prompt of a batch");
    tokens.push_back(token);
  }
  out.prompt = std::move(tokens);
  return out;
}

ApiResult<ApiRequest> parse_request(ApiRequest::Kind kind, std::string_view body) {
  return kind == ApiRequest::Kind::chat ? parse_chat_request(body) : parse_text_request(body);
}

ApiResult<ApiRequest> parse_any_request(std::string_view body) {
  const auto parsed = json::parse(body);
  const bool is_chat = parsed && parsed->is_object() && parsed->get_object().contains("messages");
  return parse_request(is_chat ? ApiRequest::Kind::chat : ApiRequest::Kind::text, body);
}

}  // namespace assay::services
