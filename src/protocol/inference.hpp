// The wire between a buyer's gateway and a provider (spec/messages.md, "Inference").
//
//   POST /v1/infer     InferenceCall → 200 application/x-ndjson, one InferenceEvent a line;
//                      refusals before work: 4xx/5xx {"error":{"message","type","code"}}
//   POST /v1/receipt   Recall → ReceiptReply: the stored outcome of a request (idempotent pick-up)
//   POST /v1/trace     Recall (+ positions) → TraceReply, recomputed on demand
//   GET  /health       {"status":"ok"}
// The same signed request sent twice is the same request: it is answered from the stored outcome
// and charged once.
#pragma once
#include <variant>

#include "protocol/files.hpp"

namespace assay::protocol {

// Everything a provider needs; the salt secret travels privately and is never published.
struct InferenceCall {
  Signed<Lease> lease;
  Signed<Request> request;
  Hash salt_secret{};
  std::vector<std::uint32_t> prompt, stop_ids;
  Bytes automaton{};  // of the request's constraint (canon/automaton.hpp); empty: none
};
json::object to_json(const InferenceCall& call);
Result<InferenceCall> inference_call_from_json(const json::object& o);

struct TokenEvent {
  std::vector<std::uint32_t> tokens;      // next answer tokens, in order
  std::vector<std::uint32_t> logprobs{};  // theirs (tokens.hpp); empty where none are asked for
};
struct ErrorEvent {
  std::string code, message;  // ends the stream without a receipt
};
// {"type":"token","tokens":["12"],"logprobs":[]}, {"type":"progress",…}, {"type":"receipt",…},
// {"type":"error",…}
using InferenceEvent = std::variant<TokenEvent, Signed<Progress>, Signed<Receipt>, ErrorEvent>;
std::string to_line(const InferenceEvent& event);  // ends in '\n'
Result<InferenceEvent> event_from_line(std::string_view line);

inline constexpr std::size_t kTracePositionsMax = 64;

// Knowing the salt secret of a request proves being its buyer or somebody the buyer told.
struct Recall {
  Hash request{};
  Hash salt_secret{};
  std::vector<std::uint32_t>
      positions;  // trace only: whose leaves to open, at most kTracePositionsMax
};
json::object to_json(const Recall& recall);
Result<Recall> recall_from_json(const json::object& o);

struct ReceiptReply {
  std::vector<std::uint32_t> answer, logprobs;  // tokens.hpp
  Signed<Receipt> receipt;
};
json::object to_json(const ReceiptReply& reply);
Result<ReceiptReply> receipt_reply_from_json(const json::object& o);

struct TraceReply {
  std::vector<Hash> position_roots;
  std::vector<TracePosition> positions;
};
json::object to_json(const TraceReply& reply);
Result<TraceReply> trace_reply_from_json(const json::object& o);

// What a provider checks before working and what a gateway checks after: one function each, so that
// both sides judge alike. `now` in Unix seconds.
Status check_call(const Domain& domain, const InferenceCall& call, std::uint64_t now);
// Whoever knows the stop ids calls check_finish (rules.hpp) too. `logprobs`: logprobs_root
// (tokens.hpp) of what was delivered.
Status check_receipt(const Domain& domain, const Lease& lease, const Request& request,
                     const Hash& salt_secret, std::span<const std::uint32_t> answer,
                     const Hash& logprobs, const Signed<Receipt>& receipt);
// `answer`: the tokens received so far.
Status check_progress(const Domain& domain, const Lease& lease, const Request& request,
                      const Hash& salt_secret, std::span<const std::uint32_t> answer,
                      const Hash& logprobs, const Signed<Progress>& progress);

}  // namespace assay::protocol
