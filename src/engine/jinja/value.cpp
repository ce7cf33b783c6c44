#include "engine/jinja/value.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace assay::engine::jinja {
namespace {

constexpr std::string_view kLiteralRoles[] = {"system", "user", "assistant", "tool"};

Result<bool> equal_lists(const List& a, const List& b, Work& work) {
  if (a.kind != b.kind || a.items.size() != b.items.size()) return false;
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    TRY(const bool same, equal(a.items[i], b.items[i], work));
    if (!same) return false;
  }
  return true;
}

Result<bool> equal_dicts(const Dict& a, const Dict& b, Work& work) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    CHECK_OK(work.spend_bytes(key.size()));
    const Value* other = b.find(key.bytes());
    if (other == nullptr) return false;
    TRY(const bool same, equal(value, *other, work));
    if (!same) return false;
  }
  return true;
}

bool indexed(const List& list) {
  return list.kind == List::Kind::list || list.kind == List::Kind::tuple;
}

}  // namespace

const Value* Dict::find(std::string_view key) const {
  const auto it = std::ranges::lower_bound(
      sorted, key, {}, [&](std::uint32_t i) { return std::string_view(entries[i].key.bytes()); });
  if (it == sorted.end() || entries[*it].key.bytes() != key) return nullptr;
  return &entries[*it].value;
}

Value Value::undefined(std::string why) {
  Value out;
  out.v_ = Undefined{std::make_shared<const std::string>(std::move(why))};
  return out;
}

std::optional<std::int64_t> Value::integer() const {
  if (const auto* i = if_is<std::int64_t>()) return *i;
  if (const auto* b = if_is<bool>()) return *b ? 1 : 0;
  return std::nullopt;
}

std::optional<double> Value::number() const {
  if (const auto* d = if_is<double>()) return *d;
  if (const auto i = integer()) return static_cast<double>(*i);
  return std::nullopt;
}

bool Value::truthy() const {
  if (is_undefined() || is_none()) return false;
  if (const auto n = number()) return *n != 0;
  if (const Text* t = text()) return !t->empty();
  if (const List* l = list()) return l->kind == List::Kind::once || !l->items.empty();
  if (const Dict* d = dict()) return !d->entries.empty();
  return true;
}

std::string_view Value::type_name() const {
  static constexpr std::string_view kNames[] = {
      "undefined", "None",      "bool",   "int",   "float", "str",      "list",
      "dict",      "namespace", "method", "macro", "loop",  "function",
  };
  if (const List* l = list()) {
    static constexpr std::string_view kLists[] = {"list", "tuple", "view", "range", "generator"};
    return kLists[static_cast<std::size_t>(l->kind)];
  }
  return kNames[v_.index()];
}

bool Value::storable() const {
  return if_is<std::shared_ptr<Namespace>>() == nullptr &&
         if_is<std::shared_ptr<const Method>>() == nullptr && if_is<Macro>() == nullptr &&
         if_is<Loop*>() == nullptr;
}

std::uint32_t Value::depth() const {
  if (const List* l = list()) return l->depth;
  if (const Dict* d = dict()) return d->depth;
  return 0;
}

Status check_storable(const Value& value) {
  if (!value.storable())
    return fail(Errc::unsupported,
                "keeping a {} in a list, dictionary or namespace is not supported",
                value.type_name());
  if (value.depth() >= kMaxNesting)
    return fail(Errc::refused, "lists and dictionaries nest deeper than {}", kMaxNesting);
  return {};
}

Result<Value> make_list(std::vector<Value> items, List::Kind kind) {
  auto list = std::make_shared<List>();
  for (const Value& item : items) {
    CHECK_OK(check_storable(item));
    list->depth = std::max(list->depth, item.depth() + 1);
  }
  list->items = std::move(items);
  list->kind = kind;
  return Value(Value::ListPtr(std::move(list)));
}

Result<Value> make_dict(std::vector<Dict::Entry> entries) {
  auto dict = std::make_shared<Dict>();
  for (const auto& entry : entries) {
    CHECK_OK(check_storable(entry.value));
    dict->depth = std::max(dict->depth, entry.value.depth() + 1);
  }
  std::vector<std::uint32_t> order(entries.size());
  std::iota(order.begin(), order.end(), 0u);
  const auto key = [&](std::uint32_t i) { return std::string_view(entries[i].key.bytes()); };
  std::ranges::sort(order, {}, [&](std::uint32_t i) { return std::pair(key(i), i); });
  // A key given again keeps its place and takes the later value.
  std::vector<bool> dropped(entries.size());
  for (std::size_t i = 0; i + 1 < order.size(); ++i) {
    std::size_t last = i;
    while (last + 1 < order.size() && key(order[last + 1]) == key(order[i])) ++last;
    if (last == i) continue;
    for (std::size_t j = i + 1; j <= last; ++j) dropped[order[j]] = true;
    entries[order[i]].value = entries[order[last]].value;
    i = last;
  }
  std::vector<std::uint32_t> place(entries.size());
  for (std::uint32_t i = 0; i < entries.size(); ++i) {
    place[i] = static_cast<std::uint32_t>(dict->entries.size());
    if (!dropped[i]) dict->entries.push_back(std::move(entries[i]));
  }
  for (const std::uint32_t i : order)
    if (!dropped[i]) dict->sorted.push_back(place[i]);
  return Value(Value::DictPtr(std::move(dict)));
}

Result<Value> from_json(const json::value& v, std::uint32_t depth) {
  if (depth >= kMaxNesting)
    return fail(Errc::refused, "the JSON nests deeper than {}", kMaxNesting);
  switch (v.kind()) {
    case boost::json::kind::null:
      return Value(None{});
    case boost::json::kind::bool_:
      return Value(v.get_bool());
    case boost::json::kind::int64:
      return Value(v.get_int64());
    case boost::json::kind::uint64:
      return Value(static_cast<double>(v.get_uint64()));
    case boost::json::kind::double_:
      return Value(v.get_double());
    case boost::json::kind::string:
      return Value(Text::content(std::string_view(v.get_string())));
    case boost::json::kind::array: {
      std::vector<Value> items;
      for (const json::value& item : v.get_array()) {
        TRY(Value value, from_json(item, depth + 1));
        items.push_back(std::move(value));
      }
      return make_list(std::move(items));
    }
    case boost::json::kind::object: {
      std::vector<Dict::Entry> entries;
      for (const auto& [key, member] : v.get_object()) {
        TRY(Value value, from_json(member, depth + 1));
        entries.push_back({Text::content(std::string_view(key)), std::move(value)});
      }
      return make_dict(std::move(entries));
    }
  }
  return Value(None{});
}

Result<Value> message_from_json(const json::object& message) {
  std::vector<Dict::Entry> entries;
  for (const auto& [key, member] : message) {
    TRY(Value value, from_json(member, 2));
    if (std::string_view(key) == "role" && value.text() != nullptr &&
        std::ranges::find(kLiteralRoles, value.text()->bytes()) != std::end(kLiteralRoles))
      value = Text::literal(value.text()->bytes());
    entries.push_back({Text::content(std::string_view(key)), std::move(value)});
  }
  return make_dict(std::move(entries));
}

Result<bool> equal(const Value& a, const Value& b, Work& work) {
  CHECK_OK(work.spend(1));
  if (a.is_undefined() || b.is_undefined()) return a.is_undefined() == b.is_undefined();
  if (a.is_none() || b.is_none()) return a.is_none() == b.is_none();
  if (const auto x = a.integer(), y = b.integer(); x && y) return *x == *y;
  if (const auto x = a.number(), y = b.number(); x && y) return *x == *y;
  if (const Text *x = a.text(), *y = b.text(); x != nullptr && y != nullptr) {
    CHECK_OK(work.spend_bytes(std::min(x->size(), y->size())));
    return *x == *y;
  }
  if (const List *x = a.list(), *y = b.list(); x != nullptr && y != nullptr)
    return x == y ? Result<bool>(true) : equal_lists(*x, *y, work);
  if (const Dict *x = a.dict(), *y = b.dict(); x != nullptr && y != nullptr)
    return x == y ? Result<bool>(true) : equal_dicts(*x, *y, work);
  const auto *m = a.if_is<std::shared_ptr<Namespace>>(), *n = b.if_is<std::shared_ptr<Namespace>>();
  return m != nullptr && n != nullptr && *m == *n;
}

Result<bool> less(const Value& a, const Value& b, Work& work) {
  CHECK_OK(work.spend(1));
  if (a.is_undefined()) return undefined_error(a);
  if (b.is_undefined()) return undefined_error(b);
  if (const auto x = a.integer(), y = b.integer(); x && y) return *x < *y;
  if (const auto x = a.number(), y = b.number(); x && y) return *x < *y;
  if (const Text *x = a.text(), *y = b.text(); x != nullptr && y != nullptr) {
    CHECK_OK(work.spend_bytes(std::min(x->size(), y->size())));
    return x->bytes() < y->bytes();
  }
  const List *x = a.list(), *y = b.list();
  if (x != nullptr && y != nullptr && x->kind == y->kind && indexed(*x)) {
    for (std::size_t i = 0; i < std::min(x->items.size(), y->items.size()); ++i) {
      TRY(const bool same, equal(x->items[i], y->items[i], work));
      if (!same) return less(x->items[i], y->items[i], work);
    }
    return x->items.size() < y->items.size();
  }
  return fail(Errc::invalid, "'{}' and '{}' have no order", a.type_name(), b.type_name());
}

Result<std::vector<Value>> iterate(const Value& value, Work& work) {
  std::vector<Value> out;
  if (value.is_undefined()) return out;
  if (const List* l = value.list()) {
    if (l->kind == List::Kind::once && std::exchange(l->used, true))
      return fail(Errc::unsupported, "a generator is used twice: make it a list with '| list'");
    CHECK_OK(work.spend(l->items.size()));
    return l->items;
  }
  if (const Dict* d = value.dict()) {
    for (const auto& [key, member] : d->entries) {
      CHECK_OK(work.spend(3));
      CHECK_OK(work.spend_bytes(key.weight()));
      out.emplace_back(key);
    }
    return out;
  }
  if (const Text* t = value.text()) {
    CHECK_OK(work.spend(4 * t->size()));
    for (std::size_t at = 0; at < t->size();) {
      const std::size_t begin = at;
      next_character(t->bytes(), at);
      out.emplace_back(t->slice(begin, at).unmarked());
    }
    return out;
  }
  return fail(Errc::invalid, "a '{}' cannot be looped over", value.type_name());
}

std::optional<std::size_t> length(const Value& value) {
  if (value.is_undefined()) return 0;
  if (const Text* t = value.text()) return characters(t->bytes());
  if (const Dict* d = value.dict()) return d->entries.size();
  if (const List* l = value.list(); l != nullptr && l->kind != List::Kind::once)
    return l->items.size();
  return std::nullopt;
}

std::unexpected<Error> undefined_error(const Value& value) {
  const auto* u = value.if_is<Undefined>();
  return fail(Errc::invalid, "{}", u != nullptr && u->why ? *u->why : "a value is undefined");
}

}  // namespace assay::engine::jinja
