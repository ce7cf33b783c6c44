// Names and what they stand for. A block's own names end with it; macros see
// where they were defined.
#pragma once
#include "engine/jinja/value.hpp"

namespace assay::engine::jinja {

class Scope {
 public:
  explicit Scope(Scope* parent) : parent_(parent) {}
  Scope(const Scope&) = delete;

  // Names outlive the scope: they belong to the template.
  void set(std::string_view name, Value value) { names_[name] = std::move(value); }
  // `passed`: how many scopes were looked into.
  const Value* find(std::string_view name, std::size_t* passed = nullptr) const {
    for (const Scope* s = this; s != nullptr; s = s->parent_) {
      if (passed != nullptr) ++*passed;
      if (const auto it = s->names_.find(name); it != s->names_.end()) return &it->second;
    }
    return nullptr;
  }

 private:
  Scope* parent_;
  std::map<std::string_view, Value> names_;
};

// What `loop` stands for inside a loop.
struct Loop {
  const std::vector<Value>& items;
  std::size_t index = 0;
};
Result<Value> loop_attribute(const Loop& loop, std::string_view name);

}  // namespace assay::engine::jinja
