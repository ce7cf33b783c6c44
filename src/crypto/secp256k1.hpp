// Ethereum accounts on secp256k1: addresses (EIP-55 text), deterministic signatures (RFC 6979,
// low-s as in EIP-2) and recovery. Whoever compares addresses has verified the signature:
// recover() yields the signer, the caller checks that it is the expected one.
#pragma once
#include <compare>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay::crypto {

// The last 20 bytes of keccak256(public key). All zero is nobody.
struct Address {
  std::array<std::uint8_t, 20> bytes{};

  auto operator<=>(const Address&) const = default;
  bool is_zero() const { return *this == Address{}; }
  // "0x…" with the EIP-55 checksum in the letters' case.
  std::string to_string() const;
  // Accepts "0x" and 40 hex digits: all lower case, or the correct checksum. Errors: invalid
  // for another form or a wrong checksum, which is what a mistyped address looks like.
  static Result<Address> parse(std::string_view text);
};

// 32 bytes in [1, n-1]; overwritten when destroyed.
struct SecretKey {
  std::array<std::uint8_t, 32> bytes{};

  SecretKey() = default;
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;
  ~SecretKey();
};

// r ‖ s ‖ v, big-endian, v = 27 or 28, s at most half the group order.
struct Signature {
  std::array<std::uint8_t, 65> bytes{};
  bool operator==(const Signature&) const = default;
};

// The point x ‖ y, big-endian: what tools outside Ethereum know a signer by.
struct PublicKey {
  std::array<std::uint8_t, 64> bytes{};
  bool operator==(const PublicKey&) const = default;
};

// Errors: invalid when not 32 bytes, zero, or not below the group order.
Result<SecretKey> secret_key(ByteView bytes);
// `key` comes from secret_key(); another one is a programmer error.
Address address_of(const SecretKey& key);
Signature sign(const Hash& digest, const SecretKey& key);
// The address whose key signed `digest`. Errors: mismatch for a malformed signature: r or s out of
// range, high s (a second form of the same signature), v other than 27 and 28, no such point.
Result<Address> recover(const Hash& digest, const Signature& signature);
Result<PublicKey> recover_key(const Hash& digest, const Signature& signature);

PublicKey public_key_of(const SecretKey& key);
Address address_of(const PublicKey& key);
// PEM of the SubjectPublicKeyInfo (RFC 5480): what OpenSSL and its like read.
std::string to_pem(const PublicKey& key);

// ES256K (RFC 8812): ECDSA over SHA-256, r ‖ s with s low, and no v. Checked against an address, as
// everything here is: both points that r stands for are tried. The key that signed, or mismatch.
using PlainSignature = std::array<std::uint8_t, 64>;
PlainSignature plain(const Signature& signature);
Result<PublicKey> check_plain(const Hash& digest, const PlainSignature& signature,
                              const Address& signer);
// The DER form (RFC 3279) of the same numbers. Errors: invalid unless it is exactly the DER of
// two positive numbers of at most 32 bytes.
Bytes to_der(const PlainSignature& signature);
Result<PlainSignature> from_der(ByteView der);

}  // namespace assay::crypto
