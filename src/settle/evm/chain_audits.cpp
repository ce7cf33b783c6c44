// Audits, auditors and checks of a market's contracts, read.
#include "crypto/sha256.hpp"
#include "settle/evm/chain_view.hpp"

namespace assay::settle::evm {

using crypto::Address;

Result<AuditSlot> ChainView::audit(const Hash& id) {
  TRY(const Bytes data, view(contracts_.audits, AbiWriter().bytes32(id), "audit(bytes32)"));
  AbiReader in(data);
  AuditSlot out;
  CHECK_OK(read_on(in, out.buyer, out.asked, out.state, out.requested, out.drawn_at, out.fee_max,
                   out.held, out.round, out.lease, out.subject, out.execution, out.open_disputes));
  TRY(AbiReader::Array drawn, in.array());
  for (std::uint64_t i = 0; i < drawn.count; ++i) {
    DrawnSlot& d = out.drawn.emplace_back();
    CHECK_OK(read_on(drawn.elements, d.account, d.fee, d.fee_held, d.verdict, d.convicted,
                     d.open_checks, d.nonce_hash, d.root_hash, d.pass));
  }
  return out;
}

Result<AuditorSlot> ChainView::auditor(const Hash& execution, const Address& account) {
  AbiWriter arguments;
  arguments.bytes32(execution).address(account);
  TRY(const Bytes data, view(contracts_.auditors, arguments, "auditor(bytes32,address)"));
  AuditorSlot out;
  CHECK_OK(read_all(data, out.fee, out.weight, out.since, out.active, out.drawn, out.revealed,
                    out.missed));
  return out;
}

Result<std::uint64_t> ChainView::registrations(const Hash& execution) {
  TRY(const Bytes data,
      view(contracts_.auditors, AbiWriter().bytes32(execution), "registrations(bytes32)"));
  return AbiReader(data).u64();
}

Result<PassSlot> ChainView::pass(const Hash& id) {
  TRY(const Bytes data, view(contracts_.audits, AbiWriter().bytes32(id), "pass(bytes32)"));
  PassSlot out;
  CHECK_OK(read_all(data, out.audit, out.auditor));
  return out;
}

Result<bool> ChainView::canary(const Hash& subject) {
  TRY(const Bytes data, view(contracts_.audits, AbiWriter().bytes32(subject), "canary(bytes32)"));
  TRY(const std::uint64_t shown, AbiReader(data).u64());
  return shown != 0;
}

Result<BeaconSlot> ChainView::last_beacon() {
  TRY(const Bytes data, view(contracts_.audits, AbiWriter(), "lastBeacon()"));
  BeaconSlot out;
  CHECK_OK(read_all(data, out.round, out.value));
  return out;
}

Result<Hash> ChainView::beacon_at(std::uint64_t round) {
  TRY(const Bytes data, view(contracts_.audits, AbiWriter().uint(round), "beaconAt(uint256)"));
  return AbiReader(data).bytes32();
}

Result<std::vector<Hash>> ChainView::audits_of(const Address& account) {
  TRY(const Bytes data, view(contracts_.audits, AbiWriter().address(account), "auditsOf(address)"));
  AbiReader in(data);
  TRY(const std::vector<Hash> all, in.words());
  std::vector<Hash> out;
  for (const Hash& id : all) {
    if (over_.contains({account, id})) continue;
    AbiWriter arguments;
    arguments.bytes32(id).address(account);
    TRY(const Bytes answer, view(contracts_.audits, arguments, "liable(bytes32,address)"));
    TRY(const bool liable, AbiReader(answer).boolean());
    if (liable)
      out.push_back(id);
    else
      over_.insert({account, id});
  }
  return out;
}

Result<std::optional<ConvictionFigures>> ChainView::auditor_conviction(const Hash& transaction,
                                                                       const Hash& audit,
                                                                       const Address& auditor) {
  TRY(const auto event, events_.first({.kinds = {topics().auditor_convicted},
                                       .indexed = {{audit, word_of(auditor), {}}},
                                       .transaction = transaction}));
  if (!event) return std::nullopt;
  ConvictionFigures out;
  CHECK_OK(
      read_all(event->data, out.slashed, out.burned, out.made_whole, out.reward, out.refunded));
  return out;
}

Result<std::set<Address>> ChainView::registered(const Hash& execution) {
  TRY(const auto all,
      events_.find({.kinds = {topics().auditor_registered}, .indexed = {{{}, {}, execution}}}));
  std::set<Address> out;
  for (const Event& event : all) out.insert(evm::address_of(event.topics.at(2)));
  return out;
}

Result<std::string> ChainView::endpoint_of(const Hash& execution, const Address& account) {
  TRY(const auto all, events_.find({.kinds = {topics().auditor_registered},
                                    .indexed = {{{}, word_of(account), execution}}}));
  // Who ends a registration says nothing about where it was.
  for (auto event = all.rbegin(); event != all.rend(); ++event) {
    AbiReader in(event->data);
    TRY(const bool active, in.boolean());
    if (active) return in.string();
  }
  return std::string();
}

Result<bool> ChainView::was_drawn(const Hash& audit) {
  TRY(const auto event,
      events_.first({.kinds = {topics().audit_drawn}, .indexed = {{audit, {}, {}}}}));
  return event.has_value();
}

Result<std::vector<market::OpenCheck>> ChainView::open_checks(const Hash& audit) {
  TRY(const auto asked,
      events_.find({.kinds = {topics().check_asked}, .indexed = {{{}, audit, {}}}}));
  TRY(const auto ended,
      events_.find({.kinds = {topics().check_ended}, .indexed = {{{}, audit, {}}}}));
  std::set<Hash> over;
  for (const Event& event : ended) over.insert(event.topics.at(1));
  std::vector<market::OpenCheck> out;
  for (const Event& event : asked) {
    if (over.contains(event.topics.at(1))) continue;
    market::OpenCheck& check = out.emplace_back();
    check.id = event.topics[1];
    check.auditor = evm::address_of(event.topics.at(3));
    AbiReader in(event.data);
    TRY(check.challenger, in.address());
    TRY(check.bond, in.i64());
    TRY(check.due, in.u64());
  }
  return out;
}

Result<std::optional<Bytes>> ChainView::check_proof(const Hash& check) {
  TRY(const auto event,
      events_.first({.kinds = {topics().check_asked}, .indexed = {{check, {}, {}}}}));
  if (!event) return std::nullopt;
  AbiReader in(event->data);  // challenger, bond, due
  CHECK_OK(take_words<3>(in));
  TRY(Bytes proof, in.bytes());
  return proof;
}

// What was read once is not looked through again: only what still waits is kept.
Result<std::map<Hash, WaitingAudit>> ChainView::waiting_audits() {
  TRY(const auto asked,
      events_.find(
          {.kinds = {topics().audit_requested}, .from_block = waiting_from_, .to_block = block_}));
  for (const Event& event : asked) {
    AbiReader in(event.data);  // buyer, auditors, fee_max
    CHECK_OK(take_words<3>(in));
    TRY(const std::uint64_t round, in.u64());
    waiting_[event.topics.at(1)] = {round, event.topics.at(2)};
  }
  waiting_from_ = block_ + 1;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    TRY(const bool drawn, was_drawn(it->first));
    TRY(const auto settled,
        events_.first({.kinds = {topics().audit_settled}, .indexed = {{{}, it->first, {}}}}));
    it = drawn || settled ? waiting_.erase(it) : std::next(it);
  }
  return waiting_;
}

std::string request_audit_signature() {
  return fmt::format("requestAudit({},bytes,{},{})", abi_type<protocol::AuditRequest>(),
                     abi_type<protocol::Lease>(), evidence_type());
}
std::string check_audit_signature() {
  return fmt::format("check({},bytes,{},{},{},bytes)", abi_type<protocol::AuditCheck>(),
                     abi_type<protocol::Lease>(), evidence_type(),
                     abi_type<protocol::ExecutionId>());
}

Result<market::RequestAudit> ChainView::audit_request(const Hash& audit) {
  if (const auto known = audit_requests_.find(audit); known != audit_requests_.end())
    return known->second;
  TRY(const auto event,
      events_.first({.kinds = {topics().audit_requested}, .indexed = {{audit, {}, {}}}}));
  if (!event) return fail(Errc::not_found, "no audit {} on this chain", to_hex(audit));
  const auto take_request = [&](AbiReader in) -> Result<market::RequestAudit> {
    market::RequestAudit out;
    TRY(out.request, take_signed<protocol::AuditRequest>(in));
    CHECK_OK(expect_id(domain_, out.request.message, audit));
    CHECK_OK(take<protocol::Lease>(in));
    TRY(AbiReader evidence, in.tuple());
    TRY(out.evidence, take_evidence(evidence));
    return out;
  };
  TRY(market::RequestAudit out,
      from_call<market::RequestAudit>(event->transaction, request_audit_signature(), take_request));
  audit_requests_[audit] = out;
  return out;
}

Result<market::CheckAudit> ChainView::check_operation(const Hash& id) {
  TRY(const auto event,
      events_.first({.kinds = {topics().check_asked}, .indexed = {{id, {}, {}}}}));
  if (!event) return fail(Errc::not_found, "no check {} on this chain", to_hex(id));
  const auto take_check = [&](AbiReader in) -> Result<market::CheckAudit> {
    market::CheckAudit out;
    TRY(out.check, take_signed<protocol::AuditCheck>(in));
    CHECK_OK(expect_id(domain_, out.check.message, id));
    CHECK_OK(take<protocol::Lease>(in));
    CHECK_OK(in.tuple());  // evidence: the audit's
    TRY(out.execution, take<protocol::ExecutionId>(in));
    TRY(out.proof, in.bytes());
    if (auto bytes = program(out.execution.program_hash)) out.program = std::move(*bytes);
    return out;
  };
  auto out = from_call<market::CheckAudit>(event->transaction, check_audit_signature(), take_check);
  if (out || out.error().code == Errc::unavailable) return out;
  market::CheckAudit said;
  auto& m = said.check.message;
  m.audit = event->topics.at(2);
  m.auditor = evm::address_of(event->topics.at(3));
  AbiReader in(event->data);
  TRY(m.challenger, in.address());
  TRY(m.bond, in.i64());
  CHECK_OK(in.u64());
  TRY(said.proof, in.bytes());
  m.proof = crypto::sha256(said.proof);
  return said;
}

}  // namespace assay::settle::evm
