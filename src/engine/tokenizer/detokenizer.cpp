#include "engine/tokenizer.hpp"

namespace assay::engine {
namespace {

constexpr std::string_view kUnknownText = "\xef\xbf\xbd";  // U+FFFD

bool continuation(char c) { return (static_cast<std::uint8_t>(c) & 0xc0) == 0x80; }

// Length of the well-formed character at the front; 0: may become one with more bytes;
// otherwise minus the bytes that can never be part of one (Unicode 15, table 3-7).
int scan(std::string_view s) {
  const auto b0 = static_cast<std::uint8_t>(s[0]);
  if (b0 < 0x80) return 1;
  if (b0 < 0xc2 || b0 > 0xf4) return -1;
  const std::size_t length = b0 < 0xe0 ? 2 : b0 < 0xf0 ? 3 : 4;
  if (s.size() > 1) {
    const auto b1 = static_cast<std::uint8_t>(s[1]);
    const bool bad = !continuation(s[1]) || (b0 == 0xe0 && b1 < 0xa0) ||
                     (b0 == 0xed && b1 > 0x9f) || (b0 == 0xf0 && b1 < 0x90) ||
                     (b0 == 0xf4 && b1 > 0x8f);
    if (bad) return -1;
  }
  for (std::size_t i = 2; i < length && i < s.size(); ++i)
    if (!continuation(s[i])) return -static_cast<int>(i);
  return s.size() < length ? 0 : static_cast<int>(length);
}

// Moves what is certain from the front of `text` to `out`; an unfinished character stays.
void move_valid(std::string_view& text, std::string& out) {
  while (!text.empty()) {
    const int n = scan(text);
    if (n == 0) return;
    if (n > 0)
      out += text.substr(0, static_cast<std::size_t>(n));
    else
      out += kUnknownText;
    text.remove_prefix(static_cast<std::size_t>(n > 0 ? n : -n));
  }
}

}  // namespace

std::string valid_utf8(std::string_view text) {
  std::string out;
  move_valid(text, out);
  if (!text.empty()) out += kUnknownText;
  return out;
}

std::string Detokenizer::push(Token token) {
  pending_ += tokenizer_.piece(token);
  std::string out;
  std::string_view rest = pending_;
  move_valid(rest, out);
  pending_ = std::string(rest);
  return out;
}

std::string Detokenizer::finish() {
  std::string out = pending_.empty() ? std::string() : std::string(kUnknownText);
  pending_.clear();
  return out;
}

}  // namespace assay::engine
