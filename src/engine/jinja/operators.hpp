// Python's operators on values. Errors are sentences without a place; the
// evaluator adds it.
#pragma once
#include "engine/jinja/value.hpp"

namespace assay::engine::jinja {

enum class Op : std::uint8_t {
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  modulo,
  power,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in,
};

Result<Value> arithmetic(Op op, const Value& a, const Value& b, Work& work);
Result<Value> negate(const Value& value);
Result<bool> compare(Op op, const Value& a, const Value& b, Work& work);
Result<bool> contains(const Value& container, const Value& item, Work& work);

// object.name and object[key]: what is absent is undefined, not an error.
Result<Value> attribute(const Value& object, std::string_view name, Work& work);
Result<Value> subscript(const Value& object, const Value& key, Work& work);
Result<Value> slice(const Value& object, const Value& begin, const Value& end, const Value& step,
                    Work& work);

}  // namespace assay::engine::jinja
