// Runs one template once.
#pragma once
#include "engine/jinja/library.hpp"
#include "engine/jinja/parser.hpp"
#include "engine/jinja/scope.hpp"
#include "engine/jinja/template.hpp"

namespace assay::engine::jinja {

class Evaluator {
 public:
  explicit Evaluator(const Variables& variables) : variables_(variables), work_(kMaxWork) {}

  Result<Text> run(const Body& body);

 private:
  enum class Flow { on, stop, next };  // break, continue

  Result<Flow> execute(const Body& body, Scope& scope, Text& out);
  Result<Flow> execute(const Statement& s, Scope& scope, Text& out);
  Result<Flow> loop(const Statement& s, Scope& scope, Text& out);
  Result<std::vector<Value>> loop_items(const Statement& s, Scope& scope);
  Status print(const Statement& s, const Value& value, Text& out);
  Result<Value> captured(const Statement& s, Scope& scope);
  Status assign(const Statement& s, Value value, Scope& scope);

  Result<Value> evaluate(const Expression& e, Scope& scope);
  Result<Value> inner(const Expression& e, Scope& scope);
  Result<Value> name(const Expression& e, Scope& scope);
  Result<Value> dict(const Expression& e, Scope& scope);
  Result<Value> slice_of(const Expression& e, Scope& scope);
  Result<Value> compare_chain(const Expression& e, Scope& scope);
  Result<Value> concat(const Expression& e, Scope& scope);
  Result<Value> conditional(const Expression& e, Scope& scope);
  Result<Value> logical(const Expression& e, Scope& scope);
  Result<Value> applied(const Expression& e, Scope& scope);  // filters and tests
  Result<Value> call(const Expression& e, Scope& scope);
  Result<Value> call_macro(const Expression& e, const Macro& macro, Arguments arguments);
  Result<Value> call_function(Function function, const Arguments& arguments);
  Result<Arguments> arguments(const Expression& e, Scope& scope);
  Result<std::vector<Value>> operands(const Expression& e, Scope& scope);

  const Variables& variables_;
  Work work_;
  std::uint32_t depth_ = 0;
  Value captured_;  // the text that the filters of a block work on
};

}  // namespace assay::engine::jinja
