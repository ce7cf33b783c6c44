// What holds an answer to a form: JSON, or calls of tools.
#include "services/gateway/completions.hpp"
#include "verify/constraint.hpp"

namespace assay::services {

std::string_view stop_reason(const Answer& answer) {
  // A numeric fault ends an answer early, as a limit does; `assay.finish` tells them apart.
  return answer.finish == protocol::Finish::stop ? "stop" : "length";
}

ApiResult<void> Completions::allow_calls(Plan& plan, const ToolRequest& tools) const {
  const bool required = tools.choice == ToolRequest::Choice::required;
  std::string key = fmt::format("calls {} {}", required, plan.model_name);
  for (const engine::Tool& tool : tools.tools) key += " " + tool.name + json::dump(tool.parameters);
  return constrain(
      plan,
      automata_.get(std::move(key),
                    [&] { return engine::tool_automaton(*plan.calls, tools.tools, required); }),
      "tools");
}

std::vector<engine::ToolCallReader::Part> Completions::Choice::read(std::string_view more) {
  using Part = engine::ToolCallReader::Part;
  if (!reader) return {{Part::Kind::text, std::string(more)}};
  return reader->push(more);
}

std::vector<engine::ToolCallReader::Part> Completions::Choice::read_end() {
  if (!reader) return {};
  return reader->finish();
}

void Completions::Choice::took(const engine::ToolCallReader::Part& part) {
  using Kind = engine::ToolCallReader::Part::Kind;
  (part.kind == Kind::text   ? text
   : part.kind == Kind::name ? call.name
                             : call.arguments) += part.text;
}

std::string_view Completions::Choice::finish_reason() const {
  return !call.name.empty() && answer.finish == protocol::Finish::stop ? "tool_calls"
                                                                       : stop_reason(answer);
}

ApiResult<void> Completions::constrain(Plan& plan,
                                       const Result<std::shared_ptr<const Compiled>>& compiled,
                                       const std::string& param) const {
  if (!compiled)
    return api_fail(400, "unsupported_schema", param, "'{}': {}", param, compiled.error().message);
  const auto pieces = plan.model->model->pieces();
  if (!pieces) return std::unexpected(to_api_error(pieces.error()));
  const engine::Constraint constraint((*compiled)->automaton, *pieces);
  if (const auto servable = verify::check_servable(constraint, plan.stop_ids); !servable)
    return api_fail(400, "unsupported_value", param, "'{}' of '{}': {}", param, plan.model_name,
                    servable.error().message);
  plan.automaton = (*compiled)->bytes;
  plan.sampling.constraint =
      protocol::constraint_root(verify::parts_of(constraint.automaton(), **pieces));
  return {};
}

}  // namespace assay::services
