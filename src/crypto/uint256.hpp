// Unsigned 256-bit integers as the EVM has them, for carrying amounts exactly: compared, narrowed,
// written as JSON-RPC quantities. Arithmetic on money happens in narrower types, checked.
#pragma once
#include <compare>
#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay::crypto {

struct Uint256 {
  std::array<std::uint8_t, 32> bytes{};  // big-endian: an ABI word

  Uint256() = default;
  Uint256(std::uint64_t n) {  // NOLINT(google-explicit-constructor): every u64 is one
    for (std::size_t i = 0; i < 8; ++i) bytes[31 - i] = static_cast<std::uint8_t>(n >> (8 * i));
  }
  explicit Uint256(const Hash& word) : bytes(word) {}

  auto operator<=>(const Uint256&) const = default;
  std::optional<std::uint64_t> to_u64() const;  // nullopt: it does not fit
  ByteView minimal() const;                     // without leading zeros; empty for zero
};

// "0x0", "0x41": https://ethereum.org/developers/docs/apis/json-rpc "quantities". Reading accepts
// leading zeros, which some nodes write: the value is the same. Errors: invalid for anything else.
std::string to_quantity(const Uint256& n);
Result<Uint256> parse_quantity(std::string_view text);
Result<std::uint64_t> parse_quantity_u64(std::string_view text);  // invalid when over 2^64-1

}  // namespace assay::crypto
