// What holds an auditor to its work (spec/audits.md): checks of a pass, leaked keys, canaries.
#include <algorithm>

#include "crypto/sha256.hpp"
#include "market/ledger_step.hpp"
#include "market/money.hpp"
#include "protocol/audit_keys.hpp"

namespace assay::market {

using protocol::AuditVerdict;
using protocol::check_signature;

namespace {

Result<DrawnPlace> unconvicted(const Step& step, const Hash& audit, const Address& account) {
  TRY(const auto place, find_drawn(step, audit, account));
  if (place.auditor->convicted)
    return fail(Errc::conflict, "the auditor was convicted for this audit already");
  return place;
}

DisputeCase checked_case(const Step& step, const AuditRecord& record, const CheckAudit& op) {
  const auto& terms = step.state().leases.at(record.view.lease).view.terms;
  return {.domain = step.domain(),
          .dispute = step.id(),
          .subject = record.view.subject,
          .challenger = op.check.message.challenger,
          .defender = op.check.message.auditor,
          .lease = terms,
          .request = record.evidence.request.message,
          .statement = record.evidence.statement,
          .execution = op.execution,
          .program = op.program};
}

struct Found {
  Hash audit{};
  OpenCheck check;
  const Bytes* proof = nullptr;  // until the check ends
};
Result<Found> open_check(const Step& step, const Hash& id) {
  const auto it = step.state().checks.find(id);
  if (it == step.state().checks.end()) return fail(Errc::not_found, "no such check is open");
  const auto& all = step.state().audits.at(it->second.audit).view.checks;
  return Found{it->second.audit, *std::ranges::find(all, id, &OpenCheck::id), &it->second.proof};
}

void end_check(Step& step, const Found& found, const Address& bond_to) {
  std::erase_if(step.audit(found.audit).view.checks,
                [&](const OpenCheck& c) { return c.id == found.check.id; });
  step.remove_check(found.check.id);
  step.return_bond(bond_to, found.check.bond);
}

}  // namespace

Status on(Step& step, const CheckAudit& op) {
  const auto& m = op.check.message;
  CHECK_OK(check_signature(step.domain(), op.check, m.challenger));
  TRY(const auto place, unconvicted(step, m.audit, m.auditor));
  const auto& v = place.record->view;
  if (place.auditor->verdict != static_cast<std::uint32_t>(AuditVerdict::pass))
    return fail(Errc::refused, "only a pass is checked");
  if (step.time() < v.reveal_due || step.time() >= v.check_due)
    return fail(Errc::refused, "checks are taken from {} on and before {}, it is {}", v.reveal_due,
                v.check_due, step.time());
  const auto least = std::max(step.parameters().dispute_bond, place.auditor->fee);
  if (m.bond < least)
    return fail(Errc::refused, "bond {} is under the least {}", format_money(m.bond),
                format_money(least));
  CHECK_OK(check_available(step, m.challenger, m.bond));
  if (op.proof.size() > kPayloadMax)
    return fail(Errc::invalid, "a proof of {} bytes, at most {}", op.proof.size(), kPayloadMax);
  if (m.proof != crypto::sha256(op.proof))
    return fail(Errc::mismatch, "the check was signed for another proof than the one beside it");
  CHECK_OK(check_program(step.state().leases.at(v.lease).view.terms, op.execution, op.program));
  CHECK_OK(step.state().referee->open_check(checked_case(step, *place.record, op), op.proof));

  step.lock_bond(m.challenger, m.bond);
  // All at the same time: one replay, once no more can come, answers them however many they are.
  step.audit(m.audit).view.checks.push_back({.id = step.id(),
                                             .challenger = m.challenger,
                                             .auditor = m.auditor,
                                             .bond = m.bond,
                                             .due = v.check_due + step.parameters().move_s});
  step.add_check(step.id(), {m.audit, op.proof});
  return {};
}

Status on(Step& step, const AnswerCheck& op) {
  const auto& m = op.answer.message;
  CHECK_OK(check_signature(step.domain(), op.answer, m.account));
  TRY(const auto found, open_check(step, m.check));
  if (found.check.auditor != m.account) return fail(Errc::refused, "another auditor is asked");
  TRY(const auto place, unconvicted(step, found.audit, m.account));
  if (step.time() >= found.check.due)
    return fail(Errc::refused, "the answer was due before {}, it is {}", found.check.due,
                step.time());
  if (op.proof.size() > kPayloadMax)
    return fail(Errc::invalid, "an answer of {} bytes, at most {}", op.proof.size(), kPayloadMax);
  const KeyedCommit commit{.beacon = place.record->view.beacon,
                           .audit = found.audit,
                           .auditor = m.account,
                           .nonce_hash = place.auditor->nonce_hash,
                           .root_hash = place.auditor->root_hash};
  CHECK_OK(step.state().referee->judge_check(*found.proof, commit, op.proof));
  end_check(step, found, m.account);
  return {};
}

Status expire_check(Step& step, const Hash& id) {
  TRY(const auto found, open_check(step, id));
  TRY(const auto place, find_drawn(step, found.audit, found.check.auditor));
  // Convicted otherwise meanwhile: nothing is left to ask.
  const bool convicted = place.auditor->convicted;
  if (!convicted && step.time() < found.check.due)
    return fail(Errc::refused, "the auditor has until {}, it is {}", found.check.due, step.time());
  // Whoever asked first is rewarded, not whoever says first that the time is over.
  const auto& all = place.record->view.checks;
  const Address first =
      std::ranges::find(all, found.check.auditor, &OpenCheck::auditor)->challenger;
  end_check(step, found, found.check.challenger);
  if (!convicted) convict_auditor(step, found.audit, found.check.auditor, first);
  return {};
}

Status on(Step& step, const Signed<protocol::ReportKey>& op) {
  const auto& m = op.message;
  CHECK_OK(check_signature(step.domain(), op, m.challenger));
  TRY(const auto place, unconvicted(step, m.audit, m.auditor));
  if (place.auditor->nonce_hash == Hash{} ||
      place.auditor->nonce_hash != protocol::nonce_hash(m.key_nonce))
    return fail(Errc::mismatch, "the auditor committed to another nonce");
  if (!liable(step.state(), m.audit, m.auditor, step.time()))
    return fail(Errc::refused, "the auditor answers for this audit no more");
  const Hash commitment = commitment_of(step.domain(), op);
  TRY(const auto made, committed_at(step, m.challenger, commitment));
  if (made >= place.record->view.commit_due)
    return fail(Errc::refused, "the report was committed at {}, it had to be before {}", made,
                place.record->view.commit_due);
  consume_commitment(step, m.challenger, commitment);
  convict_auditor(step, m.audit, m.auditor, m.challenger);
  return {};
}

Status on(Step& step, const ShowCanary& op) {
  const auto& m = op.shown.message;
  const auto& canary = op.canary.message;
  CHECK_OK(check_signature(step.domain(), op.shown, m.buyer));
  if (m.canary != protocol::digest(step.domain(), canary))
    return fail(Errc::mismatch, "another canary lies beside the one named");
  TRY(const LeaseRecord* lease, step.read_lease(canary.lease));
  const auto& terms = lease->view.terms;
  if (m.buyer != terms.buyer || canary.provider != terms.provider)
    return fail(Errc::refused, "a canary is its lease's provider's, and its buyer shows it");
  CHECK_OK(check_signature(step.domain(), op.canary, terms.provider));
  CHECK_OK(check_disputable(step, *lease, canary.subject));
  if (lease->canaries.contains(canary.subject))
    return fail(Errc::conflict, "this canary was shown already");
  // Before anybody looked: else whoever is caught would say so.
  std::uint64_t first = UINT64_MAX;
  for (const auto& id : lease->audits) {
    const auto& audit = step.state().audits.at(id).view;
    if (audit.subject == canary.subject) first = std::min(first, audit.requested);
  }
  if (first == UINT64_MAX) return fail(Errc::refused, "nobody was asked to audit this canary");
  const Hash commitment = commitment_of(step.domain(), op);
  TRY(const auto made, committed_at(step, m.buyer, commitment));
  if (made >= first)
    return fail(Errc::refused, "the canary was committed at {}, it had to be before {}", made,
                first);
  consume_commitment(step, m.buyer, commitment);
  auto& written = step.lease(canary.lease);
  written.canaries.insert(canary.subject);
  written.wrong.emplace(canary.subject, step.time());
  return {};
}

}  // namespace assay::market
