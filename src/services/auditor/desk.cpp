#include "services/auditor/desk.hpp"

#include "base/hex.hpp"
#include "io/log.hpp"
#include "io/system_clock.hpp"
#include "protocol/audit_keys.hpp"
#include "settle/retry.hpp"

namespace assay::services {
namespace {

constexpr std::int64_t kWaitMaxMs = 30'000;
constexpr std::int64_t kSayAgainMs = 60'000;
// A chain takes as long as its blocks for each operation: so many wait for it together.
constexpr unsigned kSendersMax = 8;

}  // namespace

AuditDesk::AuditDesk(AuditorCore& core)
    : core_(core),
      examiner_(core, [this](double) { return !stopping_; }),
      challenger_(core.ledger, core.key, core.settlement, core.clock, core.options.threads,
                  core.options.kv_bytes, [this](double) { return !stopping_; }),
      defences_(core.options.threads, core.options.isa, core.options.kv_bytes,
                [this](double) { return !stopping_; }),
      duty_backoff_(core.options.tick_ms, kWaitMaxMs),
      job_backoff_(core.options.tick_ms, kWaitMaxMs),
      senders_(kSendersMax),
      lookout_(core) {}

void AuditDesk::start() {
  threads_.emplace_back([this] { loop([this] { return do_duties(); }, "duties"); });
  threads_.emplace_back([this] { loop([this] { return do_job(); }, "audits"); });
  lookout_.start();
}

void AuditDesk::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
  lookout_.stop();
}

void AuditDesk::wake() { wake_.notify_all(); }

void AuditDesk::loop(const std::function<Status()>& round, std::string_view what) {
  std::int64_t said_ms = 0;
  while (!stopping_) {
    if (const Status done = round(); !done) {
      const auto& error = done.error();
      // A ledger out of reach, a key without gas: for as long as it lasts, but not at every try.
      const bool worth_saying = settle::worth_repeating(error) && error.code != Errc::cancelled &&
                                (said_ms == 0 || io::steady_ms() - said_ms >= kSayAgainMs);
      if (worth_saying) said_ms = io::steady_ms();
      const std::string text = fmt::format("{}: {} (tried again later)", what, error.message);
      worth_saying ? io::log_warn("{}", text) : io::log_debug("{}", text);
    }
    std::unique_lock lock(mutex_);
    if (stopping_) return;
    wake_.wait_for(lock, std::chrono::milliseconds(core_.options.tick_ms));
  }
}

Status AuditDesk::do_duties() {
  TRY(auto records, core_.store->live());
  if (records.empty()) return {};
  TRY(const market::AccountView self, core_.settlement.account(core_.address));
  TRY(const auto disputes, core_.store->disputes());
  std::erase_if(records, [&](const AuditRecord& r) { return !duty_backoff_.due(r.id); });
  std::vector<Status> done(records.size());
  senders_.parallel_for(records.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end && !stopping_; ++i) {
      const bool disputing = std::ranges::any_of(
          disputes, [&](const AuditorsDispute& d) { return d.audit == records[i].id; });
      const auto view = core_.settlement.audit(records[i].id);
      done[i] = view ? duty(records[i], *view, self, disputing) : std::unexpected(view.error());
    }
  });
  Status first;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (done[i]) {
      duty_backoff_.succeeded(records[i].id);
      continue;
    }
    duty_backoff_.failed(records[i].id);
    if (first) first = std::move(done[i]);
  }
  return first;
}

Status AuditDesk::duty(const AuditRecord& record, const market::AuditView& view,
                       const market::AccountView& self, bool disputing) {
  const auto mine = std::ranges::find(view.drawn, core_.address, &market::DrawnAuditor::account);
  if (mine == view.drawn.end()) return core_.store->finish(record.id, "not drawn for it");
  if (mine->convicted) {
    io::log_error("audit {}: convicted", to_hex(record.id));
    return core_.store->finish(record.id, "convicted");
  }
  const std::uint64_t now = core_.now();
  switch (record.stage) {
    case AuditStage::handed:
      if (now >= view.commit_due)
        return core_.store->finish(record.id, "the time to commit passed before it was computed");
      return {};
    case AuditStage::committed: {
      if (mine->nonce_hash == Hash{}) {
        // Until then one that was on its way may still have been taken.
        if (now >= view.reveal_due)
          return core_.store->finish(record.id, "the time to commit has passed");
        if (now >= view.commit_due) return {};
        return commit(record, view);
      }
      // A secret that comes in the last moment could not be judged any more.
      const std::uint64_t patience = view.commit_due + (view.reveal_due - view.commit_due) / 2;
      if (record.salt_secret || now < patience) return {};
      return core_.store->judge(record.id, protocol::AuditVerdict::unauditable, Hash{},
                                "the buyer did not hand over the salt secret");
    }
    case AuditStage::judged:
      if (mine->verdict != 0) return core_.store->reveal(record.id);
      if (now < view.commit_due) return {};
      // Until then a reveal that was on its way may still have been taken.
      if (now >= view.check_due)
        return core_.store->finish(record.id, "the time to reveal has passed");
      if (now >= view.reveal_due) return {};
      CHECK_OK(reveal(record));
      return core_.store->reveal(record.id);
    case AuditStage::revealed: {
      CHECK_OK(note_disputes(record, view));
      // Settled before its dispute is filed, a failure would earn nothing.
      const bool to_dispute = disputing && !view.subject_convicted;
      if (view.state != market::AuditState::settled && now >= settle_from(view) && !to_dispute)
        return settle(record, view);
      const bool bound = std::ranges::find(self.audits, record.id) != self.audits.end();
      if (view.state == market::AuditState::settled && bound) CHECK_OK(close(view.lease));
      if (view.state != market::AuditState::settled || bound || disputing) return {};
      return core_.store->finish(record.id, "over");
    }
    case AuditStage::done:
      break;
  }
  return {};
}

// The same operation every time: signatures are deterministic.
Status AuditDesk::commit(const AuditRecord& record, const market::AuditView& view) {
  CHECK_OK(core_.settlement.submit(core_.sign(protocol::CommitAudit{
      .account = core_.address,
      .audit = record.id,
      .nonce_hash = protocol::nonce_hash(nonce_of(record, view)),
      .root_hash = protocol::keyed_root_hash(record.keyed_root, record.key)})));
  return {};
}

Status AuditDesk::reveal(const AuditRecord& record) {
  CHECK_OK(core_.settlement.submit(
      core_.sign(protocol::RevealAudit{.account = core_.address,
                                       .audit = record.id,
                                       .verdict = static_cast<std::uint32_t>(record.verdict)})));
  // Not the reason: it may name tokens of the prompt.
  io::log_info("audit {}: {}", to_hex(record.id), market::to_string(record.verdict));
  return {};
}

// On a chain who is not the first waits for its turn: what another has settled meanwhile costs no
// gas twice.
std::uint64_t AuditDesk::settle_from(const market::AuditView& view) const {
  const auto mine = std::ranges::find(view.drawn, core_.address, &market::DrawnAuditor::account);
  const auto before = static_cast<std::uint64_t>(mine - view.drawn.begin());
  return view.check_due + before * market::settling_turn_s(core_.ledger);
}

Status AuditDesk::settle(const AuditRecord& record, const market::AuditView& view) {
  Result<market::Applied> done = market::Applied{};
  if (const market::OpenCheck* check = market::pending_check(view)) {
    // What another auditor cannot answer, and nobody ends, would hold this one's fee.
    if (core_.now() < check->due || check->auditor == core_.address) return {};
    done = core_.settlement.submit(
        core_.sign(protocol::Timeout{.account = core_.address, .dispute = check->id}));
  } else {
    done = core_.settlement.submit(
        core_.sign(protocol::SettleAudit{.account = core_.address, .audit = record.id}));
  }
  // Somebody else did it, or a failure waits for its dispute.
  if (!done && settle::worth_repeating(done.error())) return std::unexpected(done.error());
  return {};
}

// A lease that its parties leave open binds its auditors' stake.
Status AuditDesk::close(const Hash& lease) {
  TRY(const market::LeaseView view, core_.settlement.lease(lease));
  if (view.state != market::LeaseState::open || view.claim || !view.open_disputes.empty() ||
      core_.now() <= view.terms.expires + view.terms.window)
    return {};
  CHECK_OK(core_.settlement.submit(
      core_.sign(protocol::Close{.account = core_.address, .lease = lease})));
  return {};
}

// A statement found wrong is disputed; and once it is known to be wrong, whoever passed it.
Status AuditDesk::note_disputes(const AuditRecord& record, const market::AuditView& view) {
  if (record.verdict != protocol::AuditVerdict::fail) return {};
  const auto note = [&](const Hash& subject, const Address& defender) -> Status {
    TRY(const bool known, core_.store->has_dispute(subject));
    if (known) return {};
    return core_.store->add_dispute({.subject = subject, .audit = record.id, .defender = defender});
  };
  if (!view.subject_convicted) {
    TRY(const market::LeaseView lease, core_.settlement.lease(view.lease));
    CHECK_OK(note(view.subject, lease.terms.provider));
  }
  if (!view.subject_convicted && !view.subject_canary) return {};
  for (const market::DrawnAuditor& other : view.drawn)
    if (other.pass != Hash{} && !other.convicted && other.account != core_.address)
      CHECK_OK(note(other.pass, other.account));
  return {};
}

Hash AuditDesk::nonce_of(const AuditRecord& record, const market::AuditView& view) const {
  return protocol::key_nonce(view.beacon, record.id, core_.address, record.key);
}

}  // namespace assay::services
