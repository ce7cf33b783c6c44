// Moves and deadlines of open disputes, and how a dispute ends.
#include <algorithm>

#include "crypto/sha256.hpp"
#include "market/ledger_step.hpp"

namespace assay::market {

using protocol::check_signature;
using protocol::Outcome;

namespace {

// Stake, escrow and claim after a statement of `amount` was found wrong. The receipt's money comes
// back out of the slash as far as it had been paid; what nobody may have is burned.
void convict(Step& step, DisputeView& d) {
  auto& lease = step.lease(d.lease);
  const auto& terms = lease.view.terms;
  d.escrow_refunded = lease.view.escrow;

  // A canary was false on purpose, and its buyer knew.
  if (!lease.canaries.contains(d.subject)) {
    const Micros owed = std::min(d.amount, lease.view.paid - lease.made_whole);
    const auto shares = shares_of(step, terms.provider, owed);
    d.made_whole = shares.made_whole;
    d.reward = shares.reward;
    d.burned = shares.burned;
    d.slashed = shares.pool;
    step.slash(terms.provider, d.burned, terms.buyer, d.made_whole, d.challenger, d.reward);
    ++step.account(terms.provider).convictions;
    lease.made_whole += d.made_whole;
  }
  lease.convicted.insert(d.subject);
  lease.wrong.emplace(d.subject, step.time());
  if (lease.view.state == LeaseState::open)
    end_lease(step, d.lease, LeaseState::convicted, "the lease ended with a conviction");
  lease.view.state = LeaseState::convicted;
}

struct Open {
  const DisputeView* view;
  const LeaseRecord* lease;
  bool convicted;  // meanwhile, by another dispute or check
};

// About a statement or a delivery: what ends by a deadline of its own.
Result<Open> open_dispute(const Step& step, const Hash& id) {
  const auto it = step.state().disputes.find(id);
  if (it == step.state().disputes.end())
    return fail(Errc::not_found, "no such dispute on this ledger");
  if (it->second.about == DisputeAbout::claim)
    return fail(Errc::refused, "a contest has no moves: open the claim, or finalize it");
  if (it->second.state != DisputeState::open)
    return fail(Errc::conflict, "the dispute is decided already");
  const auto& d = it->second;
  TRY(const LeaseRecord* lease, step.read_lease(d.lease));
  bool convicted = lease->convicted.contains(d.subject);
  if (d.audit != Hash{}) {
    TRY(const auto place, find_drawn(step, d.audit, d.defender));
    convicted = place.auditor->convicted;
  }
  return Open{&d, lease, convicted};
}

std::string_view missed(const DisputeView& d) {
  if (d.about != DisputeAbout::delivery) return "made no move in time";
  return d.turn == Turn::provider ? "did not deliver the answer in time"
                                  : "did not report what was delivered";
}

}  // namespace

DisputeCase case_of(const Step& step, const protocol::Lease& terms, const Hash& id,
                    const FileDispute& filed) {
  const auto& m = filed.dispute.message;
  const auto pass = step.state().passes.find(m.subject);
  return {.domain = step.domain(),
          .dispute = id,
          .subject = m.subject,
          .challenger = m.challenger,
          .defender = pass == step.state().passes.end() ? terms.provider : pass->second.auditor,
          .lease = terms,
          .request = filed.evidence.request.message,
          .statement = filed.evidence.statement,
          .execution = filed.execution,
          .program = filed.program};
}

void continue_game(Step& step, DisputeView& d, const GameStatus& status) {
  d.turn = status.turn;
  d.moves = status.moves;
  d.game = status.state;
  d.due = step.time() + step.parameters().move_s;
}

namespace {

// Bond and conviction of an auditor.
void decide_pass(Step& step, DisputeView& d, Outcome outcome) {
  std::erase(step.audit(d.audit).view.open_disputes, d.id);
  step.return_bond(outcome == Outcome::provider_right ? d.defender : d.challenger, d.bond);
  if (outcome != Outcome::provider_wrong) return;
  const auto shares = convict_auditor(step, d.audit, d.defender, d.challenger);
  d.slashed = shares.pool;
  d.burned = shares.burned;
  d.made_whole = shares.made_whole;
  d.reward = shares.reward;
}

}  // namespace

void decide(Step& step, const Hash& id, Outcome outcome, std::string reason) {
  auto& d = step.dispute(id);
  if (d.about == DisputeAbout::delivery)
    step.remove_demand(id);
  else
    step.remove_game(id);
  d.state = DisputeState::decided;
  d.turn = Turn::over;
  d.due = 0;
  d.outcome = outcome;
  d.reason = std::move(reason);
  if (d.audit != Hash{}) {
    decide_pass(step, d, outcome);
    return;
  }
  auto& lease = step.lease(d.lease).view;
  std::erase(lease.open_disputes, id);
  step.return_bond(outcome == Outcome::provider_right ? lease.terms.payout : d.challenger, d.bond);
  if (outcome == Outcome::provider_wrong) convict(step, d);
  if (outcome == Outcome::invalid_model && lease.state == LeaseState::open) {
    d.escrow_refunded = lease.escrow;
    end_lease(step, d.lease, LeaseState::closed, "the lease ended: its model is invalid");
  }
}

Status on(Step& step, const DisputeMove& op) {
  const auto& m = op.move.message;
  TRY(const Open open, open_dispute(step, m.dispute));
  if (open.view->about == DisputeAbout::delivery)
    return fail(Errc::refused, "a demand has no moves: deliver the answer");
  if (open.convicted)
    return fail(Errc::conflict,
                "the receipt was convicted meanwhile: a timeout returns the bond at once");
  const auto& d = *open.view;
  if (m.number != d.moves)
    return fail(Errc::conflict, "move {} does not fit: {} were made", m.number, d.moves);
  if (m.state != d.game)
    return fail(Errc::mismatch, "move {} follows another game than this one", m.number);
  if (step.time() >= d.due)
    return fail(Errc::refused, "the deadline of this move was {}, it is {}", d.due, step.time());
  if (op.payload.size() > kPayloadMax)
    return fail(Errc::invalid, "a move of {} bytes, at most {}", op.payload.size(), kPayloadMax);
  if (m.payload != crypto::sha256(op.payload))
    return fail(Errc::mismatch, "the move was signed for another payload than the one beside it");
  const auto& terms = open.lease->view.terms;
  CHECK_OK(check_signature(step.domain(), op.move,
                           d.turn == Turn::provider ? d.defender : d.challenger));
  const FileDispute& filed = step.state().games.at(m.dispute);
  auto moves = filed.transcript;
  moves.push_back({op.payload, op.move.signature});
  const auto status = step.state().referee->replay(case_of(step, terms, m.dispute, filed), moves);
  if (!status) return std::unexpected(status.error());

  if (status->turn == Turn::over) {
    auto& written = step.dispute(m.dispute);
    written.moves = status->moves;
    written.game = status->state;
    decide(step, m.dispute, status->outcome, status->reason);
    return {};
  }
  continue_game(step, step.dispute(m.dispute), *status);
  step.game(m.dispute).transcript = std::move(moves);
  return {};
}

Status on(Step& step, const Signed<protocol::Timeout>& op) {
  const auto& m = op.message;
  CHECK_OK(check_signature(step.domain(), op, m.account));
  if (step.state().checks.contains(m.dispute)) return expire_check(step, m.dispute);
  TRY(const Open open, open_dispute(step, m.dispute));
  if (open.convicted) {
    // Another challenger was quicker: the bond comes back, the provider is not convicted twice.
    decide(step, m.dispute, Outcome::not_judged, "convicted already");
    return {};
  }
  const bool provider = open.view->turn == Turn::provider;
  // A buyer that got what it demanded need not wait, and holds nobody's payment up.
  const bool content =
      open.view->about == DisputeAbout::delivery && !provider && m.account == open.view->challenger;
  if (step.time() < open.view->due && !content)
    return fail(Errc::refused, "the {} has until {}, it is {}", to_string(open.view->turn),
                open.view->due, step.time());
  decide(step, m.dispute, provider ? Outcome::provider_wrong : Outcome::provider_right,
         content ? "the buyer has its answer"
                 : fmt::format("the {} {}", to_string(open.view->turn), missed(*open.view)));
  return {};
}

}  // namespace assay::market
