// Hybrid public key encryption (RFC 9180), base mode, one message: DHKEM(X25519, HKDF-SHA256),
// HKDF-SHA256, ChaCha20-Poly1305. What is sealed only the key's holder reads; who sealed it, it
// does not say.
#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay::crypto {

using X25519PublicKey = std::array<std::uint8_t, 32>;

// Overwritten when destroyed.
struct X25519SecretKey {
  std::array<std::uint8_t, 32> bytes{};

  X25519SecretKey() = default;
  explicit X25519SecretKey(const std::array<std::uint8_t, 32>& b) : bytes(b) {}
  X25519SecretKey(const X25519SecretKey&) = default;
  X25519SecretKey& operator=(const X25519SecretKey&) = default;
  ~X25519SecretKey();
};

X25519PublicKey x25519_public_key(const X25519SecretKey& key);

inline constexpr std::size_t kHpkeOverhead = 32 + 16;  // encapsulated key, tag

// enc ‖ ciphertext. `ephemeral` is drawn for this message alone. invalid: `to` is no key (a point
// of small order).
Result<Bytes> hpke_seal(const X25519PublicKey& to, ByteView info, ByteView aad, ByteView plaintext,
                        const X25519SecretKey& ephemeral);
// mismatch: sealed for another key, info or aad, or altered.
Result<Bytes> hpke_open(const X25519SecretKey& key, ByteView info, ByteView aad, ByteView sealed);

}  // namespace assay::crypto
