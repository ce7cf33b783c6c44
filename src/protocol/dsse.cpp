#include "protocol/dsse.hpp"

#include "base/base64.hpp"

namespace assay::protocol::dsse {
namespace {

// keyid is optional; "null" is how some writers leave it out.
Result<std::string> key_id_of(const json::object& o) {
  const json::value* v = o.if_contains("keyid");
  if (v == nullptr || v->is_null()) return std::string();
  return json::get_string(o, "keyid");
}

Result<Bytes> get_base64(const json::object& o, std::string_view key) {
  TRY(const std::string encoded, json::get_string(o, key));
  auto decoded = from_base64(encoded);
  if (!decoded) return fail_in(key, decoded.error());
  return decoded;
}

Result<Subject> subject_from(const json::value& v) {
  TRY(const json::object* o, json::as_object(v, "subject"));
  Subject out;
  if (o->contains("name")) {
    TRY(out.name, json::get_string(*o, "name"));
  }
  TRY(const json::object* digests, json::get_object(*o, "digest"));
  if (digests->size() != 1) return fail(Errc::invalid, "a subject must have one digest");
  out.digest_name = digests->begin()->key();
  TRY(out.digest, json::get_string(*digests, out.digest_name));
  return out;
}

}  // namespace

Bytes pre_authentication_encoding(std::string_view payload_type, ByteView payload) {
  const std::string head =
      fmt::format("DSSEv1 {} {} {} ", payload_type.size(), payload_type, payload.size());
  Bytes out(head.begin(), head.end());
  append(out, payload);
  return out;
}

Bytes to_be_signed(const Envelope& envelope) {
  return pre_authentication_encoding(envelope.payload_type, envelope.payload);
}

json::object to_json(const Envelope& envelope) {
  json::array signatures;
  for (const Signature& s : envelope.signatures)
    signatures.push_back(json::object{{"keyid", s.key_id}, {"sig", to_base64(s.bytes)}});
  return {{"payloadType", envelope.payload_type},
          {"payload", to_base64(envelope.payload)},
          {"signatures", std::move(signatures)}};
}

Result<Envelope> envelope_from_json(const json::object& o) {
  Envelope out;
  TRY(out.payload_type, json::get_string(o, "payloadType"));
  TRY(out.payload, get_base64(o, "payload"));
  TRY(const json::array* signatures, json::get_array(o, "signatures"));
  if (signatures->empty() || signatures->size() > kSignaturesMax)
    return fail(Errc::invalid, "DSSE envelope: {} signatures where 1 to {} are read",
                signatures->size(), kSignaturesMax);
  for (const json::value& v : *signatures) {
    TRY(const json::object* s, json::as_object(v, "DSSE signature"));
    Signature& signature = out.signatures.emplace_back();
    TRY(signature.key_id, key_id_of(*s));
    TRY(signature.bytes, get_base64(*s, "sig"));
  }
  return out;
}

Result<Statement> statement_from(const Envelope& envelope) {
  if (envelope.payload_type != kInTotoType)
    return fail(Errc::unsupported, "DSSE payload type '{}' is not '{}'", envelope.payload_type,
                kInTotoType);
  TRY(const json::value parsed, json::parse(text(envelope.payload)));
  TRY(const json::object* o, json::as_object(parsed, "in-toto statement"));
  TRY(const std::string type, json::get_string(*o, "_type"));
  if (type != kStatementType)
    return fail(Errc::unsupported, "statement type '{}' is not '{}'", type, kStatementType);
  Statement out;
  TRY(const json::array* subjects, json::get_array(*o, "subject"));
  if (subjects->empty()) return fail(Errc::invalid, "an in-toto statement without a subject");
  for (const json::value& v : *subjects) {
    TRY(Subject subject, subject_from(v));
    out.subjects.push_back(std::move(subject));
  }
  TRY(out.predicate_type, json::get_string(*o, "predicateType"));
  TRY(const json::object* predicate, json::get_object(*o, "predicate"));
  out.predicate = *predicate;
  return out;
}

}  // namespace assay::protocol::dsse
