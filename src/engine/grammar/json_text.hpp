// JSON (RFC 8259) as paths through a regular language: UTF-8 (RFC 3629) in strings, at most one
// space after a colon or comma, and no other white space.
#pragma once
#include <optional>

#include "base/json.hpp"
#include "engine/grammar/regular.hpp"

namespace assay::engine {

class JsonText {
 public:
  using State = Regular::State;
  explicit JsonText(Regular& to) : to_(to) {}

  // One character of a string: itself, or an escape of one; a surrogate pair is one character.
  void character(State from, State to);
  // Any character, as UTF-8: no escapes, and no quotes, backslashes or controls.
  void plain(State from, State to);
  // A character that is no ASCII; any character at all.
  void beyond_ascii(State from, State to);
  void anything(State from, State to);
  // From after the opening quote: at least `least` characters, at most `most`, closing quote.
  State string_rest(State from, std::size_t least = 0, std::optional<std::size_t> most = {});
  State string(State from) { return string_rest(to_.text(from, "\"")); }
  // digits: most before the point, and after it; 0: as many as one likes. Exponents have at most 2.
  State number(State from, std::size_t digits, bool integer = false);
  // A value of any type, at most `depth` objects and arrays inside each other.
  State any(State from, unsigned depth);
  // An object of such values; depth ≥ 1.
  State object(State from, unsigned depth);
  // A key that is none of these names, with both quotes, written without escapes.
  State other_key(State from, const std::vector<std::string>& names);
  // ',' or ':', and perhaps a space.
  State then(State from, char separator);

  // The one spelling of a given value that an answer may have.
  static std::string spelling(const json::value& value);

 private:
  void byte(State from, unsigned first, unsigned last, State to) {
    to_.byte(from, static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(last), to);
  }
  void continuation(State from, unsigned count, State to);
  State hex(State from);
  // A first digit from `first` on, then others, `most` in all.
  State digits(State from, std::size_t first, std::size_t most);

  Regular& to_;
};

}  // namespace assay::engine
