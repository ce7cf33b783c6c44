#include "services/provider/dispute_desk.hpp"

#include "base/hex.hpp"
#include "engine/session.hpp"
#include "io/log.hpp"
#include "market/statements.hpp"

namespace assay::services {

void DisputeDesk::start() {
  const std::int64_t every_ms = core_.options.tick_ms;
  rounds_.start(
      [this, every_ms] {
        if (const auto done = watch(); !done)
          io::log_warn("disputes: {} (tried again later)", done.error().message);
        return every_ms;
      },
      every_ms);
}

Result<market::SignedMove> DisputeDesk::answer(const market::FileDispute& dispute) {
  const auto& m = dispute.dispute.message;
  CHECK_OK(protocol::check_signature(core_.ledger.domain, dispute.dispute, m.challenger));
  TRY(const market::LeaseView lease, core_.settlement.lease(m.lease));
  if (m.challenger != lease.terms.buyer)
    return fail(Errc::refused,
                "only the lease's buyer is answered here: file the dispute on the ledger");
  CHECK_OK(market::check_evidence(core_.ledger.domain, lease.terms, m.lease,
                                  dispute.evidence.request, dispute.evidence.statement));
  if (m.subject != market::statement_id(core_.ledger.domain, dispute.evidence.statement))
    return fail(Errc::mismatch, "the dispute is about another statement than the one beside it");
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return fail(Errc::unavailable, "another dispute is being answered: ask again");
  TRY(const verify::PlayedMove move, next_move(dispute));
  return settle::as_signed(move);
}

Status DisputeDesk::watch() {
  TRY(const market::AccountView self, core_.settlement.account(core_.address));
  // The earliest deadline first: moves about another statement cost a prefill.
  std::vector<std::pair<std::uint64_t, Hash>> open;
  for (const Hash& dispute : self.open_disputes) {
    TRY(const market::DisputeView view, core_.settlement.dispute(dispute));
    open.emplace_back(view.due, dispute);
  }
  std::ranges::sort(open);
  Status first;
  for (const auto& [due, dispute] : open)
    if (auto done = answer_on_ledger(dispute); !done && first) first = std::move(done);
  return first;
}

Status DisputeDesk::answer_on_ledger(const Hash& dispute) {
  TRY(const market::DisputeView view, core_.settlement.dispute(dispute));
  if (view.state == market::DisputeState::decided) return {};
  if (view.turn != market::Turn::provider) {
    // A challenger that stops moving must not keep this provider's payments held.
    if (core_.now() < view.due) return {};
    CHECK_OK(core_.settlement.submit(core_.sign(protocol::Timeout{core_.address, dispute})));
    return {};
  }
  const Status done =
      view.about == market::DisputeAbout::delivery ? deliver(dispute) : move_on_ledger(dispute);
  // Before its due a timeout is taken only of what was convicted meanwhile.
  if (!done && done.error().code == Errc::conflict && core_.now() < view.due)
    (void)core_.settlement.submit(core_.sign(protocol::Timeout{core_.address, dispute}));
  return done;
}

Status DisputeDesk::move_on_ledger(const Hash& dispute) {
  TRY(const market::FileDispute game, core_.settlement.game(dispute));
  const std::lock_guard lock(mutex_);
  TRY(const verify::PlayedMove move, next_move(game));
  CHECK_OK(core_.settlement.submit(settle::as_operation(move)));
  io::log_info("dispute {}: move {} made on the ledger", to_hex(dispute), move.move.message.number);
  return {};
}

Result<verify::PlayedMove> DisputeDesk::next_move(const market::FileDispute& dispute) {
  const auto model = [&]() -> Result<settle::DisputedModel> {
    const ServedModel* served = core_.serving(dispute.evidence.request.message.execution);
    if (served == nullptr)
      return fail(Errc::not_found,
                  "the disputed model is not served here any more: serve it again to answer");
    return settle::DisputedModel{
        .model = served->model, .execution = dispute.execution, .program = {}};
  };
  const auto opening = [&]() -> Result<protocol::Opening> {
    TRY(const settle::DisputedModel served, model());
    return opening_of(dispute, served.model);
  };
  return parties_.respond(core_.ledger.domain, core_.key, dispute,
                          {.model = model, .opening = opening});
}

Result<protocol::Opening> DisputeDesk::opening_of(const market::FileDispute& dispute,
                                                  std::shared_ptr<const engine::Model> model) {
  const Hash& id = market::statement_request(dispute.evidence.statement);
  TRY(const auto stored, core_.store->request(id));
  if (!stored) return fail(Errc::not_found, "there is no request {} here", to_hex(id));
  protocol::Opening opening;
  opening.request = id;
  opening.salt_secret = stored->salt_secret;
  opening.prompt = stored->prompt;
  opening.stop_ids = stored->stop_ids;
  opening.automaton = stored->automaton;
  const std::uint32_t count = market::statement_count(dispute.evidence.statement);
  if (stored->outcome && stored->outcome->answer.size() >= count) {
    opening.answer = stored->outcome->answer;
    opening.logprobs = stored->outcome->logprobs;
  } else {
    CHECK_OK(answer_again(*stored, std::move(model), count, opening));
  }
  return opening;
}

Status DisputeDesk::answer_again(const StoredRequest& stored,
                                 std::shared_ptr<const engine::Model> model, std::uint32_t count,
                                 protocol::Opening& opening) {
  const protocol::Request& request = stored.request.message;
  TRY(const engine::Sampling sampling, verify::sampling_of(request, stored.automaton, *model));
  engine::Session session(std::move(model), parties_.pool(), core_.options.isa,
                          static_cast<std::uint32_t>(stored.prompt.size()) + count);
  auto outcome = session.run(stored.prompt, static_cast<std::uint32_t>(stored.prompt.size()) - 1,
                             sampling, nullptr, request.logprobs);
  while (!outcome.fault && opening.answer.size() < count) {
    if (rounds_.stopping()) return fail(Errc::cancelled, "stopped while answering a dispute");
    const engine::Token next = outcome.sampled.back();
    opening.answer.push_back(next);
    if (request.logprobs != 0) verify::append_logprobs(outcome.logprobs.back(), opening.logprobs);
    if (opening.answer.size() < count)
      outcome = session.run({&next, 1}, session.position(), sampling, nullptr, request.logprobs);
  }
  return {};
}

}  // namespace assay::services
