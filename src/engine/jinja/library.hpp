// The filters, tests, methods and functions that templates may use: Jinja's and
// Python's own, as far as chat templates of public models need them.
#pragma once
#include <array>

#include "engine/jinja/value.hpp"

namespace assay::engine::jinja {

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// Arguments by place or name; nullptr where not given. Fails on one that does
// not belong.
template <std::size_t N>
Result<std::array<const Value*, N>> bind(const Arguments& arguments,
                                         const std::array<std::string_view, N>& names) {
  std::array<const Value*, N> out{};
  if (arguments.positional.size() > N)
    return fail(Errc::invalid, "{} arguments where at most {} belong", arguments.positional.size(),
                N);
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) out[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    std::size_t i = 0;
    while (i < N && names[i] != name) ++i;
    if (i == N) return fail(Errc::unsupported, "argument '{}' is not supported", name);
    if (out[i] != nullptr) return fail(Errc::invalid, "argument '{}' is given twice", name);
    out[i] = &value;
  }
  return out;
}

bool is_filter(std::string_view name);
bool is_predicate(std::string_view name);  // "defined", "string", …: what follows 'is'
bool is_method(const Value& object, std::string_view name);
bool is_method_name(std::string_view name);  // of any type

Result<Value> apply_filter(std::string_view name, const Value& value, const Arguments& arguments,
                           Work& work);
Result<bool> apply_predicate(std::string_view name, const Value& value, const Arguments& arguments,
                             Work& work);
Result<Value> call_method(const Method& method, const Arguments& arguments, Work& work);

// Shared by filters and methods.
enum class Case { lower, upper, title, capitalize };
// Letters beyond ASCII are refused.
Result<Text> change_case(const Text& text, Case to, Work& work);
Result<std::int64_t> integer_of(const Value* value, std::int64_t otherwise);

}  // namespace assay::engine::jinja
