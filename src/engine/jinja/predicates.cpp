#include "engine/jinja/library.hpp"
#include "engine/jinja/operators.hpp"

namespace assay::engine::jinja {
namespace {

using Predicate = Result<bool> (*)(const Value&, const Arguments&, Work&);

template <bool (*f)(const Value&)>
Result<bool> simple(const Value& v, const Arguments& a, Work&) {
  CHECK_OK((bind<0>(a, {})));
  return f(v);
}

template <Op op>
Result<bool> comparison(const Value& v, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<1>(a, {"other"})));
  if (args[0] == nullptr) return fail(Errc::invalid, "the test needs a value to compare with");
  return compare(op, v, *args[0], work);
}

template <std::int64_t rest>
Result<bool> parity(const Value& v, const Arguments& a, Work& work) {
  CHECK_OK((bind<0>(a, {})));
  TRY(const Value r, arithmetic(Op::modulo, v, Value(std::int64_t{2}), work));
  return r.number() == static_cast<double>(rest);
}

Result<bool> divisible(const Value& v, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<1>(a, {"num"})));
  if (args[0] == nullptr) return fail(Errc::invalid, "'divisibleby' needs a number");
  TRY(const Value r, arithmetic(Op::modulo, v, *args[0], work));
  return r.number() == 0.0;
}

template <Case to>
Result<bool> is_case(const Value& v, const Arguments& a, Work& work) {
  CHECK_OK((bind<0>(a, {})));
  if (v.text() == nullptr)
    return fail(Errc::invalid, "a string is needed, not '{}'", v.type_name());
  constexpr Case other = to == Case::lower ? Case::upper : Case::lower;
  TRY(const Text same, change_case(*v.text(), to, work));
  TRY(const Text changed, change_case(*v.text(), other, work));
  return same == *v.text() && !(changed == *v.text());  // and has a letter at all
}

bool is_bool(const Value& v, bool wanted) {
  const auto* b = v.if_is<bool>();
  return b != nullptr && *b == wanted;
}

bool is_iterable(const Value& v) {
  return v.is_undefined() || v.text() != nullptr || v.list() != nullptr || v.dict() != nullptr;
}

bool is_sequence(const Value& v) {
  const List* l = v.list();
  return is_iterable(v) &&
         (l == nullptr || (l->kind != List::Kind::once && l->kind != List::Kind::view));
}

bool is_callable(const Value& v) {
  return v.if_is<Macro>() != nullptr || v.if_is<Function>() != nullptr ||
         v.if_is<std::shared_ptr<const Method>>() != nullptr;
}

constexpr std::pair<std::string_view, Predicate> kPredicates[] = {
    {"!=", comparison<Op::not_equal>},
    {"<", comparison<Op::less>},
    {"<=", comparison<Op::less_equal>},
    {"==", comparison<Op::equal>},
    {">", comparison<Op::greater>},
    {">=", comparison<Op::greater_equal>},
    {"boolean", simple<[](const Value& v) { return v.if_is<bool>() != nullptr; }>},
    {"callable", simple<is_callable>},
    {"defined", simple<[](const Value& v) { return !v.is_undefined(); }>},
    {"divisibleby", divisible},
    {"eq", comparison<Op::equal>},
    {"equalto", comparison<Op::equal>},
    {"even", parity<0>},
    {"false", simple<[](const Value& v) { return is_bool(v, false); }>},
    {"float", simple<[](const Value& v) { return v.if_is<double>() != nullptr; }>},
    {"ge", comparison<Op::greater_equal>},
    {"greaterthan", comparison<Op::greater>},
    {"gt", comparison<Op::greater>},
    {"in", comparison<Op::in>},
    {"integer", simple<[](const Value& v) { return v.if_is<std::int64_t>() != nullptr; }>},
    {"iterable", simple<is_iterable>},
    {"le", comparison<Op::less_equal>},
    {"lessthan", comparison<Op::less>},
    {"lower", is_case<Case::lower>},
    {"lt", comparison<Op::less>},
    {"mapping", simple<[](const Value& v) { return v.dict() != nullptr; }>},
    {"ne", comparison<Op::not_equal>},
    {"none", simple<[](const Value& v) { return v.is_none(); }>},
    {"number", simple<[](const Value& v) { return v.number().has_value(); }>},
    {"odd", parity<1>},
    {"sequence", simple<is_sequence>},
    {"string", simple<[](const Value& v) { return v.text() != nullptr; }>},
    {"true", simple<[](const Value& v) { return is_bool(v, true); }>},
    {"undefined", simple<[](const Value& v) { return v.is_undefined(); }>},
    {"upper", is_case<Case::upper>},
};

const Predicate* find_predicate(std::string_view name) {
  for (const auto& [known, predicate] : kPredicates)
    if (known == name) return &predicate;
  return nullptr;
}

}  // namespace

bool is_predicate(std::string_view name) { return find_predicate(name) != nullptr; }

Result<bool> apply_predicate(std::string_view name, const Value& value, const Arguments& arguments,
                             Work& work) {
  const Predicate* predicate = find_predicate(name);
  if (predicate == nullptr) return fail(Errc::unsupported, "test '{}' is not supported", name);
  return (*predicate)(value, arguments, work);
}

}  // namespace assay::engine::jinja
