// A template cut into tokens. White space as transformers sets it: trim_blocks
// and lstrip_blocks are on, one newline at the very end is dropped, "\r\n" and
// "\r" count as "\n".
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace assay::engine::jinja {

struct Position {
  std::uint32_t line = 1, column = 1;  // columns count characters
};

// An error at a place: "line 3, column 14: …".
std::unexpected<Error> fail_at(Position at, const Error& error);
template <class... Args>
std::unexpected<Error> fail_at(Position at, Errc code, fmt::format_string<Args...> format,
                               Args&&... args) {
  return fail_at(at, Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

struct Token {
  enum class Kind : std::uint8_t {
    data,  // text outside of tags
    block_begin,
    block_end,
    print_begin,
    print_end,
    name,
    string,  // its value, escapes resolved
    integer,
    real,
    symbol,  // an operator or bracket
    end,
  };
  Kind kind;
  std::string text;
  Position at;
};

// The last token is `end`. Refuses text that is not UTF-8.
Result<std::vector<Token>> tokenize(std::string_view source);

}  // namespace assay::engine::jinja
