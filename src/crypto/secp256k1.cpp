#include "crypto/secp256k1.hpp"

#include <openssl/crypto.h>
#include <secp256k1_recovery.h>

#include "base/assert.hpp"
#include "base/base64.hpp"
#include "base/hex.hpp"
#include "crypto/keccak.hpp"

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

std::string Address::to_string() const {
  std::string out = to_hex(bytes);
  const Hash hash = keccak256(view(std::string_view(out).substr(2)));
  for (std::size_t i = 0; i < 40; ++i) {
    const int nibble = i % 2 == 0 ? hash[i / 2] >> 4 : hash[i / 2] & 15;
    char& c = out[i + 2];
    if (c >= 'a' && nibble >= 8) c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

Result<Address> Address::parse(std::string_view text) {
  Address a;
  if (!text.starts_with("0x") || !from_hex(text, a.bytes))
    return fail(Errc::invalid, "'{}' is not an address: expected 0x and 40 hex digits",
                text.substr(0, 44));
  if (text != to_hex(a.bytes) && text != a.to_string())
    return fail(Errc::invalid, "address {} has a wrong checksum: check it for typing errors", text);
  return a;
}

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

Address address_of(const PublicKey& key) {
  const Hash hash = keccak256(key.bytes);
  Address a;
  std::copy(hash.begin() + 12, hash.end(), a.bytes.begin());
  return a;
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

Result<PublicKey> recover_key(const Hash& digest, const Signature& signature) {
  const auto* c = context();
  const int v = signature.bytes[64];
  if (v != 27 && v != 28)
    return fail(Errc::mismatch, "signature refused: v is {}, expected 27 or 28", v);
  secp256k1_ecdsa_signature plain;
  if (secp256k1_ecdsa_signature_parse_compact(c, &plain, signature.bytes.data()) != 1)
    return fail(Errc::mismatch, "signature refused: r or s out of range");
  if (secp256k1_ecdsa_signature_normalize(c, nullptr, &plain) == 1)
    return fail(Errc::mismatch, "signature refused: s is in the upper half (malleable form)");
  secp256k1_ecdsa_recoverable_signature recoverable;
  secp256k1_pubkey pubkey;
  if (secp256k1_ecdsa_recoverable_signature_parse_compact(c, &recoverable, signature.bytes.data(),
                                                          v - 27) != 1 ||
      secp256k1_ecdsa_recover(c, &pubkey, &recoverable, digest.data()) != 1)
    return fail(Errc::mismatch, "signature refused: no public key recovers from it");
  return key_of(pubkey);
}

Result<Address> recover(const Hash& digest, const Signature& signature) {
  TRY(const PublicKey key, recover_key(digest, signature));
  return address_of(key);
}

std::string to_pem(const PublicKey& key) {
  // SEQUENCE { SEQUENCE { id-ecPublicKey, secp256k1 }, BIT STRING 04 ‖ x ‖ y }
  Bytes der = *from_hex("3056301006072a8648ce3d020106052b8104000a03420004");
  append(der, key.bytes);
  const std::string base64 = to_base64(der);
  std::string out = "-----BEGIN PUBLIC KEY-----\n";
  for (std::size_t i = 0; i < base64.size(); i += 64) out += base64.substr(i, 64) + "\n";
  return out + "-----END PUBLIC KEY-----\n";
}

PlainSignature plain(const Signature& signature) {
  PlainSignature out;
  std::copy_n(signature.bytes.begin(), out.size(), out.begin());
  return out;
}

Result<PublicKey> check_plain(const Hash& digest, const PlainSignature& signature,
                              const Address& signer) {
  Signature full;
  std::ranges::copy(signature, full.bytes.begin());
  for (const int v : {27, 28}) {
    full.bytes[64] = static_cast<std::uint8_t>(v);
    const auto key = recover_key(digest, full);
    if (key && address_of(*key) == signer) return key;
  }
  return fail(Errc::mismatch, "the signature is not one of {}", signer.to_string());
}

Bytes to_der(const PlainSignature& signature) {
  secp256k1_ecdsa_signature parsed;
  ASSAY_ASSERT(secp256k1_ecdsa_signature_parse_compact(context(), &parsed, signature.data()) == 1);
  Bytes out(72);
  std::size_t size = out.size();
  ASSAY_ASSERT(secp256k1_ecdsa_signature_serialize_der(context(), out.data(), &size, &parsed) == 1);
  out.resize(size);
  return out;
}

Result<PlainSignature> from_der(ByteView der) {
  secp256k1_ecdsa_signature parsed;
  PlainSignature out;
  if (secp256k1_ecdsa_signature_parse_der(context(), &parsed, der.data(), der.size()) != 1)
    return fail(Errc::invalid, "not the DER of an ECDSA signature");
  secp256k1_ecdsa_signature_serialize_compact(context(), out.data(), &parsed);
  // The parser reads numbers that overflow as zero, and is the judge of DER only so far.
  if (std::ranges::all_of(out, [](auto b) { return b == 0; }) ||
      !std::ranges::equal(to_der(out), der))
    return fail(Errc::invalid, "not the DER of an ECDSA signature");
  return out;
}

}  // namespace assay::crypto
