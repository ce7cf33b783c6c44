// COSE_Sign1 (RFC 9052 section 4.2) in deterministic CBOR, signed with ES256K (RFC 8812) or, by
// others, Ed25519. Nothing here knows what is signed: export.hpp and air.hpp do.
#pragma once
#include "crypto/secp256k1.hpp"
#include "protocol/cbor.hpp"

namespace assay::protocol::cose {

inline constexpr std::uint64_t kSign1Tag = 18;
// Header parameters and algorithms of the IANA registry "COSE".
inline constexpr std::uint64_t kAlg = 1, kCrit = 2, kContentType = 3, kKid = 4;
inline constexpr std::int64_t kEdDsa = -8, kEs256k = -47;
inline constexpr std::uint64_t kCwt = 61;  // CoAP content format application/cwt

struct Sign1 {
  Bytes protected_bytes;                           // the map as it is signed, encoded
  cbor::Value protected_header = cbor::map({});    // what these bytes say
  cbor::Value unprotected_header = cbor::map({});  // signed by nobody
  Bytes payload;
  Bytes signature;  // 64 bytes, r ‖ s or R ‖ S
};

// Unsigned; `protected_header` is a map.
Sign1 sign1(cbor::Value protected_header, Bytes payload);
Bytes encode(const Sign1& message);  // tagged

// Errors: invalid for anything but tag 18 around an array of four, with two header maps that share
// no label, a payload inside and a signature of 64 bytes; unsupported for a detached payload and
// for critical headers (crit), none of which are known here.
Result<Sign1> decode(ByteView encoded);

// The Sig_structure that is signed: ["Signature1", protected, external_aad "", payload].
Bytes to_be_signed(const Sign1& message);
// The algorithm in the protected header; an error where it is not an integer there.
Result<std::int64_t> algorithm(const Sign1& message);

void sign_es256k(Sign1& message, const crypto::SecretKey& key);
// Errors: unsupported for another algorithm, mismatch unless `signer` signed it.
Result<crypto::PublicKey> check_es256k(const Sign1& message, const crypto::Address& signer);

}  // namespace assay::protocol::cose
