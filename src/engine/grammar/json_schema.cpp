#include "engine/grammar/json_schema.hpp"

#include <algorithm>
#include <set>

namespace assay::engine {
namespace {

constexpr std::size_t kDigits = 15;
constexpr std::size_t kNestingMax = 64;  // schemas inside each other, references followed
constexpr std::size_t kCountMax = 1u << 16;
const json::value kAny(true);

constexpr std::string_view kPassedOver[] = {"$schema",     "$id",       "$comment", "title",
                                            "description", "default",   "examples", "deprecated",
                                            "readOnly",    "writeOnly", "$defs",    "definitions"};
constexpr std::string_view kWords[] = {
    "type",  "enum",     "const",    "anyOf",     "properties", "required", "additionalProperties",
    "items", "minItems", "maxItems", "minLength", "maxLength",  "$ref"};

bool is_one_of(std::string_view word, std::span<const std::string_view> words) {
  return std::ranges::find(words, word) != words.end();
}

template <class... T>
std::unexpected<Error> wrong(Errc code, const std::string& path, fmt::format_string<T...> text,
                             T&&... args) {
  return fail(code, "{}: {}", path.empty() ? "/" : path,
              fmt::format(text, std::forward<T>(args)...));
}

// As in a JSON pointer (RFC 6901).
std::string escaped(std::string_view name) {
  std::string out;
  for (const char c : name) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

bool has_type(const json::value& v, std::string_view type) {
  if (type == "null") return v.is_null();
  if (type == "boolean") return v.is_bool();
  if (type == "string") return v.is_string();
  if (type == "object") return v.is_object();
  if (type == "array") return v.is_array();
  if (type == "number") return v.is_number();
  return type == "integer" && v.is_number() &&
         (!v.is_double() || v.get_double() == static_cast<double>(static_cast<std::int64_t>(
                                                  std::clamp(v.get_double(), -9e15, 9e15))));
}

Result<std::vector<std::string_view>> types_of(const json::object& schema,
                                               const std::string& path) {
  constexpr std::string_view kTypes[] = {"null",  "boolean", "string", "object",
                                         "array", "number",  "integer"};
  std::vector<std::string_view> out;
  const json::value* type = schema.if_contains("type");
  if (type == nullptr) return out;
  const auto take = [&](const json::value& v) -> Status {
    const auto* s = v.if_string();
    if (s == nullptr || !is_one_of(*s, kTypes))
      return wrong(Errc::invalid, path + "/type", "{} is no type of JSON Schema", json::dump(v));
    out.push_back(*s);
    return {};
  };
  if (const json::array* list = type->if_array()) {
    for (const json::value& v : *list) CHECK_OK(take(v));
  } else {
    CHECK_OK(take(*type));
  }
  if (out.empty()) return wrong(Errc::invalid, path + "/type", "an empty list");
  return out;
}

Result<std::optional<std::size_t>> count_of(const json::object& schema, std::string_view word,
                                            const std::string& path) {
  const json::value* v = schema.if_contains(word);
  if (v == nullptr) return std::nullopt;
  std::int64_t n = -1;
  if (v->is_int64()) n = v->get_int64();
  if (n < 0 || n > static_cast<std::int64_t>(kCountMax))
    return wrong(Errc::invalid, path + "/" + std::string(word),
                 "must be a whole number from 0 to {}", kCountMax);
  return static_cast<std::size_t>(n);
}

}  // namespace

Result<Regular::State> JsonSchema::add(State from) { return add(from, root_, ""); }

Result<Regular::State> JsonSchema::add(State from, const json::value& schema,
                                       const std::string& path) {
  if (to_.too_large()) return to_.state();  // minimal() says so
  if (std::ranges::count(path, '/') > static_cast<std::ptrdiff_t>(2 * kNestingMax) ||
      open_.size() > kNestingMax)
    return wrong(Errc::refused, path, "schemas are nested too deeply");
  if (const bool* all = schema.if_bool()) {
    if (*all) return text_.any(from, kAnyDepth);
    return wrong(Errc::unsupported, path, "no value is valid under 'false'");
  }
  const json::object* o = schema.if_object();
  if (o == nullptr) return wrong(Errc::invalid, path, "a schema is an object, true or false");
  for (const auto& [word, unused] : *o)
    if (!is_one_of(word, kWords) && !is_one_of(word, kPassedOver))
      return wrong(Errc::unsupported, path + "/" + escaped(word),
                   "'{}' is not among what an answer can be held to here", std::string_view(word));
  // Words that would have to hold together with others: only alone.
  for (const std::string_view alone : {"$ref", "anyOf"})
    if (o->contains(alone)) {
      for (const auto& [word, unused] : *o)
        if (word != alone && !is_one_of(word, kPassedOver))
          return wrong(Errc::unsupported, path + "/" + std::string(word),
                       "'{}' beside '{}' is not supported: put it inside", std::string_view(word),
                       alone);
      return alone == "$ref" ? reference(from, o->at(alone), path + "/$ref")
                             : any_of(from, o->at(alone), path + "/anyOf");
    }
  if (o->contains("enum") || o->contains("const")) return given(from, *o, path);

  TRY(std::vector<std::string_view> types, types_of(*o, path));
  if (types.empty()) {
    // Words about one type of value are taken to ask for it.
    for (const auto& [type, words] :
         {std::pair<std::string_view, std::vector<std::string_view>>{
              "object", {"properties", "required", "additionalProperties"}},
          {"array", {"items", "minItems", "maxItems"}},
          {"string", {"minLength", "maxLength"}}})
      if (std::ranges::any_of(words, [&](std::string_view w) { return o->contains(w); }))
        types.push_back(type);
    if (types.empty()) return text_.any(from, kAnyDepth);
  }
  const State end = to_.state();
  for (const std::string_view type : types) {
    TRY(const State last, typed(from, type, *o, path));
    to_.skip(last, end);
  }
  return end;
}

Result<Regular::State> JsonSchema::reference(State from, const json::value& to,
                                             const std::string& path) {
  const auto* target = to.if_string();
  if (target == nullptr) return wrong(Errc::invalid, path, "must be a string");
  const std::string_view name = *target;
  const json::value* schema = nullptr;
  if (name == "#") schema = &root_;
  for (const std::string_view place : {"$defs", "definitions"}) {
    const std::string prefix = fmt::format("#/{}/", place);
    if (!name.starts_with(prefix)) continue;
    std::string key;
    for (std::size_t i = prefix.size(); i < name.size(); ++i) {
      if (name[i] == '~' && i + 1 < name.size()) {
        key += name[++i] == '1' ? '/' : '~';
      } else {
        key += name[i];
      }
    }
    const json::object* root = root_.if_object();
    const json::value* all = root ? root->if_contains(place) : nullptr;
    const json::object* definitions = all ? all->if_object() : nullptr;
    if (definitions) schema = definitions->if_contains(key);
  }
  if (schema == nullptr)
    return wrong(Errc::unsupported, path,
                 "'{}' is not found: '#', '#/$defs/…' and '#/definitions/…' of this schema are",
                 name);
  if (std::ranges::count(open_, schema) > kRefDepthMax) return to_.state();  // no way on from here
  open_.push_back(schema);
  auto out = add(from, *schema, path);
  open_.pop_back();
  return out;
}

Result<Regular::State> JsonSchema::any_of(State from, const json::value& list,
                                          const std::string& path) {
  const json::array* schemas = list.if_array();
  if (schemas == nullptr || schemas->empty())
    return wrong(Errc::invalid, path, "must be a list of schemas");
  const State end = to_.state();
  for (std::size_t i = 0; i < schemas->size(); ++i) {
    TRY(const State last, add(from, (*schemas)[i], fmt::format("{}/{}", path, i)));
    to_.skip(last, end);
  }
  return end;
}

Result<Regular::State> JsonSchema::given(State from, const json::object& schema,
                                         const std::string& path) {
  for (const auto& [word, unused] : schema)
    if (word != "enum" && word != "const" && word != "type" && !is_one_of(word, kPassedOver))
      return wrong(Errc::unsupported, path + "/" + std::string(word),
                   "'{}' beside given values is not supported", std::string_view(word));
  TRY(const std::vector<std::string_view> types, types_of(schema, path));
  const json::value* constant = schema.if_contains("const");
  std::vector<json::value> values;
  if (const json::value* list = schema.if_contains("enum")) {
    const json::array* given = list->if_array();
    if (given == nullptr || given->empty())
      return wrong(Errc::invalid, path + "/enum", "must be a list of values");
    values.assign(given->begin(), given->end());
  } else {
    values.push_back(*constant);
  }
  const State end = to_.state();
  for (const json::value& v : values) {
    if (constant != nullptr && v != *constant) continue;
    if (types.empty() ||
        std::ranges::any_of(types, [&](std::string_view type) { return has_type(v, type); }))
      to_.text(from, JsonText::spelling(v), end);
  }
  return end;
}

Result<Regular::State> JsonSchema::typed(State from, std::string_view type,
                                         const json::object& schema, const std::string& path) {
  if (type == "object") return object(from, schema, path);
  if (type == "array") return array(from, schema, path);
  if (type == "string") return string(from, schema, path);
  if (type == "null") return to_.text(from, "null");
  if (type != "boolean") return text_.number(from, kDigits, type == "integer");
  const State end = to_.state();
  to_.text(from, "true", end);
  to_.text(from, "false", end);
  return end;
}

Result<Regular::State> JsonSchema::object(State from, const json::object& schema,
                                          const std::string& path) {
  const json::value* properties = schema.if_contains("properties");
  const json::object kNone;
  const json::object* members = properties ? properties->if_object() : &kNone;
  if (members == nullptr) return wrong(Errc::invalid, path + "/properties", "must be an object");
  std::set<std::string, std::less<>> required;
  if (const json::value* list = schema.if_contains("required")) {
    const json::array* names = list->if_array();
    if (names == nullptr) return wrong(Errc::invalid, path + "/required", "must be a list");
    for (const json::value& name : *names) {
      const auto* s = name.if_string();
      if (s == nullptr || !members->contains(*s))
        return wrong(Errc::unsupported, path + "/required", "{} is not among the properties",
                     json::dump(name));
      required.emplace(*s);
    }
  }
  // Before a member: none written yet; one written, so that a comma is due.
  State none = to_.text(from, "{"), some = to_.state();
  std::vector<std::string> names;
  for (const auto& [name, value] : *members) {
    names.emplace_back(name);
    const State key = to_.state(), none_after = to_.state(), some_after = to_.state();
    to_.skip(none, key);
    to_.skip(text_.then(some, ','), key);
    const State colon = text_.then(to_.text(key, JsonText::spelling(json::value(name))), ':');
    TRY(const State last, add(colon, value, path + "/properties/" + escaped(name)));
    to_.skip(last, some_after);
    if (!required.contains(std::string_view(name))) {
      to_.skip(none, none_after);
      to_.skip(some, some_after);
    }
    none = none_after;
    some = some_after;
  }
  const json::value* more = schema.if_contains("additionalProperties");
  const bool open = more == nullptr ? members->empty() : more->is_object() || *more == true;
  if (more != nullptr && !more->is_object() && !more->is_bool())
    return wrong(Errc::invalid, path + "/additionalProperties", "must be a schema");
  if (open) {
    const State key = to_.state(), end = to_.state();
    to_.skip(none, key);
    to_.skip(text_.then(some, ','), key);
    const State colon = text_.then(text_.other_key(key, names), ':');
    TRY(const State last,
        add(colon, more == nullptr ? kAny : *more, path + "/additionalProperties"));
    to_.skip(last, some);
    to_.text(none, "}", end);
    to_.text(some, "}", end);
    return end;
  }
  const State end = to_.state();
  to_.text(none, "}", end);
  to_.text(some, "}", end);
  return end;
}

Result<Regular::State> JsonSchema::array(State from, const json::object& schema,
                                         const std::string& path) {
  TRY(const auto least, count_of(schema, "minItems", path));
  TRY(const auto most, count_of(schema, "maxItems", path));
  if (most && *most < least.value_or(0))
    return wrong(Errc::invalid, path + "/maxItems", "must be at least minItems");
  const json::value* items = schema.if_contains("items");
  const auto item = [&](State at) { return add(at, items ? *items : kAny, path + "/items"); };
  const State end = to_.state();
  State at = to_.text(from, "[");
  if (least.value_or(0) == 0) to_.text(at, "]", end);
  // Counted items one by one, then as many as one likes.
  const std::size_t counted = most.value_or(std::max<std::size_t>(least.value_or(0), 1));
  for (std::size_t i = 1; i <= counted && !to_.too_large(); ++i) {
    State before = at;
    if (!most && i == counted) {
      before = to_.state();
      to_.skip(at, before);
    }
    TRY(const State last, item(before));
    if (i >= least.value_or(0)) to_.text(last, "]", end);
    at = text_.then(last, ',');
    if (!most && i == counted) to_.skip(at, before);
  }
  return end;
}

Result<Regular::State> JsonSchema::string(State from, const json::object& schema,
                                          const std::string& path) {
  TRY(const auto least, count_of(schema, "minLength", path));
  TRY(const auto most, count_of(schema, "maxLength", path));
  if (most && *most < least.value_or(0))
    return wrong(Errc::invalid, path + "/maxLength", "must be at least minLength");
  return text_.string_rest(to_.text(from, "\""), least.value_or(0), most);
}

Result<canon::Automaton> schema_automaton(const json::value& schema) {
  Regular language;
  TRY(const Regular::State end, JsonSchema(language, schema).add(Regular::kStart));
  language.accept(end);
  return language.minimal();
}

Result<canon::Automaton> json_automaton() {
  Regular language;
  language.accept(JsonText(language).object(Regular::kStart, kJsonDepth));
  return language.minimal();
}

}  // namespace assay::engine
