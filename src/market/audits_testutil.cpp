#include "market/audits_testutil.hpp"

#include <gtest/gtest.h>

#include "crypto/sha256.hpp"

namespace assay::market::test {

using namespace protocol;

Hash AuditWorld::must(const Operation& operation) {
  const auto done = run(operation);
  EXPECT_TRUE(done) << kind_of(operation) << ": " << done.error().message;
  return operation_id(domain(), operation);
}

void AuditWorld::hire(std::uint8_t auditors) {
  fund();
  for (std::uint8_t i = 0; i < auditors; ++i) {
    deposit(auditor(i), 3'000'000);
    stake(auditor(i), 2'000'000);
    must(registration(auditor(i)));
  }
  ++time;
  lease_id = lease(5'000'000);
  leaf_one = leaf(lease_id, 1, 100'000);
  ++time;
}

Signed<RegisterAuditor> AuditWorld::registration(const Party& who, Micros fee, bool active) {
  return sign(RegisterAuditor{.account = who.address,
                              .execution = struct_hash(execution()),
                              .active = active,
                              .endpoint = "http://127.0.0.1:9100",
                              .fee = fee,
                              .nonce = nonce()},
              who);
}

RequestAudit AuditWorld::request_audit(const Hash& lease, const ClaimLeaf& leaf,
                                       std::uint32_t auditors, Micros fee_max, const Party& by) {
  Hash drawn{};
  drawn[0] = static_cast<std::uint8_t>(nonce());
  drawn[1] = static_cast<std::uint8_t>(nonce() >> 8);
  return {sign(AuditRequest{.buyer = by.address,
                            .lease = lease,
                            .subject = digest(domain(), leaf.receipt.message),
                            .auditors = auditors,
                            .fee_max = fee_max,
                            .nonce = drawn},
               by),
          {leaf.request, leaf.receipt}};
}

Signed<Beacon> AuditWorld::beacon() const {
  const auto round = state.beacon.round + 1;
  return sign(Beacon{round, beacon_values().at(round)}, host);
}

Hash AuditWorld::key_of(const Party& who) const { return crypto::sha256(who.address.bytes); }

Hash AuditWorld::nonce_of(const Hash& audit, const Party& who) const {
  return key_nonce(audit_of(audit).beacon, audit, who.address, key_of(who));
}

Signed<CommitAudit> AuditWorld::audit_commitment(const Hash& audit, const Party& who) const {
  const Hash root = crypto::sha256(view("a keyed root"));
  return sign(CommitAudit{.account = who.address,
                          .audit = audit,
                          .nonce_hash = nonce_hash(nonce_of(audit, who)),
                          .root_hash = keyed_root_hash(root, key_of(who))},
              who);
}

Signed<RevealAudit> AuditWorld::verdict(const Hash& audit, const Party& who,
                                        AuditVerdict verdict) const {
  return sign(RevealAudit{who.address, audit, static_cast<std::uint32_t>(verdict)}, who);
}

CheckAudit AuditWorld::check(const Hash& audit, const Party& auditor, const Party& challenger,
                             Micros bond, std::string_view proof) {
  const auto bytes = view(proof);
  return {sign(AuditCheck{.challenger = challenger.address,
                          .audit = audit,
                          .auditor = auditor.address,
                          .bond = bond,
                          .proof = crypto::sha256(bytes),
                          .nonce = nonce()},
               challenger),
          execution(),
          program(),
          {bytes.begin(), bytes.end()}};
}

AnswerCheck AuditWorld::reply(const Hash& check, const Party& who, std::string_view proof) const {
  const auto bytes = view(proof);
  return {sign(CheckAnswer{who.address, check}, who), {bytes.begin(), bytes.end()}};
}

Signed<ReportKey> AuditWorld::report(const Hash& audit, const Party& auditor,
                                     const Party& challenger) const {
  return sign(ReportKey{challenger.address, audit, auditor.address, nonce_of(audit, auditor)},
              challenger);
}

ShowCanary AuditWorld::canary(const Hash& lease, const ClaimLeaf& leaf, const Party& from,
                              const Party& by) {
  const Canary canary{by.address, lease, digest(domain(), leaf.receipt.message), 7};
  return {sign(CanaryShown{from.address, digest(domain(), canary)}, from), sign(canary, by)};
}

Signed<SettleAudit> AuditWorld::settlement(const Hash& audit, const Party& who) const {
  return sign(SettleAudit{who.address, audit}, who);
}

FileDispute AuditWorld::pass_dispute(const Hash& lease, const ClaimLeaf& leaf, const Hash& pass,
                                     const Party& challenger, Micros bond) {
  auto op = dispute(lease, leaf, challenger, bond);
  op.dispute.message.subject = pass;
  op.dispute = sign(op.dispute.message, challenger);
  return op;
}

Hash AuditWorld::start(std::uint32_t auditors) {
  const auto id = must(request_audit(auditors));
  must(beacon());
  for (std::size_t i = 0; i < audit_of(id).drawn.size(); ++i)
    must(audit_commitment(id, drawn(id, i)));
  return id;
}

Hash AuditWorld::reveal(const Hash& audit, const Party& who, AuditVerdict what) {
  time = std::max(time, audit_of(audit).commit_due);
  return must(verdict(audit, who, what));
}

void AuditWorld::convict(const Hash& lease, const ClaimLeaf& leaf) {
  auto op = dispute(lease, leaf, other, 100'000);
  const auto proof = view("wrong");
  op.finish.emplace(proof.begin(), proof.end());
  must(committed(op, other));
}

Party AuditWorld::drawn(const Hash& audit, std::size_t index) const {
  return drawn_party(audit_of(audit).drawn.at(index).account);
}

Party AuditWorld::drawn_party(const Address& address) const {
  for (std::uint8_t i = 0; i < 100; ++i)
    if (auditor(i).address == address) return auditor(i);
  ADD_FAILURE() << "drawn is nobody we know";
  return {};
}

AuditorView AuditWorld::record_of(const Party& who) const {
  return state.auditors.at({struct_hash(execution()), who.address});
}

}  // namespace assay::market::test
