// Attested inference receipts of the AIR draft (draft-tsyrulnikov-rats-attested-inference-receipt,
// profile v1): a COSE_Sign1 by the key that hardware evidence binds, Ed25519, over a closed map of
// CWT claims. What they say is the workload's claim about itself: neither model_hash nor the hashes
// of request and response are re-executable, and the evidence travels beside them.
#pragma once
#include <variant>

#include "crypto/ed25519.hpp"
#include "protocol/cose.hpp"

namespace assay::protocol::air {

inline constexpr std::string_view kProfile = "https://spec.cyntrisec.com/air/v1";

using Register = std::array<std::uint8_t, 48>;  // SHA-384

struct Measurements {
  std::string type{};  // "nitro-pcr": PCR 0, 1, 2 and perhaps 8; "tdx-mrtd-rtmr": MRTD, RTMR 0, 1
  std::array<Register, 3> registers{};
  std::optional<Register> pcr8{};  // of Nitro alone
  bool operator==(const Measurements&) const = default;
};

// In the order of the draft; the labels are in spec/export.md.
struct Claims {
  std::string issuer{};
  std::uint64_t issued_at = 0;  // Unix seconds
  std::array<std::uint8_t, 16> id{};
  Bytes nonce{};  // 8 to 64 bytes; empty: none
  std::string model_id{}, model_version{};
  Hash model_hash{}, request_hash{}, response_hash{}, attestation_hash{};
  Measurements measurements{};
  std::string policy_version{};
  std::uint64_t sequence = 0, execution_ms = 0, memory_peak_mib = 0;
  std::string security_mode{};
  std::string model_hash_scheme{};  // "sha256-single", "-concat" or "-manifest"; empty: not stated
  bool operator==(const Claims&) const = default;
};

Bytes encode(const Claims& claims);
// Errors: invalid for anything that is not exactly such a map; unsupported for another profile,
// kind of measurements or hash scheme.
Result<Claims> claims_from(ByteView payload);

Bytes sign(const Claims& claims, const crypto::Ed25519Seed& seed);  // the receipt's bytes
// Errors as above, and: invalid unless the headers are exactly {alg: EdDSA, content type: CWT} and
// {}; mismatch unless `key` signed it.
Result<Claims> verify(ByteView receipt, const crypto::Ed25519PublicKey& key);

}  // namespace assay::protocol::air
