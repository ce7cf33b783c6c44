#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/jinja/library.hpp"
#include "engine/jinja/operators.hpp"
#include "engine/jinja/print.hpp"

namespace assay::engine::jinja {
namespace {

using Filter = Result<Value> (*)(const Value&, const Arguments&, Work&);
using ValuePtr = const Value*;

bool truthy(ValuePtr v) { return v != nullptr && v->truthy(); }

Result<Value> as_value(Result<Text> text) {
  if (!text) return std::unexpected(std::move(text).error());
  return Value(std::move(*text));
}

Result<Value> trim_filter(const Value& v, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<1>(a, {"chars"})));
  TRY(const Text text, to_text(v, work));
  if (args[0] == nullptr || args[0]->is_none()) return Value(trim(text, Side::both));
  if (args[0]->text() == nullptr) return fail(Errc::invalid, "'chars' must be a string");
  return call_method({Value(text), "strip"}, {{*args[0]}, {}}, work);
}

Result<Value> length_filter(const Value& v, const Arguments& a, Work& work) {
  CHECK_OK((bind<0>(a, {})));
  if (v.text() != nullptr) CHECK_OK(work.spend_bytes(v.text()->size()));
  if (const auto n = length(v)) return Value(static_cast<std::int64_t>(*n));
  return fail(Errc::invalid, "a '{}' has no length", v.type_name());
}

template <Case to>
Result<Value> case_filter(const Value& v, const Arguments& a, Work& work) {
  CHECK_OK((bind<0>(a, {})));
  TRY(const Text text, to_text(v, work));
  return as_value(change_case(text, to, work));
}

// Unlike str.title(): only white space, '-' and opening brackets begin a word.
Result<Value> title_filter(const Value& v, const Arguments& a, Work& work) {
  CHECK_OK((bind<0>(a, {})));
  TRY(const Text text, to_text(v, work));
  const std::string& s = text.bytes();
  Text out;
  const auto begins = [&](std::size_t i) {
    return std::string_view("-({[<").find(s[i]) != std::string_view::npos ||
           is_space(static_cast<unsigned char>(s[i]));
  };
  for (std::size_t at = 0; at < s.size();) {
    std::size_t end = at;
    while (end < s.size() && begins(end) == begins(at)) ++end;
    TRY(const Text word, change_case(text.slice(at, end), Case::capitalize, work));
    out.append(word);
    at = end;
  }
  return Value(std::move(out));
}

Result<Value> tojson_filter(const Value& v, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<4>(a, {"ensure_ascii", "indent", "separators", "sort_keys"})));
  // Positional arguments are those of transformers' filter; Jinja's own has
  // indent alone.
  JsonStyle style;
  style.ascii = truthy(args[0]);
  style.sort_keys = truthy(args[3]);
  if (args[1] != nullptr && !args[1]->is_none()) {
    if (const Text* t = args[1]->text()) {
      style.indent = t->bytes();
    } else {
      TRY(const std::int64_t width, integer_of(args[1], 0));
      if (width > 64) return fail(Errc::unsupported, "an indent over 64 is not supported");
      style.indent = std::string(static_cast<std::size_t>(std::max<std::int64_t>(width, 0)), ' ');
    }
    style.item = ",";
  }
  if (args[2] != nullptr && !args[2]->is_none()) {
    const List* pair = args[2]->list();
    if (pair == nullptr || pair->items.size() != 2 || pair->items[0].text() == nullptr ||
        pair->items[1].text() == nullptr)
      return fail(Errc::invalid, "'separators' must be two strings");
    style.item = pair->items[0].text()->bytes();
    style.key = pair->items[1].text()->bytes();
  }
  return as_value(to_json(v, style, work));
}

Result<Value> default_filter(const Value& v, const Arguments& a, Work&) {
  TRY(const auto args, (bind<2>(a, {"default_value", "boolean"})));
  const bool replaced = v.is_undefined() || (truthy(args[1]) && !v.truthy());
  if (!replaced) return v;
  return args[0] != nullptr ? *args[0] : Value(Text());
}

Result<Value> first_filter(const Value& v, const Arguments& a, Work& work) {
  CHECK_OK((bind<0>(a, {})));
  TRY(const auto items, iterate(v, work));
  return items.empty() ? Value::undefined("there is no first item") : items.front();
}

Result<Value> last_filter(const Value& v, const Arguments& a, Work& work) {
  CHECK_OK((bind<0>(a, {})));
  if (const List* l = v.list(); l != nullptr && l->kind == List::Kind::once)
    return fail(Errc::invalid, "a generator has no last item: make it a list with '| list'");
  if (v.text() != nullptr && v.text()->marked())
    return fail(Errc::unsupported,
                "'last' of a string that went through 'safe' or 'escape' is not supported");
  TRY(const auto items, iterate(v, work));
  return items.empty() ? Value::undefined("there is no last item") : items.back();
}

Result<Value> replace_filter(const Value& v, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<3>(a, {"old", "new", "count"})));
  if (args[0] == nullptr || args[1] == nullptr)
    return fail(Errc::invalid, "'replace' needs what to replace and by what");
  TRY(const Text text, to_text(v, work));
  TRY(const Text from, to_text(*args[0], work));
  TRY(const Text to, to_text(*args[1], work));
  return call_method(
      {Value(text.unmarked()), "replace"},
      {{Value(from), Value(to),
        args[2] == nullptr || args[2]->is_none() ? Value(std::int64_t{-1}) : *args[2]},
       {}},
      work);
}

// int(text) and float(text), surrounding space and '_' between digits included.
template <class T>
std::optional<T> parse_number(const Text& text) {
  const std::string written = trim(text, Side::both).bytes();
  const auto digit = [&](std::size_t i) {
    return i < written.size() && written[i] >= '0' && written[i] <= '9';
  };
  std::string s;
  for (std::size_t i = 0; i < written.size(); ++i)
    if (written[i] != '_' || i == 0 || !digit(i - 1) || !digit(i + 1)) s += written[i];
  if (!s.empty() && s[0] == '+' && (s.size() < 2 || s[1] != '-')) s.erase(0, 1);
  T out{};
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), out);
  if (s.empty() || error != std::errc() || end != s.data() + s.size()) return std::nullopt;
  return out;
}

Result<Value> int_of_float(double d, const Value& otherwise) {
  if (std::isnan(d)) return otherwise;
  if (std::abs(d) >= 9.2e18)
    return fail(Errc::unsupported, "an integer beyond 64 bits is not supported");
  return Value(static_cast<std::int64_t>(d));
}

Result<Value> int_filter(const Value& v, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<1>(a, {"default"})));
  const Value otherwise = args[0] != nullptr ? *args[0] : Value(std::int64_t{0});
  if (v.is_undefined()) return undefined_error(v);
  if (const auto i = v.integer()) return Value(*i);
  if (const auto d = v.number()) return int_of_float(*d, otherwise);
  if (v.text() == nullptr) return otherwise;
  CHECK_OK(work.spend_bytes(v.text()->size()));
  if (const auto i = parse_number<std::int64_t>(*v.text())) return Value(*i);
  if (const auto d = parse_number<double>(*v.text())) return int_of_float(*d, otherwise);
  return otherwise;
}

Result<Value> float_filter(const Value& v, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<1>(a, {"default"})));
  if (v.is_undefined()) return undefined_error(v);
  if (const auto d = v.number()) return Value(*d);
  if (v.text() != nullptr) {
    CHECK_OK(work.spend_bytes(v.text()->size()));
    if (const auto d = parse_number<double>(*v.text())) return Value(*d);
  }
  return args[0] != nullptr ? *args[0] : Value(0.0);
}

Result<Value> string_filter(const Value& v, const Arguments& a, Work& work) {
  CHECK_OK((bind<0>(a, {})));
  return as_value(to_text(v, work));
}

Result<Value> safe_filter(const Value& v, const Arguments& a, Work& work) {
  CHECK_OK((bind<0>(a, {})));
  TRY(const Text text, to_text(v, work));
  return Value(text.marked_safe());
}

Result<Value> list_filter(const Value& v, const Arguments& a, Work& work) {
  CHECK_OK((bind<0>(a, {})));
  TRY(auto items, iterate(v, work));
  return make_list(std::move(items));
}

Result<Value> items_filter(const Value& v, const Arguments& a, Work& work) {
  CHECK_OK((bind<0>(a, {})));
  if (v.is_undefined()) return make_list({}, List::Kind::once);
  if (v.dict() == nullptr)
    return fail(Errc::invalid, "'items' needs a dict, not '{}'", v.type_name());
  TRY(const Value view, call_method({v, "items"}, {}, work));
  return make_list(view.list()->items, List::Kind::once);
}

Result<Value> reverse_filter(const Value& v, const Arguments& a, Work& work) {
  CHECK_OK((bind<0>(a, {})));
  if (v.text() != nullptr)
    return slice(v, Value(None{}), Value(None{}), Value(std::int64_t{-1}), work);
  TRY(auto items, iterate(v, work));
  std::ranges::reverse(items);
  return make_list(std::move(items), List::Kind::once);
}

Result<Value> indent_filter(const Value& v, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<3>(a, {"width", "first", "blank"})));
  Text by;
  if (args[0] != nullptr && args[0]->text() != nullptr) {
    by = *args[0]->text();
  } else {
    TRY(const std::int64_t width, integer_of(args[0], 4));
    if (width > 4096) return fail(Errc::unsupported, "an indent over 4096 is not supported");
    by = Text(std::string(static_cast<std::size_t>(std::max<std::int64_t>(width, 0)), ' '), true);
  }
  TRY(Text text, to_text(v, work));
  if (text.marked() || by.marked())
    return fail(Errc::unsupported,
                "'indent' of a string that went through 'safe' or 'escape' is not supported");
  text.append("\n", true);
  TRY(const auto lines, split_lines(text, work));
  Text out;
  if (truthy(args[1])) out.append(by);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    CHECK_OK(work.spend_bytes(lines[i].weight() + by.weight()));
    if (i > 0) out.append("\n", true);
    if (i > 0 && (truthy(args[2]) || !lines[i].empty())) out.append(by);
    out.append(lines[i]);
  }
  return Value(std::move(out));
}

Result<Value> escape_filter(const Value& v, const Arguments& a, Work& work) {
  CHECK_OK((bind<0>(a, {})));
  TRY(const Text text, to_text(v, work));
  return as_value(escape(text, work));
}

Result<Value> abs_filter(const Value& v, const Arguments& a, Work&) {
  CHECK_OK((bind<0>(a, {})));
  if (v.is_undefined()) return undefined_error(v);
  if (v.integer()) return *v.integer() < 0 ? negate(v) : Value(*v.integer());
  if (v.number()) return Value(std::abs(*v.number()));
  return fail(Errc::invalid, "'abs' needs a number, not '{}'", v.type_name());
}

// The attribute arguments of map, selectattr and the like: "a.b.0", cut once for all items.
class Path {
 public:
  static Result<Path> of(const Value& path, Work& work) {
    Path out;
    if (path.text() == nullptr) {
      out.keys_.push_back(path);
      return out;
    }
    TRY(const auto names, split(*path.text(), ".", work));
    for (const Text& name : names) {
      const auto index = parse_number<std::int64_t>(name);
      out.keys_.push_back(index ? Value(*index) : Value(name));
    }
    return out;
  }

  Result<Value> in(const Value& value, Work& work) const {
    Value out = value;
    for (const Value& key : keys_) {
      TRY(out, subscript(out, key, work));
    }
    return out;
  }

 private:
  std::vector<Value> keys_;
};

// Without an attribute, the item itself.
Result<Path> optional_path(ValuePtr path, Work& work) {
  if (path == nullptr || path->is_none()) return Path();
  return Path::of(*path, work);
}

Result<Value> join_filter(const Value& v, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<2>(a, {"d", "attribute"})));
  Text separator;
  if (args[0] != nullptr) {
    TRY(separator, to_text(*args[0], work));
  }
  TRY(const Path path, optional_path(args[1], work));
  TRY(const auto items, iterate(v, work));
  std::vector<Text> parts;
  for (const Value& item : items) {
    TRY(const Value part, path.in(item, work));
    TRY(Text text, to_text(part, work));
    parts.push_back(std::move(text));
  }
  return as_value(join(parts, separator, work));
}

Arguments without_first(const Arguments& a, std::size_t count) {
  return {{a.positional.begin() + static_cast<std::ptrdiff_t>(count), a.positional.end()}, a.named};
}

// map, select and the like take anything false, None too, for nothing.
Result<std::vector<Value>> chosen_from(const Value& v, Work& work) {
  if (!v.truthy()) return std::vector<Value>();
  return iterate(v, work);
}

Result<Value> map_filter(const Value& v, const Arguments& a, Work& work) {
  TRY(const auto items, chosen_from(v, work));
  std::vector<Value> out;
  if (a.positional.empty()) {
    TRY(const auto args, (bind<2>(a, {"attribute", "default"})));
    if (args[0] == nullptr) return fail(Errc::invalid, "'map' needs a filter or an attribute");
    TRY(const Path path, Path::of(*args[0], work));
    for (const Value& item : items) {
      TRY(Value member, path.in(item, work));
      if (member.is_undefined() && args[1] != nullptr) member = *args[1];
      out.push_back(std::move(member));
    }
  } else {
    const Text* name = a.positional[0].text();
    if (name == nullptr) return fail(Errc::invalid, "'map' needs the name of a filter");
    for (const Value& item : items) {
      CHECK_OK(work.spend(1));
      TRY(Value mapped, apply_filter(name->bytes(), item, without_first(a, 1), work));
      out.push_back(std::move(mapped));
    }
  }
  return make_list(std::move(out), List::Kind::once);
}

template <bool kept, bool by_attribute>
Result<Value> select_filter(const Value& v, const Arguments& a, Work& work) {
  const std::size_t skip = by_attribute ? 1 : 0;
  if (a.positional.size() < skip) return fail(Errc::invalid, "the name of an attribute is missing");
  const Text* test = a.positional.size() > skip ? a.positional[skip].text() : nullptr;
  if (a.positional.size() > skip && test == nullptr)
    return fail(Errc::invalid, "the name of a test must be a string");
  TRY(const Path path, optional_path(by_attribute ? &a.positional[0] : nullptr, work));
  TRY(const auto items, chosen_from(v, work));
  std::vector<Value> out;
  for (const Value& item : items) {
    CHECK_OK(work.spend(1));
    TRY(const Value subject, path.in(item, work));
    bool chosen = subject.truthy();
    if (test != nullptr) {
      TRY(chosen, apply_predicate(test->bytes(), subject, without_first(a, skip + 1), work));
    }
    if (chosen == kept) out.push_back(item);
  }
  return make_list(std::move(out), List::Kind::once);
}

// Sorts places by key, stably; the first error of a comparison is the result.
Result<std::vector<std::size_t>> sorted_places(const std::vector<Value>& keys, bool reverse,
                                               Work& work) {
  std::vector<std::size_t> out(keys.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = i;
  std::optional<Error> problem;
  const auto before = [&](std::size_t a, std::size_t b) {
    if (problem) return false;
    auto r = reverse ? less(keys[b], keys[a], work) : less(keys[a], keys[b], work);
    if (!r) problem = std::move(r).error();
    return r && *r;
  };
  // Insertion into a sorted front: stable, and sound with any comparison.
  std::vector<std::size_t> result;
  for (const std::size_t i : out) {
    CHECK_OK(work.spend(1 + result.size() / 8));
    result.insert(std::ranges::upper_bound(result, i, before), i);
    if (problem) return std::unexpected(*problem);
  }
  return result;
}

Result<Value> sort_key(const Value& value, bool case_sensitive, Work& work) {
  if (case_sensitive || value.text() == nullptr) return value;
  return as_value(change_case(*value.text(), Case::lower, work));
}

Result<Value> sort_filter(const Value& v, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<3>(a, {"reverse", "case_sensitive", "attribute"})));
  TRY(const Path path, optional_path(args[2], work));
  TRY(const auto items, iterate(v, work));
  std::vector<Value> keys;
  for (const Value& item : items) {
    TRY(const Value subject, path.in(item, work));
    TRY(Value key, sort_key(subject, truthy(args[1]), work));
    keys.push_back(std::move(key));
  }
  TRY(const auto places, sorted_places(keys, truthy(args[0]), work));
  std::vector<Value> out;
  for (const std::size_t i : places) out.push_back(items[i]);
  return make_list(std::move(out));
}

Result<Value> dictsort_filter(const Value& v, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<3>(a, {"case_sensitive", "by", "reverse"})));
  if (v.is_undefined()) return undefined_error(v);
  if (v.dict() == nullptr)
    return fail(Errc::invalid, "'dictsort' needs a dict, not '{}'", v.type_name());
  std::size_t place = 0;
  if (args[1] != nullptr) {
    const Text* by = args[1]->text();
    if (by == nullptr || (by->bytes() != "key" && by->bytes() != "value"))
      return fail(Errc::invalid, "'dictsort' sorts by 'key' or 'value'");
    place = by->bytes() == "value" ? 1 : 0;
  }
  TRY(const Value pairs, call_method({v, "items"}, {}, work));
  std::vector<Value> keys;
  for (const Value& pair : pairs.list()->items) {
    TRY(Value key, sort_key(pair.list()->items[place], truthy(args[0]), work));
    keys.push_back(std::move(key));
  }
  TRY(const auto places, sorted_places(keys, truthy(args[2]), work));
  std::vector<Value> out;
  for (const std::size_t i : places) out.push_back(pairs.list()->items[i]);
  return make_list(std::move(out));
}

Result<Value> unique_filter(const Value& v, const Arguments& a, Work& work) {
  TRY(const auto args, (bind<1>(a, {"case_sensitive"})));
  TRY(const auto items, iterate(v, work));
  std::vector<Value> keys, out;
  for (const Value& item : items) {
    TRY(const Value key, sort_key(item, truthy(args[0]), work));
    bool known = false;
    for (std::size_t i = 0; i < keys.size() && !known; ++i) {
      TRY(known, equal(keys[i], key, work));
    }
    if (known) continue;
    keys.push_back(key);
    out.push_back(item);
  }
  return make_list(std::move(out), List::Kind::once);
}

constexpr std::pair<std::string_view, Filter> kFilters[] = {
    {"abs", abs_filter},
    {"capitalize", case_filter<Case::capitalize>},
    {"count", length_filter},
    {"d", default_filter},
    {"default", default_filter},
    {"dictsort", dictsort_filter},
    {"e", escape_filter},
    {"escape", escape_filter},
    {"first", first_filter},
    {"float", float_filter},
    {"indent", indent_filter},
    {"int", int_filter},
    {"items", items_filter},
    {"join", join_filter},
    {"last", last_filter},
    {"length", length_filter},
    {"list", list_filter},
    {"lower", case_filter<Case::lower>},
    {"map", map_filter},
    {"reject", select_filter<false, false>},
    {"rejectattr", select_filter<false, true>},
    {"replace", replace_filter},
    {"reverse", reverse_filter},
    {"safe", safe_filter},
    {"select", select_filter<true, false>},
    {"selectattr", select_filter<true, true>},
    {"sort", sort_filter},
    {"string", string_filter},
    {"title", title_filter},
    {"tojson", tojson_filter},
    {"trim", trim_filter},
    {"unique", unique_filter},
    {"upper", case_filter<Case::upper>},
};

const Filter* find_filter(std::string_view name) {
  for (const auto& [known, filter] : kFilters)
    if (known == name) return &filter;
  return nullptr;
}

}  // namespace

Result<Text> change_case(const Text& text, Case to, Work& work) {
  CHECK_OK(work.spend_bytes(text.size()));
  std::string out = text.bytes();
  bool in_word = false;
  for (std::size_t i = 0; i < out.size(); ++i) {
    char& c = out[i];
    if (static_cast<unsigned char>(c) >= 0x80)
      return fail(Errc::unsupported, "changing the case of letters beyond ASCII is not supported");
    const bool lower = c >= 'a' && c <= 'z', upper = c >= 'A' && c <= 'Z';
    const bool raise =
        to == Case::upper || (to == Case::title && !in_word) || (to == Case::capitalize && i == 0);
    if (raise && lower) c = static_cast<char>(c - 'a' + 'A');
    if (!raise && upper) c = static_cast<char>(c - 'A' + 'a');
    in_word = lower || upper;
  }
  return text.with_bytes(std::move(out));
}

Result<std::int64_t> integer_of(const Value* value, std::int64_t otherwise) {
  if (value == nullptr) return otherwise;
  if (value->is_undefined()) return undefined_error(*value);
  if (const auto i = value->integer()) return *i;
  return fail(Errc::invalid, "an integer is needed, not '{}'", value->type_name());
}

bool is_filter(std::string_view name) { return find_filter(name) != nullptr; }

Result<Value> apply_filter(std::string_view name, const Value& value, const Arguments& arguments,
                           Work& work) {
  const Filter* filter = find_filter(name);
  if (filter == nullptr) return fail(Errc::unsupported, "filter '{}' is not supported", name);
  return (*filter)(value, arguments, work);
}

}  // namespace assay::engine::jinja
