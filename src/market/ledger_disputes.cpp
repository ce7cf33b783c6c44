// Commitments, and how disputes and equivocations come to the ledger.
#include <algorithm>

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "market/ledger_step.hpp"
#include "market/money.hpp"
#include "market/statements.hpp"

namespace assay::market {

using protocol::check_signature;
using protocol::Outcome;
using protocol::struct_hash;

namespace {

constexpr std::size_t kCommitmentsMax = 64;  // live ones of one account
constexpr std::size_t kOpenDisputesMax = 8;  // of one challenger about one lease

bool live(const Step& step, const Commitment& c) {
  return step.time() <= c.made + step.parameters().window_max_s;
}

// An earlier operation committed to this one.
Status check_committed(const Step& step, const Address& challenger, const Hash& hash) {
  for (const auto& c : step.read(challenger).commitments)
    if (c.hash == hash && live(step, c)) return {};
  return fail(Errc::refused,
              "commit first: no live commitment of {} to this message (commit_dispute with {})",
              challenger.to_string(), to_hex(hash));
}

void consume_commitment(Step& step, const Address& challenger, const Hash& hash) {
  std::erase_if(step.account(challenger).commitments,
                [&](const auto& c) { return c.hash == hash; });
}

Status check_open_disputes(const Step& step, const LeaseRecord& lease, const Address& challenger) {
  const auto open = std::ranges::count_if(lease.view.open_disputes, [&](const Hash& id) {
    const auto& d = step.state().disputes.at(id);
    return d.challenger == challenger && d.about != DisputeAbout::delivery;
  });
  if (static_cast<std::size_t>(open) < kOpenDisputesMax) return {};
  return fail(Errc::refused, "{} has {} open disputes about this lease: end one first",
              challenger.to_string(), open);
}

// What the referee says of everything that lies beside the dispute. Over at once, or a game.
Result<GameStatus> judge(const Step& step, const protocol::Lease& terms, const FileDispute& op) {
  if (auto fault = arithmetic_fault(terms, op.evidence.request.message, op.evidence.statement)) {
    GameStatus status;  // nothing to execute
    status.turn = Turn::over;
    status.outcome = Outcome::provider_wrong;
    status.reason = *fault;
    return status;
  }
  if (op.program.size() > kProgramBytesMax)
    return fail(Errc::invalid, "a program of {} bytes, at most {}", op.program.size(),
                kProgramBytesMax);
  if (crypto::sha256(op.program) != op.execution.program_hash)
    return fail(Errc::mismatch, "the program is not the one the execution id names");
  const auto about = case_of(step, terms, step.id(), op);
  if (op.finish) {
    if (!op.transcript.empty())
      return fail(Errc::invalid, "either a transcript or a proof about the finish, not both");
    if (op.finish->size() > kPayloadMax)
      return fail(Errc::invalid, "a proof of {} bytes, at most {}", op.finish->size(), kPayloadMax);
    return step.state().referee->judge_finish(about, *op.finish);
  }
  if (op.transcript.size() > kMovesMax)
    return fail(Errc::invalid, "a transcript of {} moves, at most {}", op.transcript.size(),
                kMovesMax);
  for (const auto& move : op.transcript)
    if (move.payload.size() > kPayloadMax)
      return fail(Errc::invalid, "a move of {} bytes, at most {}", move.payload.size(),
                  kPayloadMax);
  return step.state().referee->replay(about, op.transcript);
}

DisputeView& new_dispute(Step& step, const Hash& commitment, const Hash& lease, const Hash& subject,
                         const Address& challenger, Micros bond, Micros amount) {
  consume_commitment(step, challenger, commitment);
  return add_dispute(step, DisputeAbout::statement, lease, subject, challenger, bond, amount);
}

}  // namespace

Status check_disputable(const Step& step, const LeaseRecord& lease, const Hash& subject) {
  const auto& v = lease.view;
  if (v.state != LeaseState::open && step.time() > v.closed + v.terms.window)
    return fail(Errc::refused, "the lease could be disputed until {}, it is {}",
                v.closed + v.terms.window, step.time());
  if (lease.convicted.contains(subject))
    return fail(Errc::conflict, "this receipt was convicted already");
  return {};
}

Status check_bond(const Step& step, const Address& from, Micros bond) {
  if (bond < step.parameters().dispute_bond)
    return fail(Errc::refused, "bond {} is under the least {}", format_money(bond),
                format_money(step.parameters().dispute_bond));
  return check_available(step, from, bond);
}

DisputeView& add_dispute(Step& step, DisputeAbout about, const Hash& lease, const Hash& subject,
                         const Address& challenger, Micros bond, Micros amount) {
  step.lock_bond(challenger, bond);
  auto& open = step.lease(lease).view.open_disputes;
  open.push_back(step.id());
  std::ranges::sort(open);
  auto& d = step.dispute(step.id());
  d.id = step.id();
  d.lease = lease;
  d.subject = subject;
  d.challenger = challenger;
  d.bond = bond;
  d.about = about;
  d.amount = amount;
  d.filed = step.time();
  return d;
}

Status on(Step& step, const Signed<protocol::CommitDispute>& op) {
  const auto& m = op.message;
  CHECK_OK(check_signature(step.domain(), op, m.account));
  // Else anyone could fill the log with accounts that never had anything.
  if (!step.state().accounts.contains(m.account))
    return fail(Errc::refused, "account {} never had money here: deposit first",
                m.account.to_string());
  auto commitments = step.read(m.account).commitments;
  std::erase_if(commitments, [&](const auto& c) { return !live(step, c); });
  if (std::ranges::count(commitments, m.commitment, &Commitment::hash) != 0)
    return fail(Errc::conflict, "committed already");
  if (commitments.size() >= kCommitmentsMax)
    return fail(Errc::refused, "{} commitments wait for their disputes, at most {}",
                commitments.size(), kCommitmentsMax);
  commitments.push_back({m.commitment, step.time()});
  step.account(m.account).commitments = std::move(commitments);
  return {};
}

Status on(Step& step, const FileDispute& op) {
  const auto& m = op.dispute.message;
  CHECK_OK(check_signature(step.domain(), op.dispute, m.challenger));
  TRY(const LeaseRecord* lease, step.read_lease(m.lease));
  const auto& terms = lease->view.terms;
  const auto& statement = op.evidence.statement;
  if (m.subject != statement_id(step.domain(), statement))
    return fail(Errc::mismatch, "the dispute is about another receipt than the one beside it");
  CHECK_OK(check_disputable(step, *lease, m.subject));
  if (struct_hash(op.execution) != terms.execution)
    return fail(Errc::mismatch, "the execution id is not the lease's");
  CHECK_OK(check_evidence(step.domain(), terms, m.lease, op.evidence.request, statement));
  CHECK_OK(check_bond(step, m.challenger, m.bond));
  const Hash commitment = commitment_of(step.domain(), op);
  CHECK_OK(check_committed(step, m.challenger, commitment));
  CHECK_OK(check_open_disputes(step, *lease, m.challenger));
  TRY(const auto status, judge(step, terms, op));

  auto& d = new_dispute(step, commitment, m.lease, m.subject, m.challenger, m.bond,
                        statement_amount(statement));
  continue_game(step, d, status);
  step.game(d.id) = op;
  if (status.turn == Turn::over) decide(step, d.id, status.outcome, status.reason);
  return {};
}

Status on(Step& step, const ReportEquivocation& op) {
  const auto& m = op.report.message;
  CHECK_OK(check_signature(step.domain(), op.report, m.challenger));
  TRY(const LeaseRecord* lease, step.read_lease(m.lease));
  const auto& terms = lease->view.terms;
  if (m.first != statement_id(step.domain(), op.first) ||
      m.second != statement_id(step.domain(), op.second))
    return fail(Errc::mismatch, "the report is about other statements than the two beside it");
  CHECK_OK(check_disputable(step, *lease, m.first));
  CHECK_OK(check_disputable(step, *lease, m.second));
  CHECK_OK(check_evidence(step.domain(), terms, m.lease, op.request, op.first));
  CHECK_OK(check_evidence(step.domain(), terms, m.lease, op.request, op.second));
  const auto reason = contradiction(op.first, op.second);
  if (!reason) return fail(Errc::refused, "the two statements do not contradict each other");
  const Hash commitment = commitment_of(step.domain(), op);
  CHECK_OK(check_committed(step, m.challenger, commitment));

  auto& d = new_dispute(step, commitment, m.lease, m.first, m.challenger, 0,
                        std::max(statement_amount(op.first), statement_amount(op.second)));
  step.lease(m.lease).convicted.insert(m.second);
  decide(step, d.id, Outcome::provider_wrong, *reason);
  return {};
}

}  // namespace assay::market
