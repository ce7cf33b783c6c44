#include "settle/challenger.hpp"

#include "io/log.hpp"
#include "io/random.hpp"
#include "io/system_clock.hpp"
#include "market/statements.hpp"
#include "settle/retry.hpp"

namespace assay::settle {
namespace {

// How long a dispute is played off the ledger: claims and payments wait meanwhile.
constexpr std::int64_t kPlayMs = 120'000;

}  // namespace

Challenger::Challenger(const market::LedgerInfo& ledger, const crypto::SecretKey& key,
                       market::Settlement& settlement, const Clock& clock, unsigned threads,
                       std::size_t kv_bytes_max, verify::ReplayProgress progress)
    : ledger_(ledger),
      key_(key),
      address_(crypto::address_of(key)),
      settlement_(settlement),
      clock_(clock),
      parties_(threads, engine::best_isa(), kv_bytes_max, std::move(progress)) {}

Result<market::FileDispute> Challenger::draft(market::Evidence evidence,
                                              const DisputedCase& about) const {
  TRY(DisputedModel model, about.sources.model());
  market::FileDispute out;
  out.dispute = protocol::sign(ledger_.domain,
                               protocol::Dispute{.challenger = address_,
                                                 .lease = evidence.request.message.lease,
                                                 .subject = about.subject,
                                                 .bond = ledger_.parameters.dispute_bond,
                                                 .nonce = io::random_u64()},
                               key_);
  out.evidence = std::move(evidence);
  out.execution = model.execution;
  out.program = std::move(model.program);
  return out;
}

Result<Challenger::Filed> Challenger::file(market::FileDispute dispute, const DisputedCase& about,
                                           const Keep& keep, const AskProvider& ask) {
  const market::Evidence& evidence = dispute.evidence;
  const bool by_figures =
      market::arithmetic_fault(about.lease, evidence.request.message, evidence.statement)
          .has_value();
  if (!by_figures && !dispute.finish) {
    TRY(const protocol::Opening opening, about.sources.opening());
    TRY(const verify::Subject subject, subject_of(dispute.execution, dispute.program,
                                                  evidence.request.message, evidence.statement));
    dispute.finish = verify::finish_evidence(subject, opening);
    if (dispute.finish) CHECK_OK(keep(dispute));
  }
  const bool game = !by_figures && !dispute.finish;
  if (game) {
    TRY([[maybe_unused]] verify::Party * party, parties_.of(dispute, about.sources));
  }
  CHECK_OK(settlement_.submit(protocol::sign(
      ledger_.domain,
      protocol::CommitDispute{
          .account = address_,
          .commitment = market::commitment_of(ledger_.domain, market::Operation(dispute)),
          .nonce = dispute.dispute.message.nonce},
      key_)));
  if (game && dispute.transcript.empty() && ask) {
    TRY(const bool lost, play(dispute, about, ask));
    if (lost) return Filed::pointless;
    CHECK_OK(keep(dispute));
  }
  const auto filed = settlement_.submit(dispute);
  if (filed) return Filed::filed;
  if (worth_repeating(filed.error()) ||
      (filed.error().code == Errc::refused && !over(dispute, about)))
    return fail_in("dispute", filed.error());
  io::log_warn("dispute not taken: {}", filed.error().message);
  return Filed::too_late;
}

// Whether what is refused now will be refused for ever.
bool Challenger::over(const market::FileDispute& dispute, const DisputedCase& about) {
  // An auditor's pass is disputed because its lease is convicted: only the bond may be missing.
  if (about.defender != about.lease.provider) {
    const auto account = settlement_.account(address_);
    return account && account->available >= dispute.dispute.message.bond;
  }
  // A closed lease can be disputed for another window, a convicted one has nothing left to ask for.
  const auto view = settlement_.lease(dispute.dispute.message.lease);
  if (!view) return false;
  return view->state == market::LeaseState::convicted ||
         (view->state == market::LeaseState::closed && now() > view->disputable_until);
}

Result<bool> Challenger::play(market::FileDispute& dispute, const DisputedCase& about,
                              const AskProvider& ask) {
  TRY(verify::Transcript transcript, transcript_of(ledger_.domain, about.defender, dispute));
  TRY(verify::Party * party, parties_.of(dispute, about.sources));
  const verify::Game& game = transcript.game();
  const std::int64_t until_ms = io::steady_ms() + kPlayMs;
  while (game.outcome() == verify::DisputeOutcome::open) {
    verify::PlayedMove played;
    if (game.turn() == verify::Side::provider) {
      if (io::steady_ms() > until_ms) break;
      const auto move = ask(dispute);
      if (!move) {
        io::log_info("the dispute goes on the ledger: {}", move.error().message);
        break;
      }
      played = as_next(transcript, *move);
      if (const auto added = transcript.add(played); !added) {
        io::log_info("the provider's move is none: {}", added.error().message);
        break;
      }
    } else {
      auto payload = party->challenge(game);
      if (!payload && payload.error().code == Errc::not_found) return true;
      if (!payload) return std::unexpected(payload.error());
      played = sign_next(ledger_.domain, transcript, std::move(*payload), key_);
      TRY([[maybe_unused]] const auto added, transcript.add(played));
    }
    dispute.transcript.push_back(as_signed(played));
  }
  return false;
}

Status Challenger::time_out(const Hash& dispute) {
  CHECK_OK(settlement_.submit(protocol::sign(
      ledger_.domain, protocol::Timeout{.account = address_, .dispute = dispute}, key_)));
  return {};
}

Status Challenger::move(const market::DisputeView& view, const DisputedCase& about) {
  // Over by the clock, whosever turn it is.
  if (now() >= view.due) return time_out(view.id);
  if (view.turn == market::Turn::provider)
    return fail(Errc::unavailable, "the provider has until {} to move", view.due);
  TRY(const market::FileDispute dispute, settlement_.game(view.id));
  TRY(const verify::Transcript transcript, transcript_of(ledger_.domain, about.defender, dispute));
  TRY(verify::Party * party, parties_.of(dispute, about.sources));
  TRY(Bytes payload, party->challenge(transcript.game()));
  const auto moved = settlement_.submit(
      as_operation(sign_next(ledger_.domain, transcript, std::move(payload), key_)));
  if (moved) return {};
  // Another dispute convicted the statement meanwhile.
  if (moved.error().code == Errc::conflict) return time_out(view.id);
  return std::unexpected(moved.error());
}

}  // namespace assay::settle
