#include "base/hex.hpp"
#include "io/log.hpp"
#include "io/random.hpp"
#include "protocol/audit_keys.hpp"
#include "services/auditor/desk.hpp"
#include "settle/retry.hpp"

namespace assay::services {

using protocol::AuditVerdict;

namespace {

constexpr std::size_t kAnsweredAtOnce = 4096;  // checks: what is kept of each is under 20 KB
constexpr std::size_t kAnswersAtOnce = 8;      // on their way to the ledger

double positions_of(const AuditRecord& record) {
  return static_cast<double>(record.call.prompt.size() + record.call.answer.size());
}

}  // namespace

Status AuditDesk::do_job() {
  const std::uint64_t now = core_.now();
  TRY(std::vector<Job> jobs, collect(now));
  std::ranges::stable_sort(jobs, {}, [](const Job& j) { return std::pair(!j.stake, j.due); });
  for (const Job& job : jobs) {
    if (stopping_) return {};
    if (!job_backoff_.due(job.id)) continue;
    Status done = job.run();
    if (done)
      job_backoff_.succeeded(job.id);
    else
      job_backoff_.failed(job.id);
    return done;
  }
  return {};
}

Result<std::vector<AuditDesk::Job>> AuditDesk::collect(std::uint64_t now) {
  std::vector<Job> jobs;
  TRY(const auto records, core_.store->live());
  TRY(const auto disputes, core_.store->disputes());
  if (records.empty() && disputes.empty()) return jobs;
  for (const AuditRecord& record : records)
    if (const auto view = core_.settlement.audit(record.id)) add_jobs(record, *view, now, jobs);
  TRY(const market::AccountView self, core_.settlement.account(core_.address));
  for (const Hash& id : self.open_disputes) {
    TRY(const market::DisputeView view, core_.settlement.dispute(id));
    // A challenger that stops moving must not hold this auditor's stake.
    if (view.turn == market::Turn::provider || now >= view.due)
      jobs.push_back({view.due, id, [this, view] { return defend(view); }, true});
  }
  for (const AuditorsDispute& dispute : disputes) {
    // Settled before it is filed, a failure earns nothing.
    TRY(const market::AuditView audit, core_.settlement.audit(dispute.audit));
    std::uint64_t due = audit.check_due;
    if (dispute.stage == DisputeStage::filed) {
      TRY(const market::DisputeView view, core_.settlement.dispute(dispute.id));
      const bool decided = view.state == market::DisputeState::decided;
      if (!decided && view.turn == market::Turn::provider && now < view.due) continue;
      due = decided ? 0 : view.due;
    }
    jobs.push_back({due, dispute.subject, [this, dispute] { return this->dispute(dispute); }});
  }
  return jobs;
}

void AuditDesk::add_jobs(const AuditRecord& record, const market::AuditView& view,
                         std::uint64_t now, std::vector<Job>& jobs) {
  if (view.state == market::AuditState::waiting) return;
  if (record.stage == AuditStage::handed && now < view.commit_due)
    jobs.push_back(
        {view.commit_due, record.id, [this, record, view] { return compute(record, view); }});
  if (record.stage == AuditStage::committed && record.salt_secret)
    jobs.push_back({view.reveal_due, record.id, [this, record] { return judge(record); }});
  // One replay answers all checks of a pass once no more can come. Before that, one more, where
  // there is nothing else to do, so that an only check need not wait.
  const auto asked = std::ranges::find(view.checks, core_.address, &market::OpenCheck::auditor);
  const bool all = now >= view.check_due;
  if (asked != view.checks.end() && (all || !answered_.contains(record.id)))
    jobs.push_back(
        {asked->due, record.id, [this, record, view] { return answer(record, view); }, all});
}

// Every pass may have to be shown within move_s, and those of audits drawn together all at once. No
// more is passed than can be shown in half of it, so that the other half is left for an outage.
Result<bool> AuditDesk::has_room(const AuditRecord& record, const market::AuditView& view) {
  if (replayed_positions_ == 0) return true;
  const std::uint64_t move_s = core_.ledger.parameters.move_s;
  double positions = positions_of(record);
  TRY(const auto records, core_.store->live());
  for (const AuditRecord& other : records) {
    const bool passes = other.verdict == AuditVerdict::none || other.verdict == AuditVerdict::pass;
    if (other.id == record.id || other.stage == AuditStage::handed || !passes) continue;
    TRY(const market::AuditView of_other, core_.settlement.audit(other.id));
    const std::uint64_t apart = of_other.check_due > view.check_due
                                    ? of_other.check_due - view.check_due
                                    : view.check_due - of_other.check_due;
    if (apart < move_s) positions += positions_of(other);
  }
  return positions * replayed_ms_ / replayed_positions_ <= 500.0 * static_cast<double>(move_s);
}

Status AuditDesk::compute(const AuditRecord& record, const market::AuditView& view) {
  TRY(const bool room, has_room(record, view));
  if (!room)
    return core_.store->finish(record.id, "more than could be shown in time beside other audits");
  AuditRecord keyed = record;
  keyed.key = io::random_hash();
  const std::int64_t began = core_.clock.now_ms();
  TRY(keyed.keyed_root, examiner_.keyed_root(record, nonce_of(keyed, view)));
  replayed_ms_ += static_cast<double>(std::max<std::int64_t>(0, core_.clock.now_ms() - began));
  replayed_positions_ += positions_of(record);
  // On disk before it is on the ledger: an auditor that lost its key could not answer a check.
  CHECK_OK(core_.store->commit(record.id, keyed.key, keyed.keyed_root));
  wake();
  return {};
}

Status AuditDesk::judge(const AuditRecord& record) {
  const auto report = examiner_.judge(record);
  if (!report && report.error().code != Errc::mismatch) return std::unexpected(report.error());
  AuditVerdict verdict = AuditVerdict::unauditable;
  if (report) verdict = report->match ? AuditVerdict::pass : AuditVerdict::fail;
  const Hash reveal_id =
      core_.id(protocol::RevealAudit{.account = core_.address,
                                     .audit = record.id,
                                     .verdict = static_cast<std::uint32_t>(verdict)});
  CHECK_OK(core_.store->judge(record.id, verdict, reveal_id,
                              report ? report->reason : report.error().message));
  wake();
  return {};
}

Status AuditDesk::answer(const AuditRecord& record, const market::AuditView& view) {
  CHECK_OK(compute_replies(record, view));
  answered_.insert(record.id);
  std::vector<Hash> ready;
  for (const market::OpenCheck& check : view.checks)
    if (replies_.contains(check.id)) ready.push_back(check.id);
  std::vector<Result<market::Applied>> sent(ready.size(), market::Applied{});
  ThreadPool senders(
      static_cast<unsigned>(std::clamp<std::size_t>(ready.size(), 1, kAnswersAtOnce)));
  senders.parallel_for(ready.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      sent[i] = core_.settlement.submit(replies_.at(ready[i]));
  });
  Status first;
  for (std::size_t i = 0; i < ready.size(); ++i) {
    const auto& taken = sent[i];
    if (!taken && settle::worth_repeating(taken.error())) {
      if (first) first = std::unexpected(taken.error());
      continue;
    }
    replies_.erase(ready[i]);
    if (taken)
      io::log_info("audit {}: a check is answered", to_hex(record.id));
    else if (first)
      first = std::unexpected(taken.error());
  }
  return first;
}

Status AuditDesk::compute_replies(const AuditRecord& record, const market::AuditView& view) {
  std::vector<Hash> asked;
  std::vector<Bytes> proofs;
  for (const market::OpenCheck& check : view.checks) {
    if (check.auditor != core_.address || replies_.contains(check.id)) continue;
    if (asked.size() == kAnsweredAtOnce) break;  // the rest in the next round
    TRY(market::Operation operation, core_.settlement.operation(check.id));
    auto* made = std::get_if<market::CheckAudit>(&operation);
    if (made == nullptr) return fail(Errc::mismatch, "the ledger serves another operation");
    asked.push_back(check.id);
    proofs.push_back(std::move(made->proof));
  }
  if (asked.empty()) return {};
  TRY(auto answers, examiner_.answers(record, nonce_of(record, view), proofs));
  for (std::size_t i = 0; i < asked.size(); ++i)
    if (answers[i])
      replies_[asked[i]] = {
          .answer = core_.sign(protocol::CheckAnswer{.account = core_.address, .check = asked[i]}),
          .proof = std::move(*answers[i])};
  return {};
}

settle::DisputedSources AuditDesk::sources_of(const AuditRecord& record) {
  const Hash execution = record.request().execution;
  const auto model = [this, execution]() -> Result<settle::DisputedModel> {
    TRY(const AuditedModel* audited, core_.model_of(execution));
    return settle::DisputedModel{
        .model = audited->model, .execution = audited->execution, .program = audited->program};
  };
  const auto opening = [record]() -> Result<protocol::Opening> {
    if (!record.salt_secret)
      return fail(Errc::not_found, "the salt secret of audit {} never came", to_hex(record.id));
    return Examiner::opening_of(record);
  };
  return {.model = model, .opening = opening};
}

Status AuditDesk::defend(const market::DisputeView& view) {
  if (view.turn != market::Turn::provider) {
    CHECK_OK(core_.settlement.submit(
        core_.sign(protocol::Timeout{.account = core_.address, .dispute = view.id})));
    return {};
  }
  TRY(const auto record, core_.store->by_reveal(view.subject));
  if (!record || record->stage == AuditStage::done)
    return fail(Errc::not_found, "nothing is known here about the pass that is disputed");
  TRY(const market::FileDispute game, core_.settlement.game(view.id));
  TRY(const verify::PlayedMove move,
      defences_.respond(core_.ledger.domain, core_.key, game, sources_of(*record)));
  CHECK_OK(core_.settlement.submit(settle::as_operation(move)));
  io::log_info("dispute {}: move {} defends a pass", to_hex(view.id), move.move.message.number);
  return {};
}

settle::DisputedCase AuditDesk::case_of(const AuditRecord& record, const AuditorsDispute& dispute,
                                        const protocol::Lease& lease) {
  return {.subject = dispute.subject,
          .defender = dispute.defender,
          .lease = lease,
          .sources = sources_of(record)};
}

Status AuditDesk::dispute(AuditorsDispute dispute) {
  TRY(const auto record, core_.store->audit(dispute.audit));
  if (!record || record->stage == AuditStage::done) {
    dispute.stage = DisputeStage::over;
    return core_.store->update_dispute(dispute);
  }
  TRY(const market::LeaseView lease, core_.settlement.lease(record->request().lease));
  const settle::DisputedCase about = case_of(*record, dispute, lease.terms);
  if (dispute.stage == DisputeStage::filed) {
    TRY(const market::DisputeView view, core_.settlement.dispute(dispute.id));
    if (view.state != market::DisputeState::decided) return challenger_.move(view, about);
    io::log_info("dispute {} decided: {}: {}", to_hex(dispute.id), market::to_string(view.outcome),
                 view.reason);
    dispute.stage = DisputeStage::over;
    return core_.store->update_dispute(dispute);
  }
  const auto keep = [&](const market::FileDispute& filed) {
    dispute.operation = json::dump(market::to_json(market::Operation(filed)));
    dispute.id = core_.id(filed.dispute.message);
    return core_.store->update_dispute(dispute);
  };
  if (dispute.operation.empty()) {
    TRY(const market::FileDispute fresh, challenger_.draft(record->evidence(), about));
    CHECK_OK(keep(fresh));
  }
  TRY(const json::value text, json::parse(dispute.operation));
  TRY(const json::object* object, json::as_object(text, "a stored dispute"));
  TRY(market::Operation operation, market::operation_from_json(*object));
  auto* stored = std::get_if<market::FileDispute>(&operation);
  if (stored == nullptr) return fail(Errc::mismatch, "a stored dispute is another operation");
  // Nobody is asked off the ledger: a provider answers its own buyer only.
  TRY(const auto filed, challenger_.file(std::move(*stored), about, keep, {}));
  dispute.stage =
      filed == settle::Challenger::Filed::filed ? DisputeStage::filed : DisputeStage::over;
  return core_.store->update_dispute(dispute);
}

}  // namespace assay::services
