#include "engine/tokenizer/unicode.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include "engine/tokenizer/unicode_table.hpp"

namespace assay::engine {
namespace {

constexpr std::uint32_t kReplacement = 0xfffd, kLast = 0x10ffff;

CharClass look_up(std::uint32_t code) {
  const auto after = std::ranges::upper_bound(kUnicodeClasses, code << 3 | 7);
  return static_cast<CharClass>(*std::prev(after) & 7);
}

// The code point at the front and its bytes; 0 bytes: not UTF-8.
struct Decoded {
  std::uint32_t code;
  std::size_t bytes;
};

Decoded decode(std::string_view s) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(s[i]); };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead < 0xc0   ? 0
                             : lead < 0xe0 ? 2
                             : lead < 0xf0 ? 3
                             : lead < 0xf8 ? 4
                                           : 0;
  if (length == 0 || length > s.size()) return {0, 0};
  std::uint32_t code = lead & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {0, 0};
    code = code << 6 | (byte(i) & 0x3fu);
  }
  return code > kLast ? Decoded{0, 0} : Decoded{code, length};
}

// Printable Latin-1 bytes are themselves; the others follow from U+0100 in order.
constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte != 0xad);
}

// Byte of each alphabet character below U+0144; −1: none.
constexpr auto kByteOfCode = [] {
  std::array<int, 256 + 68> out{};
  out.fill(-1);
  unsigned next = 256;
  for (unsigned byte = 0; byte < 256; ++byte)
    out[stands_for_itself(byte) ? byte : next++] = static_cast<int>(byte);
  return out;
}();

// The other way round.
constexpr auto kCharacters = [] {
  std::array<std::uint16_t, 256> out{};
  for (std::size_t i = 0; i < kByteOfCode.size(); ++i)
    if (kByteOfCode[i] >= 0)
      out[static_cast<std::size_t>(kByteOfCode[i])] = static_cast<std::uint16_t>(i);
  return out;
}();

}  // namespace

CharClass char_class(std::uint32_t code) {
  static const auto kAscii = [] {
    std::array<CharClass, 128> out{};
    for (std::uint32_t c = 0; c < out.size(); ++c) out[c] = look_up(c);
    return out;
  }();
  return code < kAscii.size() ? kAscii[code] : look_up(code);
}

std::size_t utf8_length(std::uint32_t code) {
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto tail = [&](unsigned shift) {
    out += static_cast<char>(0x80 | (code >> shift & 0x3f));
  };
  switch (utf8_length(code)) {
    case 1:
      out += static_cast<char>(code);
      return;
    case 2:
      out += static_cast<char>(0xc0 | code >> 6);
      break;
    case 3:
      out += static_cast<char>(0xe0 | code >> 12);
      tail(6);
      break;
    default:
      out += static_cast<char>(0xf0 | code >> 18);
      tail(12);
      tail(6);
  }
  tail(0);
}

CodePoints::CodePoints(std::string_view text) {
  bytes.reserve(text.size());
  codes.reserve(text.size());
  classes.reserve(text.size());
  while (!text.empty()) {
    const Decoded next = decode(text);
    const std::uint32_t code = next.bytes == 0 ? kReplacement : next.code;
    append_utf8(bytes, code);
    codes.push_back(code);
    classes.push_back(char_class(code));
    text.remove_prefix(std::max<std::size_t>(1, next.bytes));
  }
}

void append_alphabet(std::string& out, std::uint8_t byte) { append_utf8(out, kCharacters[byte]); }

bool bytes_of_alphabet(std::string_view entry, std::string& out) {
  out.clear();
  while (!entry.empty()) {
    const Decoded next = decode(entry);
    if (next.bytes == 0 || next.code >= kByteOfCode.size() || kByteOfCode[next.code] < 0)
      return false;
    out += static_cast<char>(kByteOfCode[next.code]);
    entry.remove_prefix(next.bytes);
  }
  return true;
}

}  // namespace assay::engine
