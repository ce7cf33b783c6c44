// What needs libsecp256k1: everything with a secret key, and the point that a signature recovers.
#include <openssl/crypto.h>
#include <secp256k1_recovery.h>

#include "base/assert.hpp"
#include "crypto/secp256k1_point.hpp"

namespace assay::crypto {
namespace {

// Made once and never changed, so that threads share it without a lock.
const secp256k1_context* context() {
  static const secp256k1_context* const c = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
  return c;
}

PublicKey key_of(const secp256k1_pubkey& pubkey) {
  std::array<std::uint8_t, 65> point;
  std::size_t size = point.size();
  secp256k1_ec_pubkey_serialize(context(), point.data(), &size, &pubkey, SECP256K1_EC_UNCOMPRESSED);
  PublicKey out;
  std::copy(point.begin() + 1, point.end(), out.bytes.begin());
  return out;
}

}  // namespace

SecretKey::~SecretKey() { OPENSSL_cleanse(bytes.data(), bytes.size()); }

Result<SecretKey> secret_key(ByteView bytes) {
  if (bytes.size() != 32)
    return fail(Errc::invalid, "a secret key has 32 bytes, not {}", bytes.size());
  if (secp256k1_ec_seckey_verify(context(), bytes.data()) != 1)
    return fail(Errc::invalid, "not a valid secp256k1 secret key (zero or out of range)");
  SecretKey key;
  std::ranges::copy(bytes, key.bytes.begin());
  return key;
}

PublicKey public_key_of(const SecretKey& key) {
  secp256k1_pubkey pubkey;
  ASSAY_ASSERT(secp256k1_ec_pubkey_create(context(), &pubkey, key.bytes.data()) == 1);
  return key_of(pubkey);
}

Address address_of(const SecretKey& key) { return address_of(public_key_of(key)); }

Signature sign(const Hash& digest, const SecretKey& key) {
  secp256k1_ecdsa_recoverable_signature recoverable;
  ASSAY_ASSERT(secp256k1_ecdsa_sign_recoverable(context(), &recoverable, digest.data(),
                                                key.bytes.data(), nullptr, nullptr) == 1);
  Signature out;
  int id = 0;
  secp256k1_ecdsa_recoverable_signature_serialize_compact(context(), out.bytes.data(), &id,
                                                          &recoverable);
  // Ids 2 and 3 mean that r overflowed the group order: no one will ever meet one.
  ASSAY_ASSERT(id == 0 || id == 1);
  out.bytes[64] = static_cast<std::uint8_t>(27 + id);
  return out;
}

std::optional<PublicKey> recover_point(const Hash& digest, const PlainSignature& signature,
                                       bool odd) {
  secp256k1_ecdsa_recoverable_signature recoverable;
  secp256k1_pubkey pubkey;
  if (secp256k1_ecdsa_recoverable_signature_parse_compact(context(), &recoverable, signature.data(),
                                                          odd) != 1 ||
      secp256k1_ecdsa_recover(context(), &pubkey, &recoverable, digest.data()) != 1)
    return std::nullopt;
  return key_of(pubkey);
}

}  // namespace assay::crypto
