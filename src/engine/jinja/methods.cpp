#include <algorithm>

#include "engine/jinja/library.hpp"
#include "engine/jinja/print.hpp"

namespace assay::engine::jinja {
namespace {

using TextMethod = Result<Value> (*)(const Text&, const Arguments&, Work&);
using ValuePtr = const Value*;

Result<const Text*> string_argument(ValuePtr v) {
  if (v == nullptr || v->text() == nullptr) return fail(Errc::invalid, "the method needs a string");
  return v->text();
}

Result<std::size_t> limit_argument(ValuePtr v) {
  TRY(const std::int64_t limit, integer_of(v, -1));
  return limit < 0 ? kAll : static_cast<std::size_t>(limit);
}

template <Side side>
Result<Value> strip(const Text& text, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<1>(a, {"chars"})));
  CHECK_OK(work.spend_bytes(text.weight()));
  if (args[0] == nullptr || args[0]->is_none()) return Value(trim(text, side));
  TRY(const Text* chars, string_argument(args[0]));
  TRY(Text out, trim(text, side, chars->bytes(), work));
  return Value(std::move(out));
}

Result<Value> list_of(Result<std::vector<Text>> parts) {
  if (!parts) return std::unexpected(std::move(parts).error());
  std::vector<Value> out;
  for (Text& part : *parts) out.emplace_back(std::move(part));
  return make_list(std::move(out));
}

template <bool from_right>
Result<Value> split_method(const Text& text, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<2>(a, {"sep", "maxsplit"})));
  TRY(const std::size_t limit, limit_argument(args[1]));
  if (args[0] == nullptr || args[0]->is_none()) {
    if (from_right && limit != kAll)
      return fail(Errc::unsupported, "'rsplit' at white space with a limit is not supported");
    return list_of(split_space(text, work, limit));
  }
  TRY(const Text* separator, string_argument(args[0]));
  if (separator->empty()) return fail(Errc::invalid, "the separator is empty");
  return list_of(split(text, separator->bytes(), work, limit, from_right));
}

Result<Value> splitlines(const Text& text, const Arguments& a, Work& work) {
  CHECK_OK((bind<0>(a, {})));
  return list_of(split_lines(text, work));
}

template <bool at_start>
Result<Value> affix(const Text& text, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<1>(a, {at_start ? "prefix" : "suffix"})));
  const auto matches = [&](const Text& affix) -> Result<bool> {
    CHECK_OK(work.spend_bytes(std::min(affix.size(), text.size())));
    return at_start ? text.bytes().starts_with(affix.bytes())
                    : text.bytes().ends_with(affix.bytes());
  };
  if (const List* any = args[0] != nullptr ? args[0]->list() : nullptr;
      any != nullptr && any->kind == List::Kind::tuple) {
    for (const Value& item : any->items) {
      TRY(const Text* one, string_argument(&item));
      TRY(const bool there, matches(*one));
      if (there) return Value(true);
    }
    return Value(false);
  }
  TRY(const Text* one, string_argument(args[0]));
  TRY(const bool there, matches(*one));
  return Value(there);
}

template <bool at_start>
Result<Value> remove_affix(const Text& text, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<1>(a, {"affix"})));
  TRY(const Text* one, string_argument(args[0]));
  CHECK_OK(work.spend_bytes(text.size()));
  if (at_start)
    return Value(text.slice(text.bytes().starts_with(one->bytes()) ? one->size() : 0, text.size()));
  const bool there = text.bytes().ends_with(one->bytes());
  return Value(text.slice(0, text.size() - (there ? one->size() : 0)));
}

template <Case to>
Result<Value> case_method(const Text& text, const Arguments& a, Work& work) {
  CHECK_OK((bind<0>(a, {})));
  TRY(Text out, change_case(text, to, work));
  return Value(std::move(out));
}

Result<Value> replace_method(const Text& text, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<3>(a, {"old", "new", "count"})));
  TRY(const Text* from, string_argument(args[0]));
  TRY(const Text* to, string_argument(args[1]));
  TRY(const std::size_t limit, limit_argument(args[2]));
  TRY(Text out, replace(text, from->bytes(), *to, work, limit));
  return Value(std::move(out));
}

template <bool from_right>
Result<Value> find_method(const Text& text, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<1>(a, {"sub"})));
  TRY(const Text* wanted, string_argument(args[0]));
  CHECK_OK(work.spend_bytes((from_right ? 2 : 1) * (text.size() + wanted->size())));
  const std::string& s = text.bytes();
  const auto at = from_right ? rfind_in(s, wanted->bytes()) : find_in(s, wanted->bytes());
  if (at == s.npos) return Value(std::int64_t{-1});
  return Value(static_cast<std::int64_t>(characters(std::string_view(s).substr(0, at))));
}

Result<Value> count_method(const Text& text, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<1>(a, {"sub"})));
  TRY(const Text* wanted, string_argument(args[0]));
  CHECK_OK(work.spend_bytes(text.size() + wanted->size()));
  if (wanted->empty()) return Value(static_cast<std::int64_t>(characters(text.bytes()) + 1));
  std::int64_t count = 0;
  for (auto at = find_in(text.bytes(), wanted->bytes()); at != std::string::npos;
       at = find_in(text.bytes(), wanted->bytes(), at + wanted->size())) {
    CHECK_OK(work.spend(1));
    ++count;
  }
  return Value(count);
}

Result<Value> join_method(const Text& text, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<1>(a, {"iterable"})));
  if (args[0] == nullptr) return fail(Errc::invalid, "'join' needs a list");
  TRY(const auto items, iterate(*args[0], work));
  std::vector<Text> parts;
  for (const Value& item : items) {
    TRY(const Text* part, string_argument(&item));
    CHECK_OK(work.spend_bytes(part->weight()));
    parts.push_back(*part);
  }
  TRY(Text out, join(parts, text, work));
  return Value(std::move(out));
}

template <bool (*f)(char)>
Result<Value> all_of(const Text& text, const Arguments& a, Work& work) {
  CHECK_OK((bind<0>(a, {})));
  CHECK_OK(work.spend_bytes(text.size()));
  for (const char c : text.bytes()) {
    if (static_cast<unsigned char>(c) >= 0x80)
      return fail(Errc::unsupported, "the kind of characters beyond ASCII is not supported");
    if (!f(c)) return Value(false);
  }
  return Value(!text.empty());
}

bool is_decimal(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_blank(char c) { return is_space(static_cast<char32_t>(c)); }

constexpr std::pair<std::string_view, TextMethod> kTextMethods[] = {
    {"capitalize", case_method<Case::capitalize>},
    {"count", count_method},
    {"endswith", affix<false>},
    {"find", find_method<false>},
    {"isalpha", all_of<is_letter>},
    {"isdigit", all_of<is_decimal>},
    {"isspace", all_of<is_blank>},
    {"join", join_method},
    {"lower", case_method<Case::lower>},
    {"lstrip", strip<Side::left>},
    {"removeprefix", remove_affix<true>},
    {"removesuffix", remove_affix<false>},
    {"replace", replace_method},
    {"rfind", find_method<true>},
    {"rsplit", split_method<true>},
    {"rstrip", strip<Side::right>},
    {"split", split_method<false>},
    {"splitlines", splitlines},
    {"startswith", affix<true>},
    {"strip", strip<Side::both>},
    {"title", case_method<Case::title>},
    {"upper", case_method<Case::upper>},
};
constexpr std::string_view kDictMethods[] = {"get", "items", "keys", "values", "copy"};
constexpr std::string_view kListMethods[] = {"count", "index"};
// Markup's methods that give what those of any string give, marked or not.
constexpr std::string_view kMarkedMethods[] = {
    "capitalize", "count",      "endswith",   "find",  "isalpha", "isdigit",
    "isspace",    "lower",      "lstrip",     "rfind", "rsplit",  "rstrip",
    "split",      "splitlines", "startswith", "strip", "title",   "upper"};
// The sandbox that templates are written for forbids changing a value.
constexpr std::string_view kChanging[] = {"append",     "clear",   "extend", "insert",
                                          "pop",        "popitem", "remove", "reverse",
                                          "setdefault", "sort",    "update"};

template <class Table>
bool has(const Table& table, std::string_view name) {
  return std::ranges::find(table, name) != std::end(table);
}

TextMethod find_text_method(std::string_view name) {
  for (const auto& [known, method] : kTextMethods)
    if (known == name) return method;
  return nullptr;
}

Result<Value> call_on_dict(const Dict& dict, const Value& object, std::string_view name,
                           const Arguments& a, Work& work) {
  if (name == "get") {
    TRY(const auto args, (bind<2>(a, {"key", "default"})));
    if (args[0] == nullptr) return fail(Errc::invalid, "'get' needs a key");
    CHECK_OK(work.spend_bytes(args[0]->text() != nullptr ? args[0]->text()->size() : 0));
    const Value* found = args[0]->text() != nullptr ? dict.find(args[0]->text()->bytes()) : nullptr;
    return found != nullptr ? *found : args[1] != nullptr ? *args[1] : Value(None{});
  }
  CHECK_OK((bind<0>(a, {})));
  if (name == "copy") return object;
  std::vector<Value> out;
  for (const auto& [key, value] : dict.entries) {
    CHECK_OK(work.spend(7));
    CHECK_OK(work.spend_bytes(name == "values" ? 0 : key.weight()));
    if (name == "items") {
      TRY(Value pair, make_list({Value(key), value}, List::Kind::tuple));
      out.push_back(std::move(pair));
    } else {
      out.push_back(name == "keys" ? Value(key) : value);
    }
  }
  return make_list(std::move(out), List::Kind::view);
}

Result<Value> call_on_list(const List& list, std::string_view name, const Arguments& a,
                           Work& work) {
  TRY(const auto args, (bind<1>(a, {"value"})));
  if (args[0] == nullptr) return fail(Errc::invalid, "'{}' needs a value", name);
  std::int64_t count = 0;
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    TRY(const bool same, equal(list.items[i], *args[0], work));
    if (same && name == "index") return Value(static_cast<std::int64_t>(i));
    count += same;
  }
  if (name == "index") return fail(Errc::invalid, "the value is not in the list");
  return Value(count);
}

}  // namespace

bool is_method(const Value& object, std::string_view name) {
  if (object.text() != nullptr) return find_text_method(name) != nullptr;
  if (object.dict() != nullptr) return has(kDictMethods, name) || has(kChanging, name);
  const List* list = object.list();
  return list != nullptr && (list->kind == List::Kind::list || list->kind == List::Kind::tuple) &&
         (has(kListMethods, name) || has(kChanging, name));
}

bool is_method_name(std::string_view name) {
  return find_text_method(name) != nullptr || has(kDictMethods, name) || has(kListMethods, name) ||
         has(kChanging, name);
}

Result<Value> call_method(const Method& method, const Arguments& arguments, Work& work) {
  const Value& object = method.object;
  const bool arguments_given = !arguments.positional.empty() || !arguments.named.empty();
  if (const Text* text = object.text();
      text != nullptr && text->marked() &&
      (!has(kMarkedMethods, method.name) || (method.name.ends_with("strip") && arguments_given)))
    return fail(Errc::unsupported,
                "'{}' of a string that went through 'safe' or 'escape' is not supported",
                method.name);
  if (const Text* text = object.text())
    return find_text_method(method.name)(*text, arguments, work);
  if (has(kChanging, method.name))
    return fail(Errc::unsupported, "'{}' would change a {}, which templates may not", method.name,
                object.type_name());
  if (const Dict* dict = object.dict())
    return call_on_dict(*dict, object, method.name, arguments, work);
  return call_on_list(*object.list(), method.name, arguments, work);
}

}  // namespace assay::engine::jinja
