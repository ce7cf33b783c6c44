#include "protocol/cose.hpp"

#include "crypto/sha256.hpp"

namespace assay::protocol::cose {

using cbor::Kind;
using cbor::Value;

Sign1 sign1(Value protected_header, Bytes payload) {
  Sign1 out;
  out.protected_bytes = cbor::encode(protected_header);
  out.protected_header = std::move(protected_header);
  out.payload = std::move(payload);
  return out;
}

Bytes encode(const Sign1& message) {
  return cbor::encode(cbor::tag(
      kSign1Tag, cbor::array({cbor::bytes(message.protected_bytes), message.unprotected_header,
                              cbor::bytes(message.payload), cbor::bytes(message.signature)})));
}

Result<Sign1> decode(ByteView encoded) {
  auto decoded = cbor::decode(encoded);
  if (!decoded) return fail_in("COSE", decoded.error());
  if (!decoded->is(Kind::tag) || decoded->number != kSign1Tag)
    return fail(Errc::invalid, "not a COSE_Sign1: expected CBOR tag 18");
  Value& body = decoded->items[0];
  if (!body.is(Kind::array) || body.items.size() != 4)
    return fail(Errc::invalid, "COSE_Sign1: expected an array of four");
  Value &header = body.items[0], &unprotected = body.items[1], &payload = body.items[2],
        &signature = body.items[3];
  if (!header.is(Kind::bytes) || !unprotected.is(Kind::map))
    return fail(Errc::invalid, "COSE_Sign1: the headers must be a byte string and a map");
  if (payload.is_null())
    return fail(Errc::unsupported, "COSE_Sign1: a detached payload is not supported");
  if (!payload.is(Kind::bytes))
    return fail(Errc::invalid, "COSE_Sign1: the payload must be a byte string");
  if (!signature.is(Kind::bytes) || signature.data.size() != 64)
    return fail(Errc::invalid, "COSE_Sign1: the signature must be 64 bytes");

  Sign1 out;
  auto inner = cbor::decode(header.data);
  if (!inner) return fail_in("COSE protected header", inner.error());
  if (!inner->is(Kind::map))
    return fail(Errc::invalid, "COSE_Sign1: the protected header must be a map");
  if (cbor::find(*inner, cbor::uint(kCrit)) != nullptr)
    return fail(Errc::unsupported, "COSE_Sign1: critical headers (crit) are not supported");
  for (std::size_t i = 0; i < inner->items.size(); i += 2)
    if (cbor::find(unprotected, inner->items[i]) != nullptr)
      return fail(Errc::invalid, "COSE_Sign1: a label is in both headers");
  out.protected_bytes = std::move(header.data);
  out.protected_header = std::move(*inner);
  out.unprotected_header = std::move(unprotected);
  out.payload = std::move(payload.data);
  out.signature = std::move(signature.data);
  return out;
}

Bytes to_be_signed(const Sign1& message) {
  return cbor::encode(cbor::array({cbor::text("Signature1"), cbor::bytes(message.protected_bytes),
                                   cbor::bytes({}), cbor::bytes(message.payload)}));
}

Result<std::int64_t> algorithm(const Sign1& message) {
  const Value* alg = cbor::find(message.protected_header, cbor::uint(kAlg));
  if (alg == nullptr || alg->number > INT32_MAX ||
      (!alg->is(Kind::unsigned_integer) && !alg->is(Kind::negative_integer)))
    return fail(Errc::invalid, "COSE_Sign1: the protected header names no algorithm");
  const auto n = static_cast<std::int64_t>(alg->number);
  return alg->is(Kind::unsigned_integer) ? n : -1 - n;
}

void sign_es256k(Sign1& message, const crypto::SecretKey& key) {
  const auto signature = crypto::plain(crypto::sign(crypto::sha256(to_be_signed(message)), key));
  message.signature.assign(signature.begin(), signature.end());
}

Result<crypto::PublicKey> check_es256k(const Sign1& message, const crypto::Address& signer) {
  TRY(const std::int64_t alg, algorithm(message));
  if (alg != kEs256k)
    return fail(Errc::unsupported, "COSE_Sign1: algorithm {} where ES256K ({}) is expected", alg,
                kEs256k);
  crypto::PlainSignature signature{};
  if (message.signature.size() != signature.size())
    return fail(Errc::mismatch, "COSE_Sign1: the signature must be 64 bytes");
  std::ranges::copy(message.signature, signature.begin());
  return crypto::check_plain(crypto::sha256(to_be_signed(message)), signature, signer);
}

}  // namespace assay::protocol::cose
