// The key a service shows when it is spoken to over TLS. Offers name it by its hash, so that a
// stranger's endpoint needs no certificate authority: whoever signed the offer said which key
// answers there (the pin of RFC 7469, section 2.4).
#pragma once
#include <cstdint>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay::crypto {

struct TlsCertificate {
  std::string certificate_pem, key_pem;
  Hash key_hash{};  // SHA-256 of the public key's SubjectPublicKeyInfo, in DER
};

// The P-256 key that belongs to `seed`, a secret, and a certificate for it, signed by itself. The
// same seed gives the same key, so the pin outlives the process and nothing secret lies on disk;
// the certificate says nothing but the key (name "assay", valid from 1970 to 9999: RFC
// 5280, 4.1.2.5) and differs from call to call by its signature. Errors: internal when OpenSSL has
// no P-256.
Result<TlsCertificate> tls_certificate(const Hash& seed);

// key_hash of the first certificate of a PEM file. Errors: invalid when there is none.
Result<Hash> tls_key_hash(std::string_view certificate_pem);

}  // namespace assay::crypto
