#include "tlog/utf8.hpp"

#include <cstdint>

namespace assay::tlog {
namespace {

constexpr std::uint32_t kBad = 0xffffffff;

// Takes one code point off the front; kBad leaves `text` anywhere.
std::uint32_t next(std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) {
    text.remove_prefix(1);
    return first;
  }
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return kBad;
  std::uint32_t code = first & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return kBad;
    code = code << 6 | (byte(i) & 0x3fu);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  if (overlong || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff) return kBad;
  text.remove_prefix(length);
  return code;
}

bool is_space(std::uint32_t code) {
  switch (code) {
    case 0x20:
    case 0x85:
    case 0xa0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202f:
    case 0x205f:
    case 0x3000:
      return true;
    default:
      return (code >= 0x09 && code <= 0x0d) || (code >= 0x2000 && code <= 0x200a);
  }
}

}  // namespace

bool valid_utf8(std::string_view text) {
  while (!text.empty())
    if (next(text) == kBad) return false;
  return true;
}

bool has_unicode_space(std::string_view text) {
  while (!text.empty())
    if (is_space(next(text))) return true;
  return false;
}

}  // namespace assay::tlog
