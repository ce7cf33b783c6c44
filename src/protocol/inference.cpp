#include "protocol/inference.hpp"

#include "protocol/json_fields.hpp"

namespace assay::protocol {
namespace {

template <class T, class S>
concept Is = std::same_as<std::remove_const_t<T>, S>;

template <Is<InferenceCall> S, class V>
void fields(S& s, V&& v) {
  v("lease", s.lease);
  v("request", s.request);
  v("salt_secret", s.salt_secret);
  v("prompt", s.prompt);
  v("stop_ids", s.stop_ids);
  v("automaton", s.automaton);
}
template <Is<Recall> S, class V>
void fields(S& s, V&& v) {
  v("request", s.request);
  v("salt_secret", s.salt_secret);
  v("positions", s.positions);
}
template <Is<ReceiptReply> S, class V>
void fields(S& s, V&& v) {
  v("answer", s.answer);
  v("logprobs", s.logprobs);
  v("receipt", s.receipt);
}
template <Is<TraceReply> S, class V>
void fields(S& s, V&& v) {
  v("position_roots", s.position_roots);
  v("positions", s.positions);
}
template <Is<TokenEvent> S, class V>
void fields(S& s, V&& v) {
  v("tokens", s.tokens);
  v("logprobs", s.logprobs);
}
template <Is<ErrorEvent> S, class V>
void fields(S& s, V&& v) {
  v("code", s.code);
  v("message", s.message);
}
template <class S, class V>
  requires Is<S, Signed<Progress>> || Is<S, Signed<Receipt>>
void fields(S& s, V&& v) {
  v("message", s.message);
  v("signature", s.signature);
}

template <class T>
json::object write(const T& s) {
  json::object out;
  fields(s, FieldWriter{out});
  return out;
}

template <class T>
Result<T> read(const json::object& o, std::string_view what) {
  T out{};
  FieldReader reader(o, what);
  fields(out, reader);
  CHECK_OK(reader.finish());
  return out;
}

std::string_view event_type(const TokenEvent&) { return "token"; }
std::string_view event_type(const Signed<Progress>&) { return "progress"; }
std::string_view event_type(const Signed<Receipt>&) { return "receipt"; }
std::string_view event_type(const ErrorEvent&) { return "error"; }

template <class T>
Result<InferenceEvent> read_event(const json::object& o, std::string_view type) {
  T out{};
  std::string ignored;
  FieldReader reader(o, type);
  reader("type", ignored);
  fields(out, reader);
  CHECK_OK(reader.finish());
  return out;
}

}  // namespace

json::object to_json(const InferenceCall& call) { return write(call); }
Result<InferenceCall> inference_call_from_json(const json::object& o) {
  return read<InferenceCall>(o, "call");
}

std::string to_line(const InferenceEvent& event) {
  return std::visit(
      [](const auto& e) {
        json::object out{{"type", event_type(e)}};
        fields(e, FieldWriter{out});
        return json::dump(out) + "\n";
      },
      event);
}

Result<InferenceEvent> event_from_line(std::string_view line) {
  TRY(const json::value parsed, json::parse(line));
  TRY(const json::object* o, json::as_object(parsed, "event"));
  TRY(const std::string type, json::get_string(*o, "type"));
  if (type == "token") return read_event<TokenEvent>(*o, type);
  if (type == "progress") return read_event<Signed<Progress>>(*o, type);
  if (type == "receipt") return read_event<Signed<Receipt>>(*o, type);
  if (type == "error") return read_event<ErrorEvent>(*o, type);
  return fail(Errc::unsupported, "event type '{}' is not known", type.substr(0, 40));
}

json::object to_json(const Recall& recall) { return write(recall); }
Result<Recall> recall_from_json(const json::object& o) {
  TRY(Recall recall, read<Recall>(o, "recall"));
  if (recall.positions.size() > kTracePositionsMax)
    return fail(Errc::refused, "recall: {} positions asked for, at most {} at a time",
                recall.positions.size(), kTracePositionsMax);
  return recall;
}

json::object to_json(const ReceiptReply& reply) { return write(reply); }
Result<ReceiptReply> receipt_reply_from_json(const json::object& o) {
  return read<ReceiptReply>(o, "receipt reply");
}

json::object to_json(const TraceReply& reply) { return write(reply); }
Result<TraceReply> trace_reply_from_json(const json::object& o) {
  return read<TraceReply>(o, "trace reply");
}

}  // namespace assay::protocol
