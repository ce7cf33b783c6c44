// Text as pre-tokenizers see it: code points, each with its class. Unicode 15.1.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assay::engine {

// General category L, M, N, P, S; `space` is the property White_Space and comes first.
enum class CharClass : std::uint8_t { other, letter, mark, number, punctuation, symbol, space };

CharClass char_class(std::uint32_t code);
void append_utf8(std::string& out, std::uint32_t code);

// A text read as llama.cpp reads it: what is not UTF-8 by shape (overlong forms and surrogates
// pass) or lies beyond U+10FFFF becomes U+FFFD byte by byte; `bytes` is the UTF-8 of the code
// points.
struct CodePoints {
  std::string bytes;
  std::vector<std::uint32_t> codes;
  std::vector<CharClass> classes;

  explicit CodePoints(std::string_view text);
};

// Bytes of the UTF-8 of one code point.
std::size_t utf8_length(std::uint32_t code);

// GPT-2's byte alphabet: every byte as one printable character ("Ġ" is a space).
// The bytes that a vocabulary entry stands for; false if a character stands for none.
bool bytes_of_alphabet(std::string_view entry, std::string& out);
void append_alphabet(std::string& out, std::uint8_t byte);

}  // namespace assay::engine
