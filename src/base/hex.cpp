#include "base/hex.hpp"

namespace assay {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string to_hex_bare(ByteView bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (auto b : bytes) {
    out.push_back(kDigits[b >> 4]);
    out.push_back(kDigits[b & 15]);
  }
  return out;
}

std::string to_hex(ByteView bytes) { return "0x" + to_hex_bare(bytes); }

Status from_hex(std::string_view text, std::span<std::uint8_t> out) {
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  if (text.size() != out.size() * 2)
    return fail(Errc::invalid, "expected {} hex digits, found {}", out.size() * 2, text.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return fail(Errc::invalid, "not a hex digit at offset {}", 2 * i);
    out[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return {};
}

Result<Bytes> from_hex(std::string_view text) {
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  if (text.size() % 2 != 0) return fail(Errc::invalid, "odd number of hex digits");
  Bytes out(text.size() / 2);
  CHECK_OK(from_hex(text, out));
  return out;
}

}  // namespace assay
