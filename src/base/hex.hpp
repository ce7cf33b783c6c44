// Hexadecimal text as Ethereum tools write it: lower case, "0x" in front; both accepted on input.
#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay {

std::string to_hex(ByteView bytes);       // "0x…"
std::string to_hex_bare(ByteView bytes);  // no prefix
Result<Bytes> from_hex(std::string_view text);
// Exactly out.size() bytes.
Status from_hex(std::string_view text, std::span<std::uint8_t> out);

template <std::size_t N>
Result<std::array<std::uint8_t, N>> array_from_hex(std::string_view text) {
  std::array<std::uint8_t, N> out{};
  CHECK_OK(from_hex(text, std::span<std::uint8_t>(out)));
  return out;
}

}  // namespace assay
