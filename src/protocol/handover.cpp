#include "protocol/handover.hpp"

#include "crypto/sha256.hpp"
#include "protocol/json_codec.hpp"
#include "protocol/tokens.hpp"

namespace assay::protocol {
namespace {

template <class T, class S>
concept Called = std::same_as<std::remove_const_t<T>, S>;

template <Called<AuditCall> S, class V>
void handover_fields(S& s, V&& v) {
  v("handover", s.handover);
  v("request", s.request);
  v("receipt", s.receipt);
  v("execution", s.execution);
  v("prompt", s.prompt);
  v("answer", s.answer);
  v("stop_ids", s.stop_ids);
  v("logprobs", s.logprobs);
  v("automaton", s.automaton);
}
template <Called<AuditSecret> S, class V>
void handover_fields(S& s, V&& v) {
  v("audit", s.audit);
  v("salt_secret", s.salt_secret);
}

template <class T>
json::object write_call(const T& s) {
  json::object out;
  handover_fields(s, FieldWriter{out});
  return out;
}

template <class T>
Result<T> read_call(const json::object& o, std::string_view what) {
  T out{};
  FieldReader reader(o, what);
  handover_fields(out, reader);
  CHECK_OK(reader.finish());
  return out;
}

}  // namespace

json::object to_json(const AuditCall& call) { return write_call(call); }
Result<AuditCall> audit_call_from_json(const json::object& o) {
  return read_call<AuditCall>(o, "audit call");
}
json::object to_json(const AuditSecret& secret) { return write_call(secret); }
Result<AuditSecret> audit_secret_from_json(const json::object& o) {
  return read_call<AuditSecret>(o, "audit secret");
}

Hash handover_content(std::span<const std::uint32_t> prompt, std::span<const std::uint32_t> answer,
                      std::span<const std::uint32_t> stop_ids,
                      std::span<const std::uint32_t> logprobs, ByteView automaton) {
  constexpr std::string_view kLabel = "assay/handover/v0";
  Bytes bytes(kLabel.begin(), kLabel.end());
  for (const auto list : {prompt, answer, stop_ids, logprobs}) {
    append_le(bytes, static_cast<std::uint32_t>(list.size()));
    for (const std::uint32_t n : list) append_le(bytes, n);
  }
  append(bytes, automaton);
  return crypto::sha256(bytes);
}

Status check_audit_call(const Domain& domain, const AuditCall& call, const Address& buyer,
                        const Address& auditor) {
  const Handover& handover = call.handover.message;
  CHECK_OK(check_signature(domain, call.handover, buyer));
  if (handover.auditor != auditor)
    return fail(Errc::refused, "the handover is for auditor {}, this is {}",
                handover.auditor.to_string(), auditor.to_string());
  if (handover.content !=
      handover_content(call.prompt, call.answer, call.stop_ids, call.logprobs, call.automaton))
    return fail(Errc::mismatch, "the tokens are not the ones the buyer signed for");
  const Request& request = call.request.message;
  const std::uint32_t count = call.receipt.message.count;
  const auto expect = [](std::string_view what, std::size_t have, std::size_t wanted) -> Status {
    if (have == wanted) return {};
    return fail(Errc::mismatch, "{} {} were handed over, request and receipt have {}", have, what,
                wanted);
  };
  CHECK_OK(expect("prompt tokens", call.prompt.size(), request.prompt_count));
  CHECK_OK(expect("answer tokens", call.answer.size(), count));
  return expect("log-probability numbers", call.logprobs.size(),
                std::size_t{count} * logprob_width(request));
}

}  // namespace assay::protocol
