// Signatures of the X.509 world: a public key in PEM, or a certificate chain up to certificates the
// caller trusts. ECDSA on P-256, P-384 and P-521 with SHA-256, -384 and -512: what signers of
// models use. Offline: no revocation lists, no authority is asked. Takes hostile keys, chains and
// signatures.
#pragma once
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay::crypto {

// Errors: invalid for text that is no public key, unsupported for another kind of key, mismatch
// when it did not sign. `signature` is DER.
Status check_pem_signature(std::string_view public_key_pem, ByteView message, ByteView signature);

struct CertificateSigner {
  std::string subject;  // one line, RFC 2253
  // Of the signer's own certificate; the chain was judged at the first.
  std::int64_t not_before_unix = 0, not_after_unix = 0;
};
// `chain`: DER, the signer's own certificate first. `trusted_pem`: one or more certificates; any of
// them may end the chain. The signer's certificate must be for digital signatures. Judged at the
// moment that certificate began to be valid, since nothing here proves when it signed: one that has
// expired since still vouches for what it signed, and its signer might have signed later. Errors:
// mismatch for a chain that does not lead to a trusted one or a wrong signature.
Result<CertificateSigner> check_chain_signature(std::span<const Bytes> chain,
                                                std::string_view trusted_pem, ByteView message,
                                                ByteView signature);

}  // namespace assay::crypto
