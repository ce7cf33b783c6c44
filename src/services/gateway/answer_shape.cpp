#include "services/gateway/answer_shape.hpp"

#include "base/assert.hpp"
#include "engine/grammar/json_schema.hpp"
#include "services/gateway/api_fields.hpp"

namespace assay::services {

ApiResult<AnswerShape> parse_response_format(const json::value& value) {
  TRY(const Fields fields, Fields::of(value, "response_format"));
  TRY(const std::string type, fields.text("type"));
  if (type == "text" || type == "json_object") {
    CHECK_OK(fields.only({"type"}));
    if (type == "text") return AnyText{};
    return JsonObject{};
  }
  if (type != "json_schema")
    return api_fail(400, "invalid_value", "response_format.type",
                    "'response_format.type' is '{}': use text, json_object or json_schema", type);
  CHECK_OK(fields.only({"type", "json_schema"}));
  const json::value* given = fields.find("json_schema");
  if (given == nullptr)
    return api_fail(400, "missing_required_parameter", "response_format.json_schema",
                    "'response_format.json_schema' is missing");
  TRY(const Fields inner, Fields::of(*given, "response_format.json_schema"));
  CHECK_OK(inner.only({"name", "description", "schema", "strict"}));
  TRY(const std::string name, inner.text("name"));
  TRY(const bool strict, inner.boolean("strict", false));
  (void)name, (void)strict;  // it is held to the schema either way
  const json::value* schema = inner.find("schema");
  if (schema == nullptr)
    return api_fail(400, "missing_required_parameter", "response_format.json_schema.schema",
                    "'response_format.json_schema.schema' is missing");
  return JsonOf{*schema};
}

Result<std::shared_ptr<const Compiled>> Automata::get(
    std::string key, const std::function<Result<canon::Automaton>()>& make) {
  {
    const std::lock_guard lock(mutex_);
    for (auto it = known_.begin(); it != known_.end(); ++it)
      if (it->first == key) {
        known_.splice(known_.begin(), known_, it);
        return it->second;
      }
  }
  TRY(canon::Automaton automaton, make());
  Bytes bytes = canon::encode(automaton);
  auto out = std::make_shared<const Compiled>(Compiled{std::move(automaton), std::move(bytes)});
  const std::lock_guard lock(mutex_);
  known_.emplace_front(std::move(key), out);
  if (known_.size() > kKept) known_.pop_back();
  return out;
}

Result<std::shared_ptr<const Compiled>> Automata::get(const AnswerShape& shape) {
  ASSAY_ASSERT(!std::holds_alternative<AnyText>(shape));
  if (const auto* of = std::get_if<JsonOf>(&shape))
    return get("schema " + json::dump(of->schema),
               [&] { return engine::schema_automaton(of->schema); });
  return get("json", engine::json_automaton);
}

}  // namespace assay::services
