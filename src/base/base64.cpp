#include "base/base64.hpp"

namespace assay {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNone = 64;

constexpr std::array<std::uint8_t, 256> kValues = [] {
  std::array<std::uint8_t, 256> out{};
  out.fill(kNone);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    out[static_cast<std::uint8_t>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  return out;
}();

}  // namespace

std::string to_base64(ByteView bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t word = 0;
    for (std::size_t j = 0; j < 3; ++j) word = word << 8 | (j < n ? bytes[i + j] : 0u);
    for (std::size_t j = 0; j < 4; ++j)
      out.push_back(j <= n ? kAlphabet[word >> (18 - 6 * j) & 63] : '=');
  }
  return out;
}

Result<Bytes> from_base64(std::string_view text) {
  const auto wrong = [] { return fail(Errc::invalid, "is not base64 (RFC 4648, padded)"); };
  if (text.size() % 4 != 0) return wrong();
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  Bytes out;
  out.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::uint8_t value = kValues[static_cast<std::uint8_t>(text[i])];
    if (value == kNone) return wrong();
    word = word << 6 | value;
    if (i % 4 == 0) continue;
    // After 2, 3 and 4 digits another byte is whole.
    out.push_back(static_cast<std::uint8_t>(word >> (6 - 2 * (i % 4))));
  }
  // What the last digit holds beyond the last byte.
  const std::size_t spare = padding == 2 ? 4 : padding == 1 ? 2 : 0;
  if ((word & ((1u << spare) - 1)) != 0) return wrong();
  return out;
}

}  // namespace assay
