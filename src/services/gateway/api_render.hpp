// Answers in OpenAI's shapes: chat.completion, chat.completion.chunk, text_completion, list, model.
// Source: OpenAI API reference. Our own facts travel in one extra member, `assay`.
#pragma once
#include "services/gateway/api_request.hpp"

namespace assay::services {

// A call of a function, of a chat.
struct ToolCall {
  std::string id, name, arguments;
};

struct Usage {
  std::uint64_t prompt_tokens = 0, completion_tokens = 0;
};

// One answer being rendered, whole or in pieces.
class ApiRenderer {
 public:
  // id without its prefix; created in Unix seconds.
  ApiRenderer(ApiRequest::Kind kind, std::string id, std::string model, std::int64_t created);

  std::string call_id(std::uint32_t index) const;  // of this choice's call

  // logprobs: token_logprobs.hpp; null where none are asked for.
  json::object choice(std::uint32_t index, std::string_view text, json::value logprobs,
                      std::string_view finish_reason) const;
  // The same of an answer that is a call.
  json::object call_choice(std::uint32_t index, const ToolCall& call, json::value logprobs,
                           std::string_view finish_reason) const;
  json::object whole(json::array choices, const Usage& usage, const json::object& assay) const;

  // Chunks of a stream, each of one choice. With include_usage every chunk carries "usage": null
  // but the last.
  json::object opening_chunk(std::uint32_t index, bool include_usage) const;  // the role; chat only
  json::object text_chunk(std::uint32_t index, std::string_view text, json::value logprobs,
                          bool include_usage) const;
  // A call begins (with its name), or has more arguments (without).
  json::object call_chunk(std::uint32_t index, const ToolCall& part, json::value logprobs,
                          bool include_usage) const;
  json::object final_chunk(std::uint32_t index, std::string_view finish_reason, bool include_usage,
                           const json::object& assay) const;
  json::object usage_chunk(const Usage& usage, const json::object& assay) const;

 private:
  json::object frame(bool chunk) const;
  json::object piece(json::object one, bool include_usage) const;

  ApiRequest::Kind kind_;
  std::string id_, model_;
  std::int64_t created_;
};

json::object model_object(std::string_view id, std::int64_t created, const json::object& assay);
json::object list_object(json::array data);

}  // namespace assay::services
