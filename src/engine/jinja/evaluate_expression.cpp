#include "engine/gguf.hpp"
#include "engine/jinja/evaluator.hpp"
#include "engine/jinja/print.hpp"

namespace assay::engine::jinja {
namespace {

using Kind = Expression::Kind;

// Puts the place in front of an error of the library, which knows none.
template <class T>
Result<Value> placed(const Expression& e, Result<T> result) {
  if (!result) return fail_at(e.at, result.error());
  return Value(std::move(*result));
}

}  // namespace

Result<Value> Evaluator::evaluate(const Expression& e, Scope& scope) {
  if (depth_ >= kMaxCallDepth)
    return fail_at(e.at, Errc::refused, "calls and expressions nest too deeply");
  if (auto spent = work_.spend(1); !spent) return fail_at(e.at, spent.error());
  ++depth_;
  auto out = inner(e, scope);
  --depth_;
  return out;
}

Result<Value> Evaluator::inner(const Expression& e, Scope& scope) {
  switch (e.kind) {
    case Kind::constant:
      return e.value;
    case Kind::name:
      return name(e, scope);
    case Kind::captured:
      return captured_;
    case Kind::list:
    case Kind::tuple: {
      TRY(auto items, operands(e, scope));
      return placed(e, make_list(std::move(items),
                                 e.kind == Kind::list ? List::Kind::list : List::Kind::tuple));
    }
    case Kind::dict:
      return dict(e, scope);
    case Kind::attribute: {
      TRY(const Value object, evaluate(*e.operands[0], scope));
      if (const auto* loop = object.if_is<Loop*>())
        return e.name == "cycle" ? Value(std::make_shared<const Method>(Method{object, e.name}))
                                 : placed(e, loop_attribute(**loop, e.name));
      return placed(e, attribute(object, e.name, work_));
    }
    case Kind::subscript: {
      TRY(const Value object, evaluate(*e.operands[0], scope));
      TRY(const Value key, evaluate(*e.operands[1], scope));
      if (const auto* loop = object.if_is<Loop*>(); loop != nullptr && key.text() != nullptr)
        return placed(e, loop_attribute(**loop, key.text()->bytes()));
      return placed(e, subscript(object, key, work_));
    }
    case Kind::slice:
      return slice_of(e, scope);
    case Kind::call:
      return call(e, scope);
    case Kind::filter:
    case Kind::test:
      return applied(e, scope);
    case Kind::logical_not: {
      TRY(const Value value, evaluate(*e.operands[0], scope));
      return Value(!value.truthy());
    }
    case Kind::negative: {
      TRY(const Value value, evaluate(*e.operands[0], scope));
      return placed(e, negate(value));
    }
    case Kind::positive: {
      TRY(const Value value, evaluate(*e.operands[0], scope));
      return placed(e, arithmetic(Op::add, Value(std::int64_t{0}), value, work_));
    }
    case Kind::logical_and:
    case Kind::logical_or:
      return logical(e, scope);
    case Kind::arithmetic: {
      TRY(const Value a, evaluate(*e.operands[0], scope));
      TRY(const Value b, evaluate(*e.operands[1], scope));
      return placed(e, arithmetic(e.ops[0], a, b, work_));
    }
    case Kind::compare:
      return compare_chain(e, scope);
    case Kind::concat:
      return concat(e, scope);
    case Kind::conditional:
      return conditional(e, scope);
  }
  return Value();
}

Result<Value> Evaluator::name(const Expression& e, Scope& scope) {
  std::size_t passed = 0;
  const Value* found = scope.find(e.name, &passed);
  if (auto spent = work_.spend_bytes(e.name.size() + 16 * passed); !spent)
    return fail_at(e.at, spent.error());
  return found != nullptr ? *found : Value::undefined(fmt::format("'{}' is undefined", e.name));
}

Result<std::vector<Value>> Evaluator::operands(const Expression& e, Scope& scope) {
  std::vector<Value> out;
  for (const auto& operand : e.operands) {
    TRY(Value value, evaluate(*operand, scope));
    out.push_back(std::move(value));
  }
  return out;
}

Result<Value> Evaluator::dict(const Expression& e, Scope& scope) {
  std::vector<Dict::Entry> entries;
  for (std::size_t i = 0; i < e.operands.size(); i += 2) {
    TRY(const Value key, evaluate(*e.operands[i], scope));
    TRY(Value value, evaluate(*e.operands[i + 1], scope));
    if (key.text() == nullptr)
      return fail_at(e.operands[i]->at, Errc::unsupported,
                     "a dictionary key of type '{}' is not supported", key.type_name());
    // It is copied, and compared with others.
    if (auto spent = work_.spend_bytes(2 * key.text()->weight()); !spent)
      return fail_at(e.operands[i]->at, spent.error());
    entries.push_back({*key.text(), std::move(value)});
  }
  return placed(e, make_dict(std::move(entries)));
}

Result<Value> Evaluator::slice_of(const Expression& e, Scope& scope) {
  TRY(const Value object, evaluate(*e.operands[0], scope));
  std::array<Value, 3> bounds{None{}, None{}, None{}};
  for (std::size_t i = 0; i < 3; ++i) {
    if (!e.operands[i + 1]) continue;
    TRY(bounds[i], evaluate(*e.operands[i + 1], scope));
  }
  return placed(e, slice(object, bounds[0], bounds[1], bounds[2], work_));
}

Result<Value> Evaluator::compare_chain(const Expression& e, Scope& scope) {
  TRY(Value left, evaluate(*e.operands[0], scope));
  for (std::size_t i = 0; i < e.ops.size(); ++i) {
    TRY(Value right, evaluate(*e.operands[i + 1], scope));
    const auto holds = compare(e.ops[i], left, right, work_);
    if (!holds) return fail_at(e.at, holds.error());
    if (!*holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Result<Value> Evaluator::concat(const Expression& e, Scope& scope) {
  Text out;
  for (const auto& operand : e.operands) {
    TRY(const Value value, evaluate(*operand, scope));
    const auto text = to_text(value, work_);
    if (!text) return fail_at(operand->at, text.error());
    out.append(*text);
  }
  return Value(std::move(out));
}

Result<Value> Evaluator::conditional(const Expression& e, Scope& scope) {
  TRY(const Value condition, evaluate(*e.operands[0], scope));
  if (condition.truthy()) return evaluate(*e.operands[1], scope);
  if (e.operands[2]) return evaluate(*e.operands[2], scope);
  return Value::undefined("the inline if has no else");
}

Result<Value> Evaluator::logical(const Expression& e, Scope& scope) {
  for (std::size_t i = 0; i + 1 < e.operands.size(); ++i) {
    TRY(Value value, evaluate(*e.operands[i], scope));
    if (value.truthy() == (e.kind == Kind::logical_or)) return value;
  }
  return evaluate(*e.operands.back(), scope);
}

Result<Arguments> Evaluator::arguments(const Expression& e, Scope& scope) {
  Arguments out;
  for (std::size_t i = 1; i < e.operands.size(); ++i) {
    TRY(Value value, evaluate(*e.operands[i], scope));
    out.positional.push_back(std::move(value));
  }
  for (const auto& [name, expression] : e.named) {
    TRY(Value value, evaluate(*expression, scope));
    out.named.emplace_back(name, std::move(value));
  }
  return out;
}

Result<Value> Evaluator::applied(const Expression& e, Scope& scope) {
  TRY(const Value value, evaluate(*e.operands[0], scope));
  TRY(const Arguments given, arguments(e, scope));
  if (e.kind == Kind::filter) return placed(e, apply_filter(e.name, value, given, work_));
  return placed(e, apply_predicate(e.name, value, given, work_));
}

Result<Value> Evaluator::call(const Expression& e, Scope& scope) {
  TRY(const Value callee, evaluate(*e.operands[0], scope));
  TRY(Arguments given, arguments(e, scope));
  if (const auto* macro = callee.if_is<Macro>()) return call_macro(e, *macro, std::move(given));
  if (const auto* function = callee.if_is<Function>())
    return placed(e, call_function(*function, given));
  if (const auto* method = callee.if_is<std::shared_ptr<const Method>>()) {
    const auto* loop = (*method)->object.if_is<Loop*>();
    if (loop == nullptr) return placed(e, call_method(**method, given, work_));
    if (given.positional.empty())
      return fail_at(e.at, Errc::invalid, "'loop.cycle' needs something to choose from");
    return given.positional[(*loop)->index % given.positional.size()];
  }
  if (callee.is_undefined()) return fail_at(e.at, undefined_error(callee).error());
  return fail_at(e.at, Errc::invalid, "a '{}' cannot be called", callee.type_name());
}

Result<Value> Evaluator::call_macro(const Expression& e, const Macro& macro, Arguments given) {
  const Statement& s = *macro.statement;
  Scope scope(macro.scope);
  if (given.positional.size() > s.parameters.size())
    return fail_at(e.at, Errc::invalid, "macro '{}' takes at most {} arguments", s.name,
                   s.parameters.size());
  std::size_t named = 0;
  if (auto spent = work_.spend(s.parameters.size() * (1 + given.named.size() / 16)); !spent)
    return fail_at(e.at, spent.error());
  for (std::size_t i = 0; i < s.parameters.size(); ++i) {
    const Parameter& parameter = s.parameters[i];
    Value* value = i < given.positional.size() ? &given.positional[i] : nullptr;
    for (auto& [name, argument] : given.named) {
      if (name != parameter.name) continue;
      if (value != nullptr)
        return fail_at(e.at, Errc::invalid, "argument '{}' is given twice", name);
      value = &argument;
      ++named;
    }
    if (value != nullptr) {
      scope.set(parameter.name, std::move(*value));
    } else if (parameter.otherwise) {
      TRY(Value otherwise, evaluate(*parameter.otherwise, scope));
      scope.set(parameter.name, std::move(otherwise));
    } else {
      scope.set(parameter.name,
                Value::undefined(fmt::format("parameter '{}' was not provided", parameter.name)));
    }
  }
  if (named != given.named.size())
    return fail_at(e.at, Errc::invalid, "macro '{}' is given an argument it does not have", s.name);
  Text out;
  Value outer = std::exchange(captured_, Value());
  CHECK_OK(execute(s.body, scope, out));
  captured_ = std::move(outer);
  return Value(std::move(out));
}

Result<Value> Evaluator::call_function(Function function, const Arguments& given) {
  switch (function) {
    case Function::range: {
      TRY(const auto args, (bind<3>(given, {"", "", ""})));
      if (args[0] == nullptr) return fail(Errc::invalid, "'range' needs an end");
      TRY(const std::int64_t first, integer_of(args[0], 0));
      TRY(const std::int64_t second, integer_of(args[1], 0));
      TRY(const std::int64_t step, integer_of(args[2], 1));
      const std::int64_t begin = args[1] != nullptr ? first : 0;
      const std::int64_t end = args[1] != nullptr ? second : first;
      if (step == 0) return fail(Errc::invalid, "the step of 'range' cannot be 0");
      std::vector<Value> out;
      for (std::int64_t i = begin; step > 0 ? i < end : i > end;) {
        if (out.size() == static_cast<std::size_t>(kMaxRange))
          return fail(Errc::refused, "a range of more than {} numbers", kMaxRange);
        out.emplace_back(i);
        if (__builtin_add_overflow(i, step, &i)) break;
      }
      CHECK_OK(work_.spend(out.size()));
      return make_list(std::move(out), List::Kind::range);
    }
    case Function::make_namespace:
    case Function::dict: {
      if (!given.positional.empty())
        return fail(Errc::unsupported, "only named arguments are supported here");
      if (function == Function::dict) {
        std::vector<Dict::Entry> entries;
        for (const auto& [name, value] : given.named)
          entries.push_back({Text::literal(name), value});
        return make_dict(std::move(entries));
      }
      auto out = std::make_shared<Namespace>();
      for (const auto& [name, value] : given.named) {
        CHECK_OK(check_storable(value));
        out->members.insert_or_assign(name, value);
      }
      return Value(std::move(out));
    }
    case Function::raise_exception: {
      TRY(const auto args, (bind<1>(given, {"message"})));
      TRY(const Text message, to_text(args[0] != nullptr ? *args[0] : Value(), work_));
      return fail(Errc::invalid, "the template refuses this conversation: {}",
                  printable(message.bytes(), 400));
    }
    case Function::strftime_now: {
      TRY(const auto args, (bind<1>(given, {"format"})));
      if (args[0] == nullptr || args[0]->text() == nullptr)
        return fail(Errc::invalid, "'strftime_now' needs a format");
      CHECK_OK(work_.spend_bytes(16 * args[0]->text()->size()));
      TRY(std::string text, format_date(*variables_.now, args[0]->text()->bytes()));
      return Value(Text(std::move(text), false));
    }
  }
  return Value();
}

}  // namespace assay::engine::jinja
