#include "services/gateway/api_tools.hpp"

#include <algorithm>

#include "services/gateway/api_fields.hpp"

namespace assay::services {
namespace {

constexpr std::size_t kToolNameMax = 64;

bool is_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  return !name.empty() && name.size() <= kToolNameMax && std::ranges::all_of(name, fits);
}

ApiResult<engine::Tool> read_tool(const json::value& value, const std::string& where) {
  TRY(const Fields fields, Fields::of(value, where));
  TRY(const std::string type, fields.text("type"));
  if (type != "function")
    return api_fail(400, "unsupported_value", where + ".type",
                    "'{}.type' is '{}': only functions can be called", where, type);
  CHECK_OK(fields.only({"type", "function"}));
  const json::value* function = fields.find("function");
  if (function == nullptr) return fields.bad("function", "an object");
  TRY(const Fields inner, Fields::of(*function, where + ".function"));
  CHECK_OK(inner.only({"name", "description", "parameters", "strict"}));
  engine::Tool out;
  TRY(out.name, inner.text("name"));
  if (!is_name(out.name))
    return inner.bad("name", "1 to 64 letters, digits, underscores and hyphens");
  const json::value* parameters = inner.find("parameters");
  out.parameters =
      parameters != nullptr
          ? *parameters
          : json::value(json::object{{"type", "object"}, {"additionalProperties", false}});
  return out;
}

ApiResult<void> read_choice(const Fields& body, ToolRequest& out) {
  const json::value* choice = body.find("tool_choice");
  out.choice = out.tools.empty() ? ToolRequest::Choice::none : ToolRequest::Choice::automatic;
  if (choice == nullptr) return {};
  if (const auto* word = choice->if_string()) {
    if (*word == "none") {
      out.choice = ToolRequest::Choice::none;
      return {};
    }
    if (*word == "auto") return {};
    if (*word != "required" || out.tools.empty())
      return body.bad("tool_choice", "none, auto, required or a function, and needs 'tools'");
    out.choice = ToolRequest::Choice::required;
    return {};
  }
  TRY(const Fields fields, Fields::of(*choice, "tool_choice"));
  CHECK_OK(fields.only({"type", "function"}));
  TRY(const std::string type, fields.text("type"));
  const json::value* function = fields.find("function");
  if (type != "function" || function == nullptr)
    return body.bad("tool_choice", "none, auto, required or a function");
  TRY(const Fields inner, Fields::of(*function, "tool_choice.function"));
  TRY(const std::string name, inner.text("name"));
  std::erase_if(out.tools, [&](const engine::Tool& tool) { return tool.name != name; });
  if (out.tools.empty())
    return api_fail(400, "invalid_value", "tool_choice",
                    "'tool_choice' names '{}', which is not among the tools", name);
  out.choice = ToolRequest::Choice::required;
  return {};
}

}  // namespace

ApiResult<ToolRequest> read_tools(const Fields& body) {
  ToolRequest out;
  if (const json::value* tools = body.find("tools")) {
    const json::array* list = tools->if_array();
    if (list == nullptr || list->size() > kToolsMax)
      return body.bad("tools", fmt::format("an array of at most {} tools", kToolsMax));
    for (const json::value& value : *list) {
      TRY(engine::Tool tool, read_tool(value, fmt::format("tools[{}]", out.tools.size())));
      for (const engine::Tool& other : out.tools)
        if (other.name == tool.name)
          return api_fail(400, "invalid_value", "tools", "two tools are called '{}'", tool.name);
      out.tools.push_back(std::move(tool));
    }
    out.definitions = *list;
  }
  TRY(const bool parallel, body.boolean("parallel_tool_calls", true));
  (void)parallel;
  CHECK_OK(read_choice(body, out));
  return out;
}

ApiResult<json::object> read_calls(const Fields& message, std::string_view role,
                                   const std::string& where) {
  json::object out;
  if (role == "tool") {
    TRY(const std::string id, message.text("tool_call_id"));
    out["tool_call_id"] = id;
    return out;
  }
  if (message.find("tool_call_id") != nullptr)
    return message.bad("tool_call_id", "of a tool's message alone");
  const json::value* calls = message.find("tool_calls");
  if (calls == nullptr || (calls->is_array() && calls->get_array().empty())) return out;
  if (role != "assistant" || !calls->is_array())
    return message.bad("tool_calls", "an array of calls of an assistant's message");
  json::array list;
  for (const json::value& value : calls->get_array()) {
    const std::string at = fmt::format("{}.tool_calls[{}]", where, list.size());
    TRY(const Fields call, Fields::of(value, at));
    TRY(const std::string id, call.text("id"));
    const json::value* function = call.find("function");
    if (function == nullptr) return call.bad("function", "an object");
    TRY(const Fields inner, Fields::of(*function, at + ".function"));
    TRY(const std::string name, inner.text("name"));
    TRY(const std::string arguments, inner.text("arguments"));
    const auto parsed = json::parse(arguments);
    if (!parsed || !parsed->is_object()) return inner.bad("arguments", "the text of a JSON object");
    list.push_back(json::object{
        {"id", id}, {"type", "function"}, {"function", {{"name", name}, {"arguments", *parsed}}}});
  }
  out["tool_calls"] = std::move(list);
  return out;
}

}  // namespace assay::services
