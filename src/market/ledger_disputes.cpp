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

Status check_committed(const Step& step, const Address& challenger, const Hash& hash) {
  const auto made = committed_at(step, challenger, hash);
  return made ? Status() : std::unexpected(made.error());
}

Status check_open_disputes(const Step& step, std::span<const Hash> all, const Address& challenger) {
  const auto open = std::ranges::count_if(all, [&](const Hash& id) {
    const auto& d = step.state().disputes.at(id);
    return d.challenger == challenger && d.about != DisputeAbout::delivery;
  });
  if (static_cast<std::size_t>(open) < kOpenDisputesMax) return {};
  return fail(Errc::refused, "{} has {} open disputes about this lease: end one first",
              challenger.to_string(), open);
}

// What a dispute is about: a statement of the lease's provider, or an auditor's pass of one.
struct About {
  Hash statement{};  // digest of the statement beside the dispute
  Address defender{};
  Hash audit{};  // zero: about the provider
  std::span<const Hash> open_disputes{};
};

Result<About> about_pass(const Step& step, const PassPlace& pass, const LeaseRecord& lease) {
  TRY(const auto place, find_drawn(step, pass.audit, pass.auditor));
  const auto& audit = place.record->view;
  if (audit.lease != lease.view.id)
    return fail(Errc::mismatch, "the audit is about another lease than the dispute");
  if (place.auditor->convicted)
    return fail(Errc::conflict, "the auditor was convicted for this audit already");
  if (!lease.wrong.contains(audit.subject))
    return fail(Errc::refused,
                "nobody has shown the receipt to be false: dispute it with its provider first");
  const auto until = pass_disputable_until(lease, audit.subject);
  if (step.time() > until)
    return fail(Errc::refused, "the pass could be disputed until {}, it is {}", until, step.time());
  return About{audit.subject, pass.auditor, pass.audit, audit.open_disputes};
}

Result<About> about_of(const Step& step, const LeaseRecord& lease, const Hash& subject) {
  const auto& passes = step.state().passes;
  if (const auto pass = passes.find(subject); pass != passes.end())
    return about_pass(step, pass->second, lease);
  CHECK_OK(check_disputable(step, lease, subject));
  CHECK_OK(check_not_over(step, lease));
  return About{subject, lease.view.terms.provider, Hash{}, lease.view.open_disputes};
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
  CHECK_OK(check_program(terms, op.execution, op.program));
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
                         const Address& challenger, const Address& defender, const Hash& audit,
                         Micros bond, Micros amount) {
  consume_commitment(step, challenger, commitment);
  return add_dispute(step, DisputeAbout::statement, lease, subject, challenger, defender, audit,
                     bond, amount);
}

}  // namespace

Result<std::uint64_t> committed_at(const Step& step, const Address& challenger, const Hash& hash) {
  for (const auto& c : step.read(challenger).commitments)
    if (c.hash == hash && live(step, c)) return c.made;
  return fail(Errc::refused,
              "commit first: no live commitment of {} to this message (commit_dispute with {})",
              challenger.to_string(), to_hex(hash));
}

void consume_commitment(Step& step, const Address& challenger, const Hash& hash) {
  std::erase_if(step.account(challenger).commitments,
                [&](const auto& c) { return c.hash == hash; });
}

Status check_disputable(const Step& step, const LeaseRecord& lease, const Hash& subject) {
  const auto& v = lease.view;
  if (v.state != LeaseState::open && step.time() > v.closed + v.terms.window)
    return fail(Errc::refused, "the lease could be disputed until {}, it is {}",
                v.closed + v.terms.window, step.time());
  if (lease.convicted.contains(subject))
    return fail(Errc::conflict, "this receipt was convicted already");
  return {};
}

Status check_not_over(const Step& step, const LeaseRecord& lease) {
  const auto& v = lease.view;
  const auto end = v.terms.expires + v.terms.window;
  if (v.state != LeaseState::open || step.time() <= end) return {};
  // What may still be paid may still be disputed.
  if (v.claim && step.time() < v.claim->due) return {};
  return fail(Errc::refused,
              "the lease was over at {}, it is {}: close it first, then there is another window of "
              "{} seconds",
              end, step.time(), v.terms.window);
}

Status check_program(const protocol::Lease& terms, const protocol::ExecutionId& execution,
                     ByteView program) {
  if (struct_hash(execution) != terms.execution)
    return fail(Errc::mismatch, "the execution id is not the lease's");
  if (program.size() > kProgramBytesMax)
    return fail(Errc::invalid, "a program of {} bytes, at most {}", program.size(),
                kProgramBytesMax);
  if (crypto::sha256(program) != execution.program_hash)
    return fail(Errc::mismatch, "the program is not the one the execution id names");
  return {};
}

Status check_bond(const Step& step, const Address& from, Micros bond) {
  if (bond < step.parameters().dispute_bond)
    return fail(Errc::refused, "bond {} is under the least {}", format_money(bond),
                format_money(step.parameters().dispute_bond));
  return check_available(step, from, bond);
}

DisputeView& add_dispute(Step& step, DisputeAbout about, const Hash& lease, const Hash& subject,
                         const Address& challenger, const Address& defender, const Hash& audit,
                         Micros bond, Micros amount) {
  step.lock_bond(challenger, bond);
  auto& open =
      audit == Hash{} ? step.lease(lease).view.open_disputes : step.audit(audit).view.open_disputes;
  open.push_back(step.id());
  std::ranges::sort(open);
  auto& d = step.dispute(step.id());
  d.id = step.id();
  d.lease = lease;
  d.subject = subject;
  d.challenger = challenger;
  d.defender = defender;
  d.audit = audit;
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
  TRY(const auto about, about_of(step, *lease, m.subject));
  if (about.statement != statement_id(step.domain(), statement))
    return fail(Errc::mismatch, "the dispute is about another receipt than the one beside it");
  if (struct_hash(op.execution) != terms.execution)
    return fail(Errc::mismatch, "the execution id is not the lease's");
  CHECK_OK(check_evidence(step.domain(), terms, m.lease, op.evidence.request, statement));
  CHECK_OK(check_bond(step, m.challenger, m.bond));
  const Hash commitment = commitment_of(step.domain(), op);
  CHECK_OK(check_committed(step, m.challenger, commitment));
  CHECK_OK(check_open_disputes(step, about.open_disputes, m.challenger));
  TRY(const auto status, judge(step, terms, op));

  auto& d = new_dispute(step, commitment, m.lease, m.subject, m.challenger, about.defender,
                        about.audit, m.bond, statement_amount(statement));
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
  // A canary would keep the stake that the other statement costs.
  if (lease->canaries.contains(m.first) && !lease->canaries.contains(m.second))
    return fail(Errc::refused, "the first statement is a canary: report the other one as first");
  CHECK_OK(check_evidence(step.domain(), terms, m.lease, op.request, op.first));
  CHECK_OK(check_evidence(step.domain(), terms, m.lease, op.request, op.second));
  const auto reason = contradiction(op.first, op.second);
  if (!reason) return fail(Errc::refused, "the two statements do not contradict each other");
  const Hash commitment = commitment_of(step.domain(), op);
  CHECK_OK(check_committed(step, m.challenger, commitment));

  auto& d = new_dispute(step, commitment, m.lease, m.first, m.challenger, terms.provider, Hash{}, 0,
                        std::max(statement_amount(op.first), statement_amount(op.second)));
  auto& written = step.lease(m.lease);
  written.convicted.insert(m.second);
  written.wrong.emplace(m.second, step.time());
  decide(step, d.id, Outcome::provider_wrong, *reason);
  return {};
}

}  // namespace assay::market
