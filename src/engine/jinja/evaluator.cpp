#include "engine/jinja/evaluator.hpp"

#include "engine/jinja/print.hpp"

namespace assay::engine::jinja {

using StatementKind = Statement::Kind;

Result<Text> Evaluator::run(const Body& body) {
  Scope root(nullptr);
  root.set("range", Function::range);
  root.set("namespace", Function::make_namespace);
  root.set("dict", Function::dict);
  root.set("raise_exception", Function::raise_exception);
  if (variables_.now) root.set("strftime_now", Function::strftime_now);
  for (const auto& [name, value] : variables_.values) root.set(name, value);
  Scope scope(&root);
  Text out;
  CHECK_OK(execute(body, scope, out));
  return out;
}

Result<Evaluator::Flow> Evaluator::execute(const Body& body, Scope& scope, Text& out) {
  for (const auto& statement : body) {
    if (depth_ >= kMaxCallDepth)
      return fail_at(statement->at, Errc::refused, "calls and blocks nest too deeply");
    if (auto spent = work_.spend(1); !spent) return fail_at(statement->at, spent.error());
    ++depth_;
    TRY(const Flow flow, execute(*statement, scope, out));
    --depth_;
    if (flow != Flow::on) return flow;
  }
  return Flow::on;
}

Result<Evaluator::Flow> Evaluator::execute(const Statement& s, Scope& scope, Text& out) {
  switch (s.kind) {
    case StatementKind::data:
      CHECK_OK(print(s, s.text, out));
      return Flow::on;
    case StatementKind::print: {
      TRY(const Value value, evaluate(*s.value, scope));
      CHECK_OK(print(s, value, out));
      return Flow::on;
    }
    case StatementKind::branch:
      for (const Branch& branch : s.branches) {
        if (branch.condition) {
          TRY(const Value condition, evaluate(*branch.condition, scope));
          if (!condition.truthy()) continue;
        }
        return execute(branch.body, scope, out);
      }
      return Flow::on;
    case StatementKind::loop:
      return loop(s, scope, out);
    case StatementKind::set: {
      TRY(Value value, evaluate(*s.value, scope));
      CHECK_OK(assign(s, std::move(value), scope));
      return Flow::on;
    }
    case StatementKind::capture: {
      TRY(Value value, captured(s, scope));
      CHECK_OK(assign(s, std::move(value), scope));
      return Flow::on;
    }
    case StatementKind::filter: {
      TRY(const Value value, captured(s, scope));
      CHECK_OK(print(s, value, out));
      return Flow::on;
    }
    case StatementKind::macro:
      scope.set(s.name, Macro{&s, &scope});
      return Flow::on;
    case StatementKind::group:
      return execute(s.body, scope, out);
    case StatementKind::stop:
      return Flow::stop;
    case StatementKind::next:
      return Flow::next;
  }
  return Flow::on;
}

Status Evaluator::print(const Statement& s, const Value& value, Text& out) {
  const auto text = to_text(value, work_);
  if (!text) return fail_at(s.at, text.error());
  if (out.size() + text->size() > kMaxOutputBytes)
    return fail_at(s.at, Errc::refused, "the text grows over {} bytes", kMaxOutputBytes);
  out.append(*text);
  return {};
}

Result<Value> Evaluator::captured(const Statement& s, Scope& scope) {
  Text text;
  Scope inner_scope(&scope);
  CHECK_OK(execute(s.body, inner_scope, text));
  Value outer = std::exchange(captured_, Value(std::move(text)));
  auto out = evaluate(*s.value, scope);
  captured_ = std::move(outer);
  return out;
}

Status Evaluator::assign(const Statement& s, Value value, Scope& scope) {
  const Target& target = s.target;
  if (!target.member.empty()) {
    const Value* object = scope.find(target.names[0]);
    const auto* names = object != nullptr ? object->if_is<std::shared_ptr<Namespace>>() : nullptr;
    if (names == nullptr)
      return fail_at(s.at, Errc::invalid,
                     "'{}' is not a namespace, so its attributes cannot be set", target.names[0]);
    if (auto ok = check_storable(value); !ok) return fail_at(s.at, ok.error());
    (*names)->members.insert_or_assign(target.member, std::move(value));
    return {};
  }
  if (!target.unpacked) {
    scope.set(target.names[0], std::move(value));
    return {};
  }
  const auto items = iterate(value, work_);
  if (!items) return fail_at(s.at, items.error());
  if (items->size() != target.names.size())
    return fail_at(s.at, Errc::invalid, "{} values for {} names", items->size(),
                   target.names.size());
  for (std::size_t i = 0; i < items->size(); ++i) scope.set(target.names[i], (*items)[i]);
  return {};
}

Result<std::vector<Value>> Evaluator::loop_items(const Statement& s, Scope& scope) {
  TRY(const Value value, evaluate(*s.value, scope));
  auto items = iterate(value, work_);
  if (!items) return fail_at(s.at, items.error());
  if (!s.condition) return items;
  std::vector<Value> chosen;
  for (Value& item : *items) {
    Scope one(&scope);
    CHECK_OK(assign(s, item, one));
    TRY(const Value kept, evaluate(*s.condition, one));
    if (kept.truthy()) chosen.push_back(std::move(item));
  }
  return chosen;
}

Result<Evaluator::Flow> Evaluator::loop(const Statement& s, Scope& scope, Text& out) {
  TRY(const auto items, loop_items(s, scope));
  Loop state{.items = items};
  for (; state.index < items.size(); ++state.index) {
    Scope one(&scope);
    one.set("loop", &state);
    CHECK_OK(assign(s, items[state.index], one));
    TRY(const Flow flow, execute(s.body, one, out));
    if (flow == Flow::stop) break;
  }
  if (!items.empty()) return Flow::on;
  Scope otherwise(&scope);
  return execute(s.otherwise, otherwise, out);
}

Result<Value> loop_attribute(const Loop& loop, std::string_view name) {
  const auto index = static_cast<std::int64_t>(loop.index);
  const auto size = static_cast<std::int64_t>(loop.items.size());
  if (name == "index") return Value(index + 1);
  if (name == "index0") return Value(index);
  if (name == "revindex") return Value(size - index);
  if (name == "revindex0") return Value(size - index - 1);
  if (name == "first") return Value(index == 0);
  if (name == "last") return Value(index + 1 == size);
  if (name == "length") return Value(size);
  // Of recursive loops, which are refused.
  if (name == "depth") return Value(std::int64_t{1});
  if (name == "depth0") return Value(std::int64_t{0});
  if (name == "previtem")
    return index > 0 ? loop.items[loop.index - 1] : Value::undefined("there is no previous item");
  if (name == "nextitem")
    return index + 1 < size ? loop.items[loop.index + 1]
                            : Value::undefined("there is no next item");
  return fail(Errc::unsupported, "'loop.{}' is not supported", name);
}

Result<Template> Template::parse(std::string_view source) {
  TRY(Body body, parse_template(source));
  Template out;
  out.body_ = std::make_shared<const Body>(std::move(body));
  return out;
}

Result<Text> Template::render(const Variables& variables) const {
  return Evaluator(variables).run(*body_);
}

}  // namespace assay::engine::jinja
