#include "crypto/uint256.hpp"

#include "base/hex.hpp"

namespace assay::crypto {

std::optional<std::uint64_t> Uint256::to_u64() const {
  const ByteView digits = minimal();
  if (digits.size() > 8) return std::nullopt;
  return load_be<std::uint64_t>(bytes.data() + 24);
}

ByteView Uint256::minimal() const {
  const auto first = std::ranges::find_if(bytes, [](std::uint8_t b) { return b != 0; });
  return {first, bytes.end()};
}

std::string to_quantity(const Uint256& n) {
  std::string digits = to_hex_bare(n.minimal());
  if (digits.empty()) return "0x0";
  return "0x" + digits.substr(digits[0] == '0' ? 1 : 0);
}

Result<Uint256> parse_quantity(std::string_view text) {
  const auto wrong = [&] {
    return fail(Errc::invalid, "not a hexadecimal quantity of at most 256 bits: '{}'",
                text.substr(0, 70));
  };
  if (!text.starts_with("0x") || text.size() < 3 || text.size() > 66) return wrong();
  Uint256 out;
  if (!from_hex(std::string(66 - text.size(), '0') + std::string(text.substr(2)), out.bytes))
    return wrong();
  return out;
}

Result<std::uint64_t> parse_quantity_u64(std::string_view text) {
  TRY(const Uint256 n, parse_quantity(text));
  if (const auto small = n.to_u64()) return *small;
  return fail(Errc::invalid, "the quantity {} exceeds 64 bits", text);
}

}  // namespace assay::crypto
