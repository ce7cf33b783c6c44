#include "engine/jinja/operators.hpp"

#include <algorithm>
#include <cmath>

#include "engine/jinja/library.hpp"

namespace assay::engine::jinja {
namespace {

constexpr std::string_view kSymbols[] = {
    "+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "in", "not in"};

std::unexpected<Error> no_operator(Op op, const Value& a, const Value& b) {
  if (a.is_undefined()) return undefined_error(a);
  if (b.is_undefined()) return undefined_error(b);
  return fail(Errc::invalid, "'{}' does not work on '{}' and '{}'",
              kSymbols[static_cast<std::size_t>(op)], a.type_name(), b.type_name());
}

std::unexpected<Error> overflow() {
  return fail(Errc::unsupported, "an integer beyond 64 bits is not supported");
}

std::unexpected<Error> zero() { return fail(Errc::invalid, "a division by zero"); }

Result<Value> power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) return fail(Errc::unsupported, "a negative power is not supported");
  std::int64_t out = 1;
  if (base == 0 || base == 1) return Value(exponent == 0 ? std::int64_t{1} : base);
  if (base == -1) return Value(std::int64_t{exponent % 2 == 0 ? 1 : -1});
  for (std::int64_t i = 0; i < exponent; ++i)
    if (__builtin_mul_overflow(out, base, &out)) return overflow();
  return Value(out);
}

Result<Value> on_integers(Op op, std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  switch (op) {
    case Op::add:
      if (__builtin_add_overflow(a, b, &out)) return overflow();
      return Value(out);
    case Op::subtract:
      if (__builtin_sub_overflow(a, b, &out)) return overflow();
      return Value(out);
    case Op::multiply:
      if (__builtin_mul_overflow(a, b, &out)) return overflow();
      return Value(out);
    case Op::divide:
      if (b == 0) return zero();
      return Value(static_cast<double>(a) / static_cast<double>(b));
    case Op::floor_divide:
    case Op::modulo: {
      if (b == 0) return zero();
      if (b == -1 && op == Op::floor_divide) return on_integers(Op::subtract, 0, a);
      if (b == -1) return Value(std::int64_t{0});
      const std::int64_t rest = a % b, down = rest != 0 && (rest < 0) != (b < 0) ? 1 : 0;
      return Value(op == Op::floor_divide ? a / b - down : rest + down * b);
    }
    default:
      return power(a, b);
  }
}

Result<Value> on_numbers(Op op, double a, double b) {
  switch (op) {
    case Op::add:
      return Value(a + b);
    case Op::subtract:
      return Value(a - b);
    case Op::multiply:
      return Value(a * b);
    case Op::divide:
      if (b == 0) return zero();
      return Value(a / b);
    case Op::floor_divide:
    case Op::modulo: {
      if (b == 0) return zero();
      double rest = std::fmod(a, b);
      if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
      if (op == Op::modulo) return Value(rest == 0 ? std::copysign(0.0, b) : rest);
      const double quotient = (a - rest) / b, whole = std::floor(quotient);
      return Value(quotient - whole > 0.5 ? whole + 1 : whole);
    }
    default:
      return fail(Errc::unsupported, "'**' of floats is not supported");
  }
}

Result<Value> repeat(const Value& value, std::int64_t times, Work& work) {
  const auto count = static_cast<std::uint64_t>(std::max<std::int64_t>(times, 0));
  const Text* text = value.text();
  const std::uint64_t size = text != nullptr ? text->size() : value.list()->items.size();
  if (size != 0 && count > (std::uint64_t{1} << 40) / size)
    return fail(Errc::refused, "the result of '*' is too large");
  if (text != nullptr) {
    Text out;
    for (std::uint64_t i = 0; size > 0 && i < count; ++i) {
      CHECK_OK(work.spend_bytes(text->weight()));
      out.append(*text);
    }
    return Value(text->marked() ? out.marked_safe() : std::move(out));
  }
  CHECK_OK(work.spend(size * count));
  std::vector<Value> items;
  for (std::uint64_t i = 0; size > 0 && i < count; ++i)
    items.insert(items.end(), value.list()->items.begin(), value.list()->items.end());
  return make_list(std::move(items), value.list()->kind);
}

bool sequence(const List& list) {
  return list.kind == List::Kind::list || list.kind == List::Kind::tuple;
}

Result<Value> add_sequences(const Value& a, const Value& b, Work& work) {
  if (const Text *x = a.text(), *y = b.text(); x != nullptr && y != nullptr) {
    CHECK_OK(work.spend_bytes(x->weight() + y->weight()));
    if (x->marked() || y->marked()) {
      TRY(Text out, escape(*x, work));
      TRY(const Text end, escape(*y, work));
      out.append(end);
      return Value(std::move(out));
    }
    Text out = *x;
    out.append(*y);
    return Value(std::move(out));
  }
  const List *x = a.list(), *y = b.list();
  if (x == nullptr || y == nullptr || x->kind != y->kind || !sequence(*x))
    return no_operator(Op::add, a, b);
  CHECK_OK(work.spend(x->items.size() + y->items.size()));
  std::vector<Value> items = x->items;
  items.insert(items.end(), y->items.begin(), y->items.end());
  return make_list(std::move(items), x->kind);
}

// The indexes a slice takes of a sequence, as Python's slice.indices().
struct Range {
  std::int64_t begin, count, step;
};
Result<Range> indices(const Value& first, const Value& last, const Value& by, std::int64_t size) {
  const auto bound = [](const Value& v) -> Result<std::optional<std::int64_t>> {
    if (v.is_none()) return std::optional<std::int64_t>();
    if (v.is_undefined()) return undefined_error(v);
    if (const auto i = v.integer()) return i;
    return fail(Errc::invalid, "a slice needs integers, not '{}'", v.type_name());
  };
  TRY(const auto given_step, bound(by));
  TRY(const auto given_begin, bound(first));
  TRY(const auto given_end, bound(last));
  const std::int64_t step = given_step.value_or(1);
  if (step == 0) return fail(Errc::invalid, "a slice's step cannot be zero");
  if (step == std::numeric_limits<std::int64_t>::min()) return overflow();
  const std::int64_t low = step < 0 ? -1 : 0, high = step < 0 ? size - 1 : size;
  const auto clamp = [&](std::int64_t i) {
    return i < 0 ? std::max(i + size, low) : std::min(i, high);
  };
  const std::int64_t begin = given_begin ? clamp(*given_begin) : step < 0 ? high : low;
  const std::int64_t end = given_end ? clamp(*given_end) : step < 0 ? low : high;
  const std::int64_t distance = step < 0 ? begin - end : end - begin;
  const std::int64_t stride = step < 0 ? -step : step;
  return Range{begin, distance <= 0 ? 0 : (distance - 1) / stride + 1, step};
}

Value missing(const Value& object, std::string_view name) {
  return Value::undefined(fmt::format("a '{}' has no attribute '{}'", object.type_name(), name));
}

}  // namespace

Result<Value> arithmetic(Op op, const Value& a, const Value& b, Work& work) {
  if (const auto x = a.integer(), y = b.integer(); x && y) return on_integers(op, *x, *y);
  if (const auto x = a.number(), y = b.number(); x && y) return on_numbers(op, *x, *y);
  if (op == Op::add) return add_sequences(a, b, work);
  if (op == Op::multiply) {
    const auto repeatable = [](const Value& v) {
      return v.text() != nullptr || (v.list() != nullptr && sequence(*v.list()));
    };
    if (repeatable(a) && b.integer()) return repeat(a, *b.integer(), work);
    if (repeatable(b) && a.integer()) return repeat(b, *a.integer(), work);
  }
  if (op == Op::modulo && a.text() != nullptr)
    return fail(Errc::unsupported, "formatting a string with '%' is not supported");
  return no_operator(op, a, b);
}

Result<Value> negate(const Value& value) {
  if (const auto i = value.integer()) return on_integers(Op::subtract, 0, *i);
  if (const auto d = value.number()) return Value(-*d);
  if (value.is_undefined()) return undefined_error(value);
  return fail(Errc::invalid, "'-' does not work on '{}'", value.type_name());
}

Result<bool> contains(const Value& container, const Value& item, Work& work) {
  if (const Text* text = container.text()) {
    if (item.text() == nullptr)
      return fail(Errc::invalid, "'in' a string needs a string, not '{}'", item.type_name());
    CHECK_OK(work.spend_bytes(text->size() + item.text()->size()));
    return find_in(text->bytes(), item.text()->bytes()) != std::string::npos;
  }
  if (const Dict* dict = container.dict()) {
    CHECK_OK(work.spend_bytes(item.text() != nullptr ? item.text()->size() : 0));
    return item.text() != nullptr && dict->find(item.text()->bytes()) != nullptr;
  }
  TRY(const auto items, iterate(container, work));
  for (const Value& candidate : items) {
    TRY(const bool same, equal(candidate, item, work));
    if (same) return true;
  }
  return false;
}

Result<bool> compare(Op op, const Value& a, const Value& b, Work& work) {
  const auto inverted = [](Result<bool> r) { return r ? Result<bool>(!*r) : r; };
  switch (op) {
    case Op::equal:
      return equal(a, b, work);
    case Op::not_equal:
      return inverted(equal(a, b, work));
    case Op::less:
      return less(a, b, work);
    case Op::greater:
      return less(b, a, work);
    case Op::less_equal:
      return inverted(less(b, a, work));
    case Op::greater_equal:
      return inverted(less(a, b, work));
    case Op::in:
      return contains(b, a, work);
    default:
      return inverted(contains(b, a, work));
  }
}

Result<Value> attribute(const Value& object, std::string_view name, Work& work) {
  CHECK_OK(work.spend_bytes(name.size()));
  if (object.is_undefined()) return undefined_error(object);
  if (is_method(object, name))
    return Value(std::make_shared<const Method>(Method{object, std::string(name)}));
  if (const Dict* dict = object.dict()) {
    if (const Value* member = dict->find(name)) return *member;
  }
  if (const auto* names = object.if_is<std::shared_ptr<Namespace>>()) {
    const auto it = (*names)->members.find(name);
    if (it != (*names)->members.end()) return it->second;
  }
  return missing(object, name);
}

Result<Value> subscript(const Value& object, const Value& key, Work& work) {
  CHECK_OK(work.spend_bytes(key.text() != nullptr ? key.text()->size() : 0));
  if (object.is_undefined()) return undefined_error(object);
  const auto at = key.integer();
  if (const Dict* dict = object.dict()) {
    const Value* member = key.text() != nullptr ? dict->find(key.text()->bytes()) : nullptr;
    if (member != nullptr) return *member;
  } else if (const List* list = object.list(); list != nullptr && at) {
    const auto size = static_cast<std::int64_t>(list->items.size());
    const bool indexed = sequence(*list) || list->kind == List::Kind::range;
    const std::int64_t i = *at < 0 ? *at + size : *at;
    if (indexed && i >= 0 && i < size) return list->items[static_cast<std::size_t>(i)];
    return Value::undefined(fmt::format(
        "the '{}' has no item {}", list->items.empty() ? "empty list" : object.type_name(), *at));
  } else if (const Text* text = object.text(); text != nullptr && at) {
    const Value by(std::int64_t{1});
    const Value stop = *at == -1
                           ? Value(None{})
                           : Value(*at < std::numeric_limits<std::int64_t>::max() ? *at + 1 : *at);
    TRY(Value one, slice(object, key, stop, by, work));
    if (!one.text()->empty()) return one;
    return Value::undefined(fmt::format("the string has no character {}", *at));
  }
  if (key.text() != nullptr && object.dict() == nullptr)
    return attribute(object, key.text()->bytes(), work);
  if (key.text() != nullptr && is_method(object, key.text()->bytes()))
    return attribute(object, key.text()->bytes(), work);
  return missing(object, key.text() != nullptr ? key.text()->bytes() : key.type_name());
}

Result<Value> slice(const Value& object, const Value& begin, const Value& end, const Value& step,
                    Work& work) {
  if (object.is_undefined()) return undefined_error(object);
  const Text* text = object.text();
  const List* list = object.list();
  if (list != nullptr && !sequence(*list)) list = nullptr;
  if (text == nullptr && list == nullptr)
    return fail(Errc::invalid, "a '{}' cannot be sliced", object.type_name());
  if (list != nullptr) {
    TRY(const Range r, indices(begin, end, step, static_cast<std::int64_t>(list->items.size())));
    CHECK_OK(work.spend(static_cast<std::uint64_t>(r.count)));
    std::vector<Value> items;
    for (std::int64_t i = 0; i < r.count; ++i)
      items.push_back(list->items[static_cast<std::size_t>(r.begin + i * r.step)]);
    return make_list(std::move(items), list->kind);
  }
  const std::string& bytes = text->bytes();
  CHECK_OK(work.spend(1 + bytes.size() / 8));
  std::vector<std::uint32_t> starts;
  for (std::size_t at = 0; at < bytes.size(); next_character(bytes, at))
    starts.push_back(static_cast<std::uint32_t>(at));
  const auto size = static_cast<std::int64_t>(starts.size());
  starts.push_back(static_cast<std::uint32_t>(bytes.size()));
  TRY(const Range r, indices(begin, end, step, size));
  if (r.step == 1) {
    return Value(text->slice(starts[static_cast<std::size_t>(std::max<std::int64_t>(r.begin, 0))],
                             starts[static_cast<std::size_t>(r.begin + r.count)]));
  }
  CHECK_OK(work.spend(static_cast<std::uint64_t>(r.count)));
  Text out;
  for (std::int64_t i = 0; i < r.count; ++i) {
    const auto at = static_cast<std::size_t>(r.begin + i * r.step);
    out.append(*text, starts[at], starts[at + 1]);
  }
  return Value(text->marked() ? out.marked_safe() : std::move(out));
}

}  // namespace assay::engine::jinja
