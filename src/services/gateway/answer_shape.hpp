// The form an answer is asked for in (response_format), and the automaton that holds it to that.
#pragma once
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <variant>

#include "canon/automaton.hpp"
#include "services/gateway/api_error.hpp"

namespace assay::services {

// Any text; a JSON object; JSON that is valid under a schema.
struct AnyText {};
struct JsonObject {};
struct JsonOf {
  json::value schema;
};
using AnswerShape = std::variant<AnyText, JsonObject, JsonOf>;

// {"type": "text" | "json_object" | "json_schema", …}
ApiResult<AnswerShape> parse_response_format(const json::value& value);

// An automaton and its canonical bytes.
struct Compiled {
  canon::Automaton automaton;
  Bytes bytes;
};

// The last automata asked for: clients send the same schema again and again. Any thread.
class Automata {
 public:
  // `key` names the language; make() builds it. Errors: make's, which are not kept.
  Result<std::shared_ptr<const Compiled>> get(
      std::string key, const std::function<Result<canon::Automaton>()>& make);
  // Not of AnyText (asserted).
  Result<std::shared_ptr<const Compiled>> get(const AnswerShape& shape);

 private:
  static constexpr std::size_t kKept = 32;
  std::mutex mutex_;
  std::list<std::pair<std::string, std::shared_ptr<const Compiled>>> known_;  // latest first
};

}  // namespace assay::services
