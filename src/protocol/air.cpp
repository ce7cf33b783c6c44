#include "protocol/air.hpp"

namespace assay::protocol::air {
namespace {

using cbor::Kind;
using cbor::Value;

// CWT claims (RFC 8392, RFC 9711), then the draft's: kPrivate - 0, kPrivate - 1, …
const Value kIssuer = cbor::uint(1), kIssuedAt = cbor::uint(6), kId = cbor::uint(7),
            kNonce = cbor::uint(10), kProfileClaim = cbor::uint(265);
Value claim(int index) { return cbor::integer(-65537 - index); }

constexpr std::string_view kNitro = "nitro-pcr", kTdx = "tdx-mrtd-rtmr";
constexpr std::string_view kSchemes[] = {"sha256-single", "sha256-concat", "sha256-manifest"};
constexpr std::string_view kRegisterNames[] = {"pcr0", "pcr1", "pcr2"};

Value header() {
  return cbor::map({{cbor::uint(cose::kAlg), cbor::integer(cose::kEdDsa)},
                    {cbor::uint(cose::kContentType), cbor::uint(cose::kCwt)}});
}

Value encode_measurements(const Measurements& m) {
  std::vector<std::pair<Value, Value>> out;
  for (std::size_t i = 0; i < m.registers.size(); ++i)
    out.emplace_back(cbor::text(kRegisterNames[i]), cbor::bytes(m.registers[i]));
  if (m.pcr8) out.emplace_back(cbor::text("pcr8"), cbor::bytes(*m.pcr8));
  out.emplace_back(cbor::text("measurement_type"), cbor::text(m.type));
  return cbor::map(std::move(out));
}

Result<Measurements> measurements_from(const Value& value) {
  Measurements out;
  cbor::MapReader read(value, "AIR enclave_measurements");
  read.read(cbor::text("measurement_type"), "measurement_type", out.type);
  for (std::size_t i = 0; i < out.registers.size(); ++i)
    read.read(cbor::text(kRegisterNames[i]), kRegisterNames[i], out.registers[i]);
  if (read.ok() && cbor::find(value, cbor::text("pcr8")) != nullptr)
    read.read(cbor::text("pcr8"), "pcr8", out.pcr8.emplace());
  CHECK_OK(read.finish());
  if (out.type != kNitro && out.type != kTdx)
    return fail(Errc::unsupported, "AIR: measurements of type '{}' are not known", out.type);
  if (out.type == kTdx && out.pcr8)
    return fail(Errc::invalid, "AIR: pcr8 does not belong to '{}'", kTdx);
  return out;
}

}  // namespace

Bytes encode(const Claims& c) {
  std::vector<std::pair<Value, Value>> out{{kIssuer, cbor::text(c.issuer)},
                                           {kIssuedAt, cbor::uint(c.issued_at)},
                                           {kId, cbor::bytes(c.id)},
                                           {kProfileClaim, cbor::text(kProfile)},
                                           {claim(0), cbor::text(c.model_id)},
                                           {claim(1), cbor::text(c.model_version)},
                                           {claim(2), cbor::bytes(c.model_hash)},
                                           {claim(3), cbor::bytes(c.request_hash)},
                                           {claim(4), cbor::bytes(c.response_hash)},
                                           {claim(5), cbor::bytes(c.attestation_hash)},
                                           {claim(6), encode_measurements(c.measurements)},
                                           {claim(7), cbor::text(c.policy_version)},
                                           {claim(8), cbor::uint(c.sequence)},
                                           {claim(9), cbor::uint(c.execution_ms)},
                                           {claim(10), cbor::uint(c.memory_peak_mib)},
                                           {claim(11), cbor::text(c.security_mode)}};
  if (!c.nonce.empty()) out.emplace_back(kNonce, cbor::bytes(c.nonce));
  if (!c.model_hash_scheme.empty()) out.emplace_back(claim(12), cbor::text(c.model_hash_scheme));
  return cbor::encode(cbor::map(std::move(out)));
}

Result<Claims> claims_from(ByteView payload) {
  auto decoded = cbor::decode(payload);
  if (!decoded) return fail_in("AIR claims", decoded.error());
  Claims c;
  std::string profile;
  cbor::MapReader read(*decoded, "AIR claims");
  read.read(kProfileClaim, "eat_profile", profile);
  if (read.ok() && profile != kProfile)
    return fail(Errc::unsupported, "AIR claims: profile '{}' is not '{}'", profile, kProfile);
  read.read(kIssuer, "iss", c.issuer);
  read.read(kIssuedAt, "iat", c.issued_at);
  read.read(kId, "cti", c.id);
  if (read.ok() && cbor::find(*decoded, kNonce) != nullptr) {
    read.read(kNonce, "eat_nonce", c.nonce);
    if (c.nonce.size() < 8 || c.nonce.size() > 64)
      read.refuse("eat_nonce", "must be 8 to 64 bytes");
  }
  read.read(claim(0), "model_id", c.model_id);
  read.read(claim(1), "model_version", c.model_version);
  read.read(claim(2), "model_hash", c.model_hash);
  read.read(claim(3), "request_hash", c.request_hash);
  read.read(claim(4), "response_hash", c.response_hash);
  read.read(claim(5), "attestation_doc_hash", c.attestation_hash);
  if (const Value* m = read.take(claim(6), "enclave_measurements")) {
    TRY(c.measurements, measurements_from(*m));
  }
  read.read(claim(7), "policy_version", c.policy_version);
  read.read(claim(8), "sequence_number", c.sequence);
  read.read(claim(9), "execution_time_ms", c.execution_ms);
  read.read(claim(10), "memory_peak_mb", c.memory_peak_mib);
  read.read(claim(11), "security_mode", c.security_mode);
  if (read.ok() && cbor::find(*decoded, claim(12)) != nullptr) {
    read.read(claim(12), "model_hash_scheme", c.model_hash_scheme);
    if (read.ok() && std::ranges::find(kSchemes, c.model_hash_scheme) == std::end(kSchemes))
      return fail(Errc::unsupported, "AIR claims: hash scheme '{}' is not known",
                  c.model_hash_scheme);
  }
  CHECK_OK(read.finish());
  return c;
}

Bytes sign(const Claims& claims, const crypto::Ed25519Seed& seed) {
  cose::Sign1 message = cose::sign1(header(), encode(claims));
  const auto signature = crypto::ed25519_sign(cose::to_be_signed(message), seed);
  message.signature.assign(signature.begin(), signature.end());
  return cose::encode(message);
}

Result<Claims> verify(ByteView receipt, const crypto::Ed25519PublicKey& key) {
  TRY(const cose::Sign1 message, cose::decode(receipt));
  if (message.protected_bytes != cbor::encode(header()) ||
      !message.unprotected_header.items.empty())
    return fail(Errc::invalid, "AIR receipt: the headers must be {{1: -8, 3: 61}} and {{}}");
  crypto::Ed25519Signature signature;
  std::ranges::copy(message.signature, signature.begin());
  if (!crypto::ed25519_verify(cose::to_be_signed(message), signature, key))
    return fail(Errc::mismatch, "AIR receipt: this key did not sign it");
  return claims_from(message.payload);
}

}  // namespace assay::protocol::air
