#include "protocol/export.hpp"

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "protocol/cbor_codec.hpp"

namespace assay::protocol {
namespace {

using cbor::Value;
using crypto::Address;

// AIR's labels (air.cpp) and three of our own.
Value air_claim(int index) { return cbor::integer(-65537 - index); }
const Value kExecution = cbor::integer(-80001), kTrace = cbor::integer(-80002),
            kFile = cbor::integer(-80003);

// What both forms say beside the file.
struct Summary {
  const OfferModel& model;
  Hash execution, request, receipt;
};

Result<Summary> summary_of(const ReceiptFile& file) {
  const OfferModel* model = offered_model(file);
  if (model == nullptr)
    return fail(Errc::invalid,
                "the offer in this receipt file does not list its execution id: `assay verify` "
                "tells what is wrong with it");
  return Summary{*model, struct_hash(file.execution), digest(file.domain, file.request.message),
                 digest(file.domain, file.receipt.message)};
}

Result<Bytes> claims_of(const ReceiptFile& file, std::uint64_t issued_at, const Address& signer) {
  TRY(const Summary s, summary_of(file));
  const Receipt& receipt = file.receipt.message;
  std::vector<std::pair<Value, Value>> out{
      {cbor::uint(1), cbor::text(signer.to_string())},
      {cbor::uint(6), cbor::uint(issued_at)},
      {cbor::uint(7), cbor::bytes(ByteView(s.receipt).first(16))},
      {cbor::uint(265), cbor::text(kExportProfile)},
      {air_claim(0), cbor::text(s.model.name)},
      {air_claim(1), cbor::text(s.model.quantization)},
      {air_claim(2), cbor::bytes(s.model.file_alias)},
      {air_claim(3), cbor::bytes(s.request)},
      {air_claim(4), cbor::bytes(receipt.tape_root)},
      {air_claim(8), cbor::uint(receipt.key_sequence)},
      {air_claim(12), cbor::text("sha256-single")},
      {kExecution, cbor::bytes(s.execution)},
      {kTrace, cbor::bytes(receipt.trace_root)},
      {kFile, cbor::to_value(file)}};
  if (receipt.evidence != Hash{}) out.emplace_back(air_claim(5), cbor::bytes(receipt.evidence));
  return cbor::encode(cbor::map(std::move(out)));
}

Result<Bytes> statement_of(const ReceiptFile& file, std::uint64_t issued_at,
                           const Address& signer) {
  TRY(const Summary s, summary_of(file));
  const Receipt& receipt = file.receipt.message;
  const json::object statement{
      {"_type", dsse::kStatementType},
      {"subject", json::array{json::object{
                      {"name", "answer"},
                      {"digest", json::object{{"assayTape0", to_hex_bare(receipt.tape_root)}}}}}},
      {"predicateType", kExportProfile},
      {"predicate",
       json::object{
           {"signer", signer.to_string()},
           {"issuedAt", std::to_string(issued_at)},
           {"model",
            json::object{{"name", s.model.name},
                         {"digest", json::object{{"sha256", to_hex_bare(s.model.file_alias)},
                                                 {"assayExecution0", to_hex_bare(s.execution)}}}}},
           {"request", to_hex(s.request)},
           {"trace", to_hex(receipt.trace_root)},
           {"evidence", receipt.evidence == Hash{} ? json::value(nullptr)
                                                   : json::value(to_hex(receipt.evidence))},
           {"sequence", std::to_string(receipt.key_sequence)},
           {"receipt", to_json(file)}}}};
  const std::string out = json::dump(statement);
  return Bytes(out.begin(), out.end());
}

Value export_header(const Address& signer) {
  return cbor::map({{cbor::uint(cose::kAlg), cbor::integer(cose::kEs256k)},
                    {cbor::uint(cose::kContentType), cbor::uint(cose::kCwt)},
                    {cbor::uint(cose::kKid), cbor::bytes(signer.bytes)}});
}

Status same(const Result<Bytes>& derived, ByteView found) {
  if (!derived) return std::unexpected(derived.error());
  if (!std::ranges::equal(*derived, found))
    return fail(Errc::mismatch, "the claims beside the receipt are not the receipt's own");
  return {};
}

}  // namespace

Result<Bytes> export_cose(const ReceiptFile& file, std::uint64_t issued_at,
                          const crypto::SecretKey& key) {
  const Address signer = crypto::address_of(key);
  TRY(Bytes claims, claims_of(file, issued_at, signer));
  cose::Sign1 message = cose::sign1(export_header(signer), std::move(claims));
  cose::sign_es256k(message, key);
  return cose::encode(message);
}

Result<Exported> import_cose(ByteView encoded) {
  TRY(const cose::Sign1 message, cose::decode(encoded));
  Exported out;
  const Value* kid = cbor::find(message.protected_header, cbor::uint(cose::kKid));
  if (kid == nullptr || !cbor::from_value(*kid, out.signer))
    return fail(Errc::invalid, "COSE receipt: kid must be the signer's address, 20 bytes");
  TRY(out.key, cose::check_es256k(message, out.signer));
  if (message.protected_bytes != cbor::encode(export_header(out.signer)) ||
      !message.unprotected_header.items.empty())
    return fail(Errc::invalid,
                "COSE receipt: the headers must be {{1: -47, 3: 61, 4: kid}} and {{}}");
  TRY(const Value claims, cbor::decode(message.payload));
  const Value* profile = cbor::find(claims, cbor::uint(265));
  if (profile == nullptr || *profile != cbor::text(kExportProfile))
    return fail(Errc::unsupported, "COSE receipt: the profile (claim 265) is not '{}'",
                kExportProfile);
  const Value *issued_at = cbor::find(claims, cbor::uint(6)), *file = cbor::find(claims, kFile);
  if (issued_at == nullptr || file == nullptr)
    return fail(Errc::invalid, "COSE receipt: claim 6 or -80003 is missing");
  if (auto ok = cbor::from_value(*issued_at, out.issued_at); !ok) return fail_in("iat", ok.error());
  CHECK_OK(cbor::from_value(*file, out.file));
  CHECK_OK(same(claims_of(out.file, out.issued_at, out.signer), message.payload));
  return out;
}

Result<std::string> export_dsse(const ReceiptFile& file, std::uint64_t issued_at,
                                const crypto::SecretKey& key) {
  const Address signer = crypto::address_of(key);
  dsse::Envelope envelope{.payload_type = std::string(dsse::kInTotoType)};
  TRY(envelope.payload, statement_of(file, issued_at, signer));
  const Hash hash = crypto::sha256(dsse::to_be_signed(envelope));
  envelope.signatures.push_back(
      {signer.to_string(), crypto::to_der(crypto::plain(crypto::sign(hash, key)))});
  return json::dump_pretty(dsse::to_json(envelope)) + "\n";
}

Result<Exported> import_dsse(const json::object& o) {
  TRY(const dsse::Envelope envelope, dsse::envelope_from_json(o));
  if (envelope.signatures.size() != 1)
    return fail(Errc::unsupported, "DSSE receipt: {} signatures where one is expected",
                envelope.signatures.size());
  const dsse::Signature& signature = envelope.signatures[0];
  Exported out;
  TRY(out.signer, Address::parse(signature.key_id));
  TRY(const crypto::PlainSignature plain, crypto::from_der(signature.bytes));
  TRY(out.key,
      crypto::check_plain(crypto::sha256(dsse::to_be_signed(envelope)), plain, out.signer));
  TRY(const dsse::Statement statement, dsse::statement_from(envelope));
  if (statement.predicate_type != kExportProfile)
    return fail(Errc::unsupported, "in-toto statement: predicate '{}' is not '{}'",
                statement.predicate_type, kExportProfile);
  TRY(out.issued_at, json::get_u64(statement.predicate, "issuedAt"));
  TRY(const json::object* file, json::get_object(statement.predicate, "receipt"));
  TRY(out.file, receipt_file_from_json(*file));
  CHECK_OK(same(statement_of(out.file, out.issued_at, out.signer), envelope.payload));
  return out;
}

Result<air::Claims> air_claims(const ReceiptFile& file, std::uint64_t issued_at, const Tee& tee) {
  TRY(const Summary s, summary_of(file));
  const Receipt& receipt = file.receipt.message;
  if (receipt.evidence == Hash{} || receipt.evidence != crypto::sha256(tee.evidence))
    return fail(Errc::mismatch,
                "the receipt names {} evidence: an AIR receipt needs the one it names",
                receipt.evidence == Hash{} ? "no" : "other");
  air::Claims out{.issuer = file.lease.message.provider.to_string(),
                  .issued_at = issued_at,
                  .nonce = tee.nonce,
                  .model_id = s.model.name,
                  .model_version = s.model.quantization,
                  .model_hash = s.model.file_alias,
                  .request_hash = s.request,
                  .response_hash = receipt.tape_root,
                  .attestation_hash = receipt.evidence,
                  .measurements = tee.measurements,
                  .policy_version = tee.policy_version,
                  .sequence = receipt.key_sequence,
                  .execution_ms = tee.execution_ms,
                  .memory_peak_mib = tee.memory_peak_mib,
                  .security_mode = tee.security_mode,
                  .model_hash_scheme = "sha256-single"};
  std::copy_n(s.receipt.begin(), out.id.size(), out.id.begin());
  return out;
}

}  // namespace assay::protocol
