#include "services/gateway/api_render.hpp"

namespace assay::services {
namespace {

json::object usage_object(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
}

}  // namespace

ApiRenderer::ApiRenderer(ApiRequest::Kind kind, std::string id, std::string model,
                         std::int64_t created)
    : kind_(kind),
      id_((kind == ApiRequest::Kind::chat ? "chatcmpl-" : "cmpl-") + std::move(id)),
      model_(std::move(model)),
      created_(created) {}

std::string ApiRenderer::call_id(std::uint32_t index) const {
  return fmt::format("call_{}_{}", id_.substr(id_.find('-') + 1), index);
}

json::object ApiRenderer::frame(bool chunk) const {
  const bool chat = kind_ == ApiRequest::Kind::chat;
  return {{"id", id_},
          {"object", !chat   ? "text_completion"
                     : chunk ? "chat.completion.chunk"
                             : "chat.completion"},
          {"created", created_},
          {"model", model_}};
}

json::object ApiRenderer::choice(std::uint32_t index, std::string_view text, json::value logprobs,
                                 std::string_view finish_reason) const {
  json::object out{{"index", index}};
  if (kind_ == ApiRequest::Kind::chat) {
    out["message"] = {{"role", "assistant"}, {"content", text}, {"refusal", nullptr}};
  } else {
    out["text"] = text;
  }
  out["logprobs"] = std::move(logprobs);
  out["finish_reason"] = finish_reason;
  return out;
}

json::object ApiRenderer::call_choice(std::uint32_t index, const ToolCall& call,
                                      json::value logprobs, std::string_view finish_reason) const {
  json::object out = choice(index, "", std::move(logprobs), finish_reason);
  json::object& message = out["message"].as_object();
  message["content"] = nullptr;
  message["tool_calls"] =
      json::array{{{"id", call.id},
                   {"type", "function"},
                   {"function", {{"name", call.name}, {"arguments", call.arguments}}}}};
  return out;
}

json::object ApiRenderer::whole(json::array choices, const Usage& usage,
                                const json::object& assay) const {
  json::object out = frame(false);
  out["choices"] = std::move(choices);
  out["usage"] = usage_object(usage);
  out["assay"] = assay;
  return out;
}

json::object ApiRenderer::piece(json::object one, bool include_usage) const {
  json::object out = frame(true);
  out["choices"] = json::array{std::move(one)};
  if (include_usage) out["usage"] = nullptr;
  return out;
}

json::object ApiRenderer::opening_chunk(std::uint32_t index, bool include_usage) const {
  return piece({{"index", index},
                {"delta", {{"role", "assistant"}, {"content", ""}}},
                {"logprobs", nullptr},
                {"finish_reason", nullptr}},
               include_usage);
}

json::object ApiRenderer::text_chunk(std::uint32_t index, std::string_view text,
                                     json::value logprobs, bool include_usage) const {
  json::object one{{"index", index}};
  if (kind_ == ApiRequest::Kind::chat) {
    one["delta"] = {{"content", text}};
  } else {
    one["text"] = text;
  }
  one["logprobs"] = std::move(logprobs);
  one["finish_reason"] = nullptr;
  return piece(std::move(one), include_usage);
}

json::object ApiRenderer::call_chunk(std::uint32_t index, const ToolCall& part,
                                     json::value logprobs, bool include_usage) const {
  json::object call{{"index", 0}};
  json::object function;
  if (!part.name.empty()) {
    call["id"] = part.id;
    call["type"] = "function";
    function["name"] = part.name;
  }
  function["arguments"] = part.arguments;
  call["function"] = std::move(function);
  return piece({{"index", index},
                {"delta", {{"tool_calls", json::array{std::move(call)}}}},
                {"logprobs", std::move(logprobs)},
                {"finish_reason", nullptr}},
               include_usage);
}

json::object ApiRenderer::final_chunk(std::uint32_t index, std::string_view finish_reason,
                                      bool include_usage, const json::object& assay) const {
  json::object one{{"index", index}};
  if (kind_ == ApiRequest::Kind::chat) {
    one["delta"] = json::object{};
  } else {
    one["text"] = "";
  }
  one["logprobs"] = nullptr;
  one["finish_reason"] = finish_reason;
  json::object out = piece(std::move(one), include_usage);
  out["assay"] = assay;
  return out;
}

json::object ApiRenderer::usage_chunk(const Usage& usage, const json::object& assay) const {
  json::object out = frame(true);
  out["choices"] = json::array{};
  out["usage"] = usage_object(usage);
  out["assay"] = assay;
  return out;
}

json::object model_object(std::string_view id, std::int64_t created, const json::object& assay) {
  return {{"id", id},
          {"object", "model"},
          {"created", created},
          {"owned_by", "assay"},
          {"assay", assay}};
}

json::object list_object(json::array data) {
  return {{"object", "list"}, {"data", std::move(data)}};
}

}  // namespace assay::services
