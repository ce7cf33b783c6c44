// A receipt in the forms other people's tools read (spec/export.md): COSE_Sign1 with CWT claims,
// and an in-toto Statement v1 in DSSE. Both carry the whole receipt file, so that whoever has one
// of the three forms has all: the claims beside it are derived from it, and refused when they are
// not.
//
// Who signs an export vouches for nothing that the receipt does not already prove by its own
// EIP-712 signatures, except for the time it names. The provider may sign, or whoever passes it on.
#pragma once
#include "protocol/air.hpp"
#include "protocol/dsse.hpp"
#include "protocol/files.hpp"

namespace assay::protocol {

// Profile of the claims and type of the predicate: a name, not an address of anything.
inline constexpr std::string_view kExportProfile = "urn:x-assay:receipt:0";

// What a verified export holds. The file's own signatures and ties are verify_receipt's to judge.
struct Exported {
  ReceiptFile file{};
  std::uint64_t issued_at = 0;  // Unix seconds, the signer's word
  crypto::Address signer{};
  crypto::PublicKey key{};
};

// Errors: invalid where the offer lists no such execution, so that the claims have no model.
Result<Bytes> export_cose(const ReceiptFile& file, std::uint64_t issued_at,
                          const crypto::SecretKey& key);
// Errors: invalid or unsupported for another shape, mismatch for a wrong signature or claims that
// are not the receipt's.
Result<Exported> import_cose(ByteView encoded);

// The envelope, as JSON text. Signatures are DER, as verifiers of DSSE expect of ECDSA.
Result<std::string> export_dsse(const ReceiptFile& file, std::uint64_t issued_at,
                                const crypto::SecretKey& key);
Result<Exported> import_dsse(const json::object& envelope);

// What hardware adds, told by whoever runs in it.
struct Tee {
  air::Measurements measurements{};
  Bytes evidence{};  // the attestation document; its SHA-256 must be the receipt's evidence
  Bytes nonce{};     // 8 to 64 bytes; empty: none
  std::uint64_t execution_ms = 0, memory_peak_mib = 0;
  std::string policy_version{}, security_mode{};
};
// The AIR receipt of the same commitments, where the receipt names evidence. Errors: mismatch where
// it names none or another.
Result<air::Claims> air_claims(const ReceiptFile& file, std::uint64_t issued_at, const Tee& tee);

}  // namespace assay::protocol
