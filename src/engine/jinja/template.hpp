// Jinja as chat templates use it: a small interpreter of the subset that public
// models need, with the settings of Hugging Face transformers (trim_blocks,
// lstrip_blocks, the immutable sandbox). What it accepts gives the text that
// jinja2 gives; everything else is refused with its line and column. A template
// is hostile input: size, nesting, steps and output are bounded.
//
//   statements  if for set macro filter generation break continue raw
//   values      None, booleans, 64-bit integers, floats, strings, lists,
//   tuples, dictionaries library     filters.cpp, predicates.cpp (tests),
//   methods.cpp
#pragma once
#include "engine/jinja/ast.hpp"

namespace assay::engine::jinja {

// A moment in the proleptic Gregorian calendar, of no time zone.
struct Date {
  int year = 1970, month = 1, day = 1;
  int hour = 0, minute = 0, second = 0;
};
Date date_of(std::int64_t unix_seconds);  // UTC
bool is_date(const Date& date);
// strftime() in the C locale. Fails on directives other than aAbBdeHIjmMpSyY%F
// T and their "-" forms.
Result<std::string> format_date(const Date& date, std::string_view format);

struct Variables {
  std::map<std::string, Value, std::less<>> values;
  std::optional<Date> now;  // none: strftime_now is undefined
};

class Template {
 public:
  static Result<Template> parse(std::string_view source);
  Result<Text> render(const Variables& variables) const;

 private:
  std::shared_ptr<const Body> body_;
};

// Of one rendering.
inline constexpr std::uint64_t kMaxWork = 2'000'000;  // steps; 64 bytes of text are one
inline constexpr std::uint32_t kMaxCallDepth = 500;   // expressions and blocks under way
inline constexpr std::int64_t kMaxRange = 100'000;    // as Jinja's sandbox
inline constexpr std::size_t kMaxOutputBytes = 16u << 20;

}  // namespace assay::engine::jinja
