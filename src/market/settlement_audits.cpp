// JSON of the views about audits in settlement.hpp.
#include "market/settlement.hpp"

namespace assay::market {
namespace {

template <class V>
void audit_members(V& v, AuditorView& s) {
  v("account", s.account);
  v("execution", s.execution);
  v("active", s.active);
  v("endpoint", s.endpoint);
  v("fee", s.fee);
  v("weight", s.weight);
  v("since", s.since);
  v("drawn", s.drawn);
  v("revealed", s.revealed);
  v("missed", s.missed);
}
template <class V>
void audit_members(V& v, OpenCheck& s) {
  v("id", s.id);
  v("challenger", s.challenger);
  v("auditor", s.auditor);
  v("bond", s.bond);
  v("due", s.due);
}
// Enumerations are words, which the caller reads and writes.
template <class V>
void audit_members(V& v, DrawnAuditor& s, std::string& verdict) {
  v("account", s.account);
  v("endpoint", s.endpoint);
  v("fee", s.fee);
  v("fee_held", s.fee_held);
  v("nonce_hash", s.nonce_hash);
  v("root_hash", s.root_hash);
  v("verdict", verdict);
  v("pass", s.pass);
  v("convicted", s.convicted);
}
template <class V>
void audit_members(V& v, AuditView& s, std::string& state) {
  v("id", s.id);
  v("buyer", s.buyer);
  v("lease", s.lease);
  v("subject", s.subject);
  v("auditors", s.auditors);
  v("fee_max", s.fee_max);
  v("held", s.held);
  v("requested", s.requested);
  v("round", s.round);
  v("beacon", s.beacon);
  v("state", state);
  v("commit_due", s.commit_due);
  v("reveal_due", s.reveal_due);
  v("check_due", s.check_due);
  v("drawn", s.drawn);
  v("checks", s.checks);
  v("open_disputes", s.open_disputes);
  v("subject_convicted", s.subject_convicted);
  v("subject_canary", s.subject_canary);
}

template <class E>
Status word(const std::string& text, E& out, std::initializer_list<E> all) {
  for (const E e : all)
    if (to_string(e) == text) {
      out = e;
      return {};
    }
  return fail(Errc::invalid, "unknown word '{}'", text);
}

}  // namespace

// Found by argument-dependent lookup from the lists above.
json::value encode(const AuditorView& s) {
  json::object out;
  protocol::FieldWriter writer{out};
  auto copy = s;
  audit_members(writer, copy);
  return out;
}
Status decode(const json::value& v, AuditorView& out) {
  TRY(const json::object* o, json::as_object(v, "an auditor"));
  protocol::FieldReader reader(*o, "an auditor");
  audit_members(reader, out);
  return reader.finish();
}
json::value encode(const OpenCheck& s) {
  json::object out;
  protocol::FieldWriter writer{out};
  auto copy = s;
  audit_members(writer, copy);
  return out;
}
Status decode(const json::value& v, OpenCheck& out) {
  TRY(const json::object* o, json::as_object(v, "a check"));
  protocol::FieldReader reader(*o, "a check");
  audit_members(reader, out);
  return reader.finish();
}
json::value encode(const DrawnAuditor& s) {
  json::object out;
  protocol::FieldWriter writer{out};
  auto copy = s;
  std::string verdict(to_string(static_cast<protocol::AuditVerdict>(s.verdict)));
  audit_members(writer, copy, verdict);
  return out;
}
Status decode(const json::value& v, DrawnAuditor& out) {
  using protocol::AuditVerdict;
  TRY(const json::object* o, json::as_object(v, "a drawn auditor"));
  protocol::FieldReader reader(*o, "a drawn auditor");
  std::string text;
  audit_members(reader, out, text);
  CHECK_OK(reader.finish());
  AuditVerdict verdict{};
  CHECK_OK(word(
      text, verdict,
      {AuditVerdict::none, AuditVerdict::pass, AuditVerdict::fail, AuditVerdict::unauditable}));
  out.verdict = static_cast<std::uint32_t>(verdict);
  return {};
}

json::object to_json(const AuditView& v) {
  json::object out;
  protocol::FieldWriter writer{out};
  auto copy = v;
  std::string state(to_string(v.state));
  audit_members(writer, copy, state);
  return out;
}
Result<AuditView> audit_view_from_json(const json::object& o) {
  AuditView v;
  std::string state;
  protocol::FieldReader reader(o, "an audit");
  audit_members(reader, v, state);
  CHECK_OK(reader.finish());
  CHECK_OK(word(state, v.state, {AuditState::waiting, AuditState::drawn, AuditState::settled}));
  return v;
}

json::object to_json(const std::vector<AuditorView>& v) {
  json::object out;
  protocol::FieldWriter{out}("auditors", v);
  return out;
}
Result<std::vector<AuditorView>> auditors_from_json(const json::object& o) {
  std::vector<AuditorView> out;
  protocol::FieldReader reader(o, "auditors");
  reader("auditors", out);
  CHECK_OK(reader.finish());
  return out;
}

}  // namespace assay::market
