// Ed25519 (RFC 8032, pure): the signatures of transparency logs and their witnesses. A signature
// whose s is not below the group order is refused, so there is one signature of a text per key.
#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay::crypto {

using Ed25519PublicKey = std::array<std::uint8_t, 32>;
using Ed25519Signature = std::array<std::uint8_t, 64>;

// The 32 bytes RFC 8032 calls the private key; overwritten when destroyed.
struct Ed25519Seed {
  std::array<std::uint8_t, 32> bytes{};

  Ed25519Seed() = default;
  Ed25519Seed(const Ed25519Seed&) = default;
  Ed25519Seed& operator=(const Ed25519Seed&) = default;
  ~Ed25519Seed();
};

Ed25519PublicKey ed25519_public_key(const Ed25519Seed& seed);
Ed25519Signature ed25519_sign(ByteView message, const Ed25519Seed& seed);
// Takes hostile signatures. The key is one that was configured: for points of small order, which
// nobody has as a key, there are "signatures" that nobody made.
bool ed25519_verify(ByteView message, const Ed25519Signature& signature,
                    const Ed25519PublicKey& key);

}  // namespace assay::crypto
