#include "services/gateway/worker.hpp"

#include <algorithm>

#include "io/log.hpp"
#include "io/system_clock.hpp"

namespace assay::services {
namespace {

constexpr std::int64_t kTickMs = 200;
constexpr std::int64_t kWaitMaxMs = 60'000;
constexpr std::int64_t kClaimsEveryMs = 5'000;  // far below any challenge window
// How long a provider that died may come back with its receipt before its last progress counts.
constexpr std::int64_t kProgressGraceS = 60;

// Moves, deliveries and reports have a deadline each.
std::int64_t wait_max_ms(const Buyer& buyer) {
  const auto move_ms = static_cast<std::int64_t>(buyer.ledger.parameters.move_s) * 1000;
  return std::max(buyer.options.retry_ms, std::min(kWaitMaxMs, move_ms / 4));
}

}  // namespace

Worker::Worker(Buyer& buyer, MarketView& market, Leases& leases, Intake& intake, Rebates& rebates)
    : buyer_(buyer),
      leases_(leases),
      intake_(intake),
      rebates_(rebates),
      auditor_(buyer, market),
      disputes_(buyer, market),
      demands_(buyer, market, intake),
      contests_(buyer, intake, demands_),
      hires_(buyer, market),
      backoff_(buyer.options.retry_ms, wait_max_ms(buyer)) {}

Worker::~Worker() { stop(); }

void Worker::start() {
  thread_ = std::thread([this] { run(); });
  disputes_.start_lookout();
}

void Worker::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Worker::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  wake_.notify_all();
}

bool Worker::stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void Worker::run() {
  while (true) {
    sweep();
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, std::chrono::milliseconds(kTickMs),
                   [this] { return woken_ || stopping_; });
    if (stopping_) return;
    woken_ = false;
  }
}

void Worker::attempt(const Hash& id, const std::function<Status()>& step, RequestStage stage) {
  const std::pair key{id, stage};
  if (!backoff_.due(key) || stopping()) return;
  if (const Status done = step(); !done) {
    io::log_debug("later: {}", done.error().message);
    backoff_.failed(key);
  } else {
    backoff_.succeeded(key);
  }
}

void Worker::each(RequestStage stage, const std::function<Status(RequestRecord)>& step) {
  const auto records = buyer_.store->requests_in(stage);
  if (!records) {
    io::log_error("gateway database: {}", records.error().message);
    return;
  }
  for (const RequestRecord& record : *records) {
    if (buyer_.active.contains(record.id)) continue;
    attempt(record.id, [&] { return step(record); }, stage);
    watch_claims();  // their windows run while a provider keeps us waiting
  }
}

void Worker::sweep() {
  attempt(Hash{}, [&] { return leases_.catch_up(); });
  each(RequestStage::mismatch,
       [&](RequestRecord record) { return disputes_.file(std::move(record)); });
  each(RequestStage::disputed,
       [&](RequestRecord record) { return disputes_.follow(std::move(record)); });
  each(RequestStage::demanded,
       [&](RequestRecord record) { return demands_.follow(std::move(record)); });
  each(RequestStage::audited, [&](const RequestRecord& record) -> Status {
    CHECK_OK(rebates_.ask(record));
    return leases_.settle(record.lease);  // pays whatever else the lease owes, too
  });
  each(RequestStage::receipted,
       [&](RequestRecord record) { return after_receipt(std::move(record)); });
  each(RequestStage::signed_off, [&](RequestRecord record) { return pick_up(std::move(record)); });
  watch_claims();
}

Result<RequestRecord> Worker::audit_now(const Hash& request) {
  auto record = auditor_.audit(request);
  wake();
  return record;
}

Status Worker::pick_up(RequestRecord record) {
  const auto picked = intake_.pick_up(record);
  if (picked) return {};
  const std::uint64_t now = buyer_.now();
  if (record.statement) {
    if (now < static_cast<std::uint64_t>(record.created_s + kProgressGraceS))
      return std::unexpected(picked.error());
    TRY(const LeaseRecord lease, buyer_.store->lease(record.lease));
    TRY(protocol::Opening opening, buyer_.vault.pending(record.id));
    const auto progress = std::get<Signed<protocol::Progress>>(*record.statement);
    CHECK_OK(intake_.accept_progress(std::move(record), lease, std::move(opening), progress));
    return {};
  }
  if (now <= buyer_.receipt_until(record)) return std::unexpected(picked.error());
  // Its secrets stay: should the provider claim, the receipt is asked for once more.
  record.stage = RequestStage::expired;
  record.reason = fmt::format("no receipt before it expired ({})", picked.error().message);
  return buyer_.store->update_request(record, RequestStage::signed_off);
}

void Worker::watch_claims() {
  const std::int64_t now_ms = io::steady_ms();
  if (now_ms < claims_due_ms_ || stopping()) return;
  claims_due_ms_ = now_ms + kClaimsEveryMs;
  const auto leases = buyer_.store->unreturned_leases();
  if (!leases) return;
  for (const LeaseRecord& lease : *leases)
    if (lease.stage != LeaseStage::opening) attempt(lease.id, [&] { return watch_claim(lease); });
  if (const Status settled = hires_.settle(); !settled)
    io::log_debug("fees of audits: {}", settled.error().message);
}

Status Worker::watch_claim(const LeaseRecord& lease) {
  TRY(const market::LeaseView view, buyer_.settlement.lease(lease.id));
  CHECK_OK(rebates_.look(lease, view));
  CHECK_OK(leases_.saw(lease, view));
  if (!view.claim) return {};
  return contests_.watch(lease, *view.claim);
}

Status Worker::after_receipt(RequestRecord record) {
  if (record.audit == AuditState::pending) {
    TRY(const bool hired, hires_.wanted(record));
    if (hired) return hires_.step(record);
    CHECK_OK(auditor_.audit(record.id));
    return {};
  }
  return release(std::move(record));
}

bool Worker::suspected(const Address& provider) {
  for (const RequestStage stage : {RequestStage::mismatch, RequestStage::disputed}) {
    const auto records = buyer_.store->requests_in(stage);
    if (!records) return true;
    for (const RequestRecord& record : *records) {
      const auto lease = buyer_.store->lease(record.lease);
      if (!lease || lease->lease.message.provider == provider) return true;
    }
  }
  return false;
}

Status Worker::release(RequestRecord record) {
  TRY(const LeaseRecord lease, buyer_.store->lease(record.lease));
  TRY(const market::AccountView provider, buyer_.settlement.account(lease.lease.message.provider));
  const std::uint64_t now = buyer_.now();
  const auto [held, fresh] = held_.try_emplace(record.id, Hold{now, provider.convictions});
  const Hold hold = held->second;
  constexpr std::uint64_t kHoldS = 60;
  const std::uint64_t until =
      hold.since + buyer_.options.settle_hold_s.value_or(std::max(kHoldS, buyer_.audit_s()));
  if (provider.convictions > hold.convictions) {
    // Convicted meanwhile: whatever else it was not asked about is looked at now.
    record.audit = AuditState::pending;
  } else if (now < until || !provider.open_disputes.empty() ||
             suspected(lease.lease.message.provider)) {
    return fail(Errc::unavailable, "held until {}, and until no dispute about its provider is open",
                until);
  } else {
    record.stage = RequestStage::audited;
  }
  CHECK_OK(buyer_.store->update_request(record, RequestStage::receipted));
  held_.erase(record.id);
  return {};
}

}  // namespace assay::services
