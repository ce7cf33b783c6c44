// What a template computes with: Python's values as far as chat templates use
// them. Values are immutable and shared, except namespaces, and never form a
// cycle: namespaces, macros, loops and bound methods cannot be put into lists,
// dictionaries or namespaces.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <variant>

#include "base/json.hpp"
#include "base/result.hpp"
#include "engine/jinja/text.hpp"

namespace assay::engine::jinja {

class Value;
struct Statement;
class Scope;
struct Loop;

// What no value is known for; `why` is the sentence that using it fails with.
struct Undefined {
  std::shared_ptr<const std::string> why;
};
struct None {};
enum class Function : std::uint8_t { range, make_namespace, dict, raise_exception, strftime_now };

struct List {
  // `once` stands for Python's generators: always true, without length or
  // index, and used up by the first loop over it. `view` (dict.keys() and the
  // like) has a length but no index.
  enum class Kind : std::uint8_t { list, tuple, view, range, once };
  std::vector<Value> items;
  Kind kind = Kind::list;
  std::uint32_t depth = 1;
  mutable bool used = false;
};

struct Dict {
  struct Entry;
  std::vector<Entry> entries;         // in insertion order, keys are different
  std::vector<std::uint32_t> sorted;  // indexes of entries, by key
  std::uint32_t depth = 1;

  const Value* find(std::string_view key) const;
};

struct Namespace;
struct Method;
struct Macro {
  const Statement* statement;
  Scope* scope;  // where it was defined
};

class Value {
 public:
  using TextPtr = std::shared_ptr<const Text>;
  using ListPtr = std::shared_ptr<const List>;
  using DictPtr = std::shared_ptr<const Dict>;

  Value() = default;
  template <class T>
    requires std::is_same_v<T, bool>
  Value(T b) : v_(b) {}
  Value(None n) : v_(n) {}
  Value(std::int64_t i) : v_(i) {}
  Value(double d) : v_(d) {}
  Value(Text text) : v_(std::make_shared<const Text>(std::move(text))) {}
  Value(TextPtr text) : v_(std::move(text)) {}
  Value(ListPtr list) : v_(std::move(list)) {}
  Value(DictPtr dict) : v_(std::move(dict)) {}
  Value(std::shared_ptr<Namespace> n) : v_(std::move(n)) {}
  Value(std::shared_ptr<const Method> m) : v_(std::move(m)) {}
  Value(Macro m) : v_(m) {}
  Value(Loop* l) : v_(l) {}
  Value(Function f) : v_(f) {}
  static Value undefined(std::string why);

  template <class T>
  const T* if_is() const {
    return std::get_if<T>(&v_);
  }
  bool is_undefined() const { return v_.index() == 0; }
  bool is_none() const { return if_is<None>() != nullptr; }
  const Text* text() const {
    const auto* p = if_is<TextPtr>();
    return p != nullptr ? p->get() : nullptr;
  }
  const List* list() const {
    const auto* p = if_is<ListPtr>();
    return p != nullptr ? p->get() : nullptr;
  }
  const Dict* dict() const {
    const auto* p = if_is<DictPtr>();
    return p != nullptr ? p->get() : nullptr;
  }
  // Whole numbers, True and False among them, as in Python.
  std::optional<std::int64_t> integer() const;
  std::optional<double> number() const;

  bool truthy() const;
  std::string_view type_name() const;  // Python's
  // May be put into a list, a dictionary or a namespace.
  bool storable() const;
  std::uint32_t depth() const;  // 0 for what holds nothing

 private:
  std::variant<Undefined, None, bool, std::int64_t, double, TextPtr, ListPtr, DictPtr,
               std::shared_ptr<Namespace>, std::shared_ptr<const Method>, Macro, Loop*, Function>
      v_;
};

struct Dict::Entry {
  Text key;
  Value value;
};
struct Namespace {
  std::map<std::string, Value, std::less<>> members;
};
struct Method {
  Value object;
  std::string name;
};

// Containers, refusing what cannot be stored and nesting over kMaxNesting.
inline constexpr std::uint32_t kMaxNesting = 64;
Result<Value> make_list(std::vector<Value> items, List::Kind kind = List::Kind::list);
Result<Value> make_dict(std::vector<Dict::Entry> entries);  // the later of equal keys wins
Status check_storable(const Value& value);

// Strings become content, role names as below.
Result<Value> from_json(const json::value& v, std::uint32_t depth = 0);
// A message: its role is literal if it is one of system, user, assistant and
// tool.
Result<Value> message_from_json(const json::object& message);

// == and <, as Python has them. Fails where Python does, or where the work is
// spent.
Result<bool> equal(const Value& a, const Value& b, Work& work);
Result<bool> less(const Value& a, const Value& b, Work& work);

// What a loop over the value sees: items, characters, keys.
Result<std::vector<Value>> iterate(const Value& value, Work& work);
std::optional<std::size_t> length(const Value& value);
std::unexpected<Error> undefined_error(const Value& value);

}  // namespace assay::engine::jinja
