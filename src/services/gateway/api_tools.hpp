// The functions a model may call, as a chat names them: tools, tool_choice, parallel_tool_calls,
// and the messages that hold calls and their results. Source: OpenAI API reference, "Function
// calling".
#pragma once
#include "engine/chat_template.hpp"
#include "engine/grammar/tool_call.hpp"
#include "services/gateway/api_error.hpp"

namespace assay::services {

class Fields;

struct ToolRequest {
  enum class Choice { none, automatic, required };
  json::array definitions;          // as the client sent them, for the template
  std::vector<engine::Tool> tools;  // that may be called: of a named choice, that one
  Choice choice = Choice::none;
};
inline constexpr std::size_t kToolsMax = 128;

// At most one call is made at a time, whatever parallel_tool_calls allows.
ApiResult<ToolRequest> read_tools(const Fields& body);

// What a message has beside role and content: tool_calls of an assistant, their arguments read;
// tool_call_id of a tool. `where` names it in errors.
ApiResult<json::object> read_calls(const Fields& message, std::string_view role,
                                   const std::string& where);

}  // namespace assay::services
