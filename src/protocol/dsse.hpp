// DSSE envelopes (secure-systems-lab/dsse, protocol.md) and the in-toto Statement v1 inside them,
// as far as receipts and model signatures need them.
#pragma once
#include "base/json.hpp"

namespace assay::protocol::dsse {

inline constexpr std::string_view kInTotoType = "application/vnd.in-toto+json";
inline constexpr std::string_view kStatementType = "https://in-toto.io/Statement/v1";
inline constexpr std::size_t kSignaturesMax = 16;

struct Signature {
  std::string key_id{};  // a hint, signed by nobody
  Bytes bytes{};
};
struct Envelope {
  std::string payload_type{};
  Bytes payload{};
  std::vector<Signature> signatures{};
};

// What is signed (PAE): "DSSEv1" SP length SP type SP length SP payload.
Bytes pre_authentication_encoding(std::string_view payload_type, ByteView payload);
Bytes to_be_signed(const Envelope& envelope);

json::object to_json(const Envelope& envelope);
// Standard base64 with padding. Members nobody knows are ignored, as the format asks. Errors:
// invalid; at least one and at most kSignaturesMax signatures.
Result<Envelope> envelope_from_json(const json::object& o);

struct Subject {
  std::string name{};
  std::string digest_name{}, digest{};  // of one digest; hexadecimal as written
};
struct Statement {
  std::vector<Subject> subjects{};
  std::string predicate_type{};
  json::object predicate{};
};
// Errors: invalid unless the payload is in-toto JSON of a Statement v1 with subjects that have one
// digest each.
Result<Statement> statement_from(const Envelope& envelope);

}  // namespace assay::protocol::dsse
