// A parsed template.
#pragma once
#include <memory>
#include <vector>

#include "engine/jinja/lexer.hpp"
#include "engine/jinja/operators.hpp"

namespace assay::engine::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

struct Expression {
  enum class Kind : std::uint8_t {
    constant,     // value
    name,         // name
    captured,     // the text of the block that a filter follows
    list,         // operands
    tuple,        // operands
    dict,         // operands: key, value, key, value, …
    attribute,    // operands[0], name
    subscript,    // operands[0] [operands[1]]
    slice,        // operands[0] [operands[1..3]], absent ones null
    call,         // operands[0] (the rest, named)
    filter,       // operands[0] | name (the rest, named)
    test,         // operands[0] is name (the rest, named)
    logical_not,  // operands[0]
    negative,     // operands[0]
    positive,     // operands[0]
    logical_and,  // operands
    logical_or,   // operands
    arithmetic,   // operands[0] ops[0] operands[1]
    compare,      // operands[0] ops[0] operands[1] ops[1] …
    concat,       // operands
    conditional,  // operands: condition, then, otherwise (may be null)
  };
  Kind kind;
  Position at;
  std::string name;
  Value value;
  std::vector<ExpressionPtr> operands;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  std::vector<Op> ops;
  std::uint32_t depth = 1;
};

struct Statement;
using Body = std::vector<std::unique_ptr<const Statement>>;

// What a value is given to: names, or one attribute of a namespace.
struct Target {
  std::vector<std::string> names;  // more than one: unpacked
  bool unpacked = false;
  std::string member;  // of the namespace names[0]
};

struct Branch {
  ExpressionPtr condition;  // null: else
  Body body;
};

struct Parameter {
  std::string name;
  ExpressionPtr otherwise;  // may be null
};

struct Statement {
  enum class Kind : std::uint8_t {
    data,     // text
    print,    // value
    branch,   // branches
    loop,     // target, value, condition (may be null), body, otherwise
    set,      // target, value
    capture,  // target, body, value: an expression over the captured text
    filter,   // body, value: the same, printed
    macro,    // name, parameters, body
    group,    // body
    stop,     // break
    next,     // continue
  };
  Kind kind;
  Position at;
  Value text;
  std::string name;
  Target target;
  ExpressionPtr value, condition;
  std::vector<Branch> branches;
  std::vector<Parameter> parameters;
  Body body, otherwise;
};

}  // namespace assay::engine::jinja
