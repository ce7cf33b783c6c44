// x402 version 2 (github.com/coinbase/x402, specs/x402-specification-v2.md and
// transports-v2/http.md), as far as we speak it: the scheme `exact` on an EVM chain, by EIP-3009
// authorizations, and the extension `payment-identifier`; channels are in x402_channel.hpp. What of
// it is ours to choose is in spec/x402.md.
//
// The three headers carry base64 of JSON. Whatever is not known is ignored; what is known is read
// strictly. Errors: invalid, unless another is named.
#pragma once
#include <optional>

#include "base/json.hpp"
#include "protocol/typed.hpp"

namespace assay::protocol::x402 {

inline constexpr std::string_view kRequiredHeader = "payment-required";
inline constexpr std::string_view kSignatureHeader = "payment-signature";
inline constexpr std::string_view kResponseHeader = "payment-response";
inline constexpr std::size_t kHeaderBytesMax = 16u << 10;
inline constexpr std::string_view kExact = "exact";

// What may be paid: one member of `accepts`. The token's EIP-712 domain is {name, version, chain,
// asset}; `amount` is in its atomic units, which are micro-units where it has 6 decimals.
struct Requirements {
  std::uint64_t chain_id = 0;
  Address asset{}, pay_to{};
  Micros amount = 0;
  std::uint32_t timeout_s = 0;
  std::string name{}, version{};
  bool operator==(const Requirements&) const = default;
};
json::object to_json(const Requirements& terms);
// unsupported: another scheme, network family or transfer method than ours, or an amount that is
// not a positive 63-bit integer.
Result<Requirements> requirements_from_json(const json::object& o);

struct Required {
  std::string error{};
  json::object resource{};  // {"url", "description"?, "mimeType"?}
  json::array accepts{};    // as sent: other schemes may be among them
  json::object extensions{};
};
std::string to_header(const Required& required);
Result<Required> required_from_header(std::string_view header);

// EIP-3009's TransferWithAuthorization. Times are Unix seconds.
struct Authorization {
  Address from{}, to{};
  Micros value = 0;
  std::uint64_t valid_after = 0, valid_before = 0;
  Hash nonce{};
  bool operator==(const Authorization&) const = default;
};
// What `from` signs, under the token's domain.
Hash digest(const Requirements& token, const Authorization& authorization);

struct Payment {
  Requirements accepted{};
  Authorization authorization{};
  crypto::Signature signature{};
  std::optional<std::string> id{};        // of payment-identifier: 16 to 128 of [A-Za-z0-9_-]
  json::object resource{}, extensions{};  // echoed by a payer; a seller does not need them
};
std::string to_header(const Payment& payment);
Result<Payment> payment_from_header(std::string_view header);

struct Settled {
  bool success = false;
  std::string error{};  // errorReason
  Address payer{};
  std::optional<Hash> transaction{};
  std::uint64_t chain_id = 0;
  std::optional<Micros> amount = 0;  // none: nothing moved on the chain, which channels have
  json::object extra{};              // of a channel
};
std::string to_header(const Settled& settled);
Result<Settled> settled_from_header(std::string_view header);

// "eip155:8453". unsupported for another namespace.
std::string network_of(std::uint64_t chain_id);
Result<std::uint64_t> chain_of(std::string_view network);

inline constexpr std::string_view kPaymentIdentifier = "payment-identifier";
// What a seller declares: an identifier is welcome, not required.
json::object identifier_extension();
bool valid_identifier(std::string_view id);
// The declared extensions with `id` added, where payment-identifier is among them.
json::object with_identifier(json::object declared, std::string_view id);

}  // namespace assay::protocol::x402
