// The two files a buyer keeps (spec/messages.md): the receipt file may be published, the opening
// holds the secrets beside it.
#pragma once
#include "protocol/typed.hpp"

namespace assay::protocol {

// Longest receipt or opening file that is read.
inline constexpr std::size_t kFileBytesMax = 64u << 20;

// Everything a stranger needs to check signatures, commitments and amounts.
struct ReceiptFile {
  Domain domain;
  ExecutionId execution;
  Signed<Offer> offer;
  Signed<Lease> lease;
  Signed<Request> request;
  Signed<Receipt> receipt;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("domain", s.domain);
    v("execution", s.execution);
    v("offer", s.offer);
    v("lease", s.lease);
    v("request", s.request);
    v("receipt", s.receipt);
  }
};
// The entry of the offer that the execution id names, at the lease's prices if there is one; null:
// the offer lists no such execution.
const OfferModel* offered_model(const ReceiptFile& file);
std::string to_text(const ReceiptFile& file);  // pretty JSON, "assay": "receipt/0"
Result<ReceiptFile> receipt_file_from_text(std::string_view text);
// The same document inside other JSON.
json::object to_json(const ReceiptFile& file);
Result<ReceiptFile> receipt_file_from_json(const json::object& o);

// One position's leaf hashes as the provider served them on demand.
struct TracePosition {
  std::uint32_t position = 0;
  std::vector<Hash> leaves;  // cells in layer order, then the head
};
struct Opening {
  Hash request{};  // digest
  Hash salt_secret{};
  std::vector<std::uint32_t> prompt, answer, stop_ids;
  Bytes automaton{};                    // of the constraint (canon/automaton.hpp); empty: none
  std::vector<std::uint32_t> logprobs;  // of the answer (tokens.hpp); empty where not asked for
  // The lease's audit-chain link of this request (audit_draw.hpp); zero: not told. Whoever has it
  // foresees the draws of all lower sequences.
  Hash audit_link{};
  // Provider's trace, where it was asked for after a mismatch: one root per position, and the
  // leaves of the positions that were opened. Empty: not asked or refused.
  std::vector<Hash> position_roots;
  std::vector<TracePosition> positions;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("request", s.request);
    v("salt_secret", s.salt_secret);
    v("prompt", s.prompt);
    v("answer", s.answer);
    v("stop_ids", s.stop_ids);
    v("automaton", s.automaton);
    v("logprobs", s.logprobs);
    v("audit_link", s.audit_link);
    v("position_roots", s.position_roots);
    v("positions", s.positions);
  }
};
std::string to_text(const Opening& opening);  // "assay": "opening/0"
Result<Opening> opening_from_text(std::string_view text);
json::object to_json(const Opening& opening);
Result<Opening> opening_from_json(const json::object& o);

}  // namespace assay::protocol
