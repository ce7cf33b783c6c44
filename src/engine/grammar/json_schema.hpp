// JSON Schema (draft 2020-12, the part below) to the automaton of texts that are valid under it.
// Every text it accepts is valid JSON and validates; not every text that validates is accepted:
// members come in the schema's order, and there is one way to write white space and given values.
//
// type (one or a list), enum, const, anyOf; objects: properties, required, additionalProperties
// (missing: false where there are properties, else true); arrays: items, minItems, maxItems;
// strings: minLength, maxLength; $ref to "#", "#/$defs/…" or "#/definitions/…", followed
// kRefDepthMax times through itself. Words without influence are passed over: $schema, $id,
// $comment, title, description, default, examples, deprecated, readOnly, writeOnly. Everything
// else is refused. Numbers have at most 15 digits before the point, 15 after it.
#pragma once
#include "engine/grammar/json_text.hpp"

namespace assay::engine {

inline constexpr unsigned kRefDepthMax = 4;
// Objects and arrays inside each other where a schema says nothing of a value, and where there is
// no schema.
inline constexpr unsigned kAnyDepth = 3, kJsonDepth = 5;

// Adds the texts of a schema to a language. Errors: unsupported, invalid; they begin with the
// path to what is wrong as a JSON pointer: "/properties/age/minimum: …".
class JsonSchema {
 public:
  // Both must outlive it.
  JsonSchema(Regular& to, const json::value& root) : to_(to), text_(to), root_(root) {}
  Result<Regular::State> add(Regular::State from);

 private:
  using State = Regular::State;
  Result<State> add(State from, const json::value& schema, const std::string& path);
  Result<State> reference(State from, const json::value& to, const std::string& path);
  Result<State> any_of(State from, const json::value& list, const std::string& path);
  Result<State> given(State from, const json::object& schema, const std::string& path);
  Result<State> typed(State from, std::string_view type, const json::object& schema,
                      const std::string& path);
  Result<State> object(State from, const json::object& schema, const std::string& path);
  Result<State> array(State from, const json::object& schema, const std::string& path);
  Result<State> string(State from, const json::object& schema, const std::string& path);

  Regular& to_;
  JsonText text_;
  const json::value& root_;
  std::vector<const json::value*> open_;  // targets of references that are being followed
};

// The whole answer is such a text.
Result<canon::Automaton> schema_automaton(const json::value& schema);
// The whole answer is a JSON object, at most kJsonDepth objects and arrays inside each other.
Result<canon::Automaton> json_automaton();

}  // namespace assay::engine
