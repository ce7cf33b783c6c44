// The signatures of src/crypto where libsecp256k1 and OpenSSL are not: the page's JavaScript does
// the arithmetic (web/verify/src/curves.js), the rules are the same source as everywhere.
#include "crypto/ed25519.hpp"
#include "crypto/pki.hpp"
#include "crypto/secp256k1_point.hpp"

#define PAGE_IMPORT(name) __attribute__((import_module("curves"), import_name(#name)))

extern "C" {
// 1: yes, 0: no. Lengths are those of the C++ functions below.
PAGE_IMPORT(secp256k1_recover)
int page_secp256k1_recover(const std::uint8_t* digest, const std::uint8_t* signature, int odd,
                           std::uint8_t* point);
PAGE_IMPORT(ed25519_verify)
int page_ed25519_verify(const std::uint8_t* message, std::size_t size,
                        const std::uint8_t* signature, const std::uint8_t* key);
// 1: it signed, 0: it did not, -1: no public key in PEM, -2: a key of another kind.
PAGE_IMPORT(ecdsa_verify)
int page_ecdsa_verify(const char* pem, std::size_t pem_size, const std::uint8_t* message,
                      std::size_t size, const std::uint8_t* der, std::size_t der_size);
}

namespace assay::crypto {

// Never made here: a page has no secret keys.
SecretKey::~SecretKey() = default;
Ed25519Seed::~Ed25519Seed() = default;

std::optional<PublicKey> recover_point(const Hash& digest, const PlainSignature& signature,
                                       bool odd) {
  PublicKey out;
  if (page_secp256k1_recover(digest.data(), signature.data(), odd, out.bytes.data()) != 1)
    return std::nullopt;
  return out;
}

bool ed25519_verify(ByteView message, const Ed25519Signature& signature,
                    const Ed25519PublicKey& key) {
  return page_ed25519_verify(message.data(), message.size(), signature.data(), key.data()) == 1;
}

Status check_pem_signature(std::string_view public_key_pem, ByteView message, ByteView signature) {
  switch (page_ecdsa_verify(public_key_pem.data(), public_key_pem.size(), message.data(),
                            message.size(), signature.data(), signature.size())) {
    case 1:
      return {};
    case -1:
      return fail(Errc::invalid, "not a public key in PEM (-----BEGIN PUBLIC KEY-----)");
    case -2:
      return fail(Errc::unsupported,
                  "keys other than ECDSA on P-256, P-384 and P-521 are not supported");
    default:
      return fail(Errc::mismatch, "the key did not sign this");
  }
}

Result<CertificateSigner> check_chain_signature(std::span<const Bytes>, std::string_view, ByteView,
                                                ByteView) {
  return fail(Errc::unsupported,
              "certificate chains are not checked in the page: `assay verify` does");
}

}  // namespace assay::crypto
