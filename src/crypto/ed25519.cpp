#include "crypto/ed25519.hpp"

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "base/assert.hpp"
#include "crypto/openssl.hpp"

namespace assay::crypto {
namespace {

Key private_key(const Ed25519Seed& seed) {
  Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.bytes.data(),
                                       seed.bytes.size()));
  ASSAY_ASSERT(key != nullptr);
  return key;
}

}  // namespace

Ed25519Seed::~Ed25519Seed() { OPENSSL_cleanse(bytes.data(), bytes.size()); }

Ed25519PublicKey ed25519_public_key(const Ed25519Seed& seed) {
  Ed25519PublicKey out;
  std::size_t size = out.size();
  const Key key = private_key(seed);
  ASSAY_ASSERT(EVP_PKEY_get_raw_public_key(key.get(), out.data(), &size) == 1 &&
               size == out.size());
  return out;
}

Ed25519Signature ed25519_sign(ByteView message, const Ed25519Seed& seed) {
  const Key key = private_key(seed);
  const Digest context(EVP_MD_CTX_new());
  Ed25519Signature out;
  std::size_t size = out.size();
  ASSAY_ASSERT(context != nullptr &&
               EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
               EVP_DigestSign(context.get(), out.data(), &size, message.data(), message.size()) ==
                   1 &&
               size == out.size());
  return out;
}

bool ed25519_verify(ByteView message, const Ed25519Signature& signature,
                    const Ed25519PublicKey& key) {
  const Key handle(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()));
  const Digest context(EVP_MD_CTX_new());
  const bool good =
      handle != nullptr && context != nullptr &&
      EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, handle.get()) == 1 &&
      EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                       message.size()) == 1;
  if (!good) ERR_clear_error();  // or the next TLS call of this thread reports it
  return good;
}

}  // namespace assay::crypto
