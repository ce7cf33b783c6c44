#include "services/market/judge.hpp"

#include "base/hex.hpp"
#include "io/log.hpp"

namespace assay::services {
namespace {

// One line of at most so many bytes, as the ledger accepts it; cut between characters.
std::string as_reason(std::string text) {
  constexpr std::size_t kMost = 300;
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  if (text.size() <= kMost) return text;
  std::size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

}  // namespace

Result<std::unique_ptr<Judge>> Judge::start(settle::EmbeddedLedger& ledger,
                                            market::Referee& referee,
                                            const crypto::SecretKey& host_key) {
  TRY(auto left, ledger.pending_disputes());
  std::unique_ptr<Judge> judge(new Judge(ledger, referee, host_key));
  for (auto& dispute : left) judge->queue_.push_back(std::move(dispute));
  judge->thread_ = std::thread([raw = judge.get()] { raw->work(); });
  return judge;
}

Judge::~Judge() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Judge::add(settle::PendingDispute dispute) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(dispute));
  }
  wake_.notify_one();
}

void Judge::work() {
  for (;;) {
    settle::PendingDispute next;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      next = std::move(queue_.front());
      queue_.pop_front();
    }
    const auto status = decide(next);
    if (status) continue;
    io::log_error("dispute {} is not decided yet: {}", to_hex(next.id), status.error().message);
    // The disk or memory may come back; the other disputes go first.
    std::unique_lock lock(mutex_);
    queue_.push_back(std::move(next));
    wake_.wait_for(lock, std::chrono::seconds(2), [&] { return stopping_; });
  }
}

Status Judge::decide(const settle::PendingDispute& pending) {
  TRY(const auto dispute, ledger_.dispute(pending.id));
  // A crash after the verdict but before its opening was forgotten cannot be: one transaction.
  if (dispute.state == market::DisputeState::decided) return {};
  TRY(const auto lease, ledger_.lease(dispute.lease));
  TRY(const auto info, ledger_.info());
  const auto& evidence = pending.operation.evidence;
  market::DisputeEvidence full{
      info.domain,    lease.terms, evidence.request.message, {}, pending.operation.execution,
      pending.opening};
  std::visit([&](const auto& s) { full.statement = s.message; }, evidence.statement);
  TRY(auto judgement, referee_.judge(full));
  io::log_info("dispute {}: {}: {}", to_hex(pending.id), market::to_string(judgement.outcome),
               judgement.reason);
  const protocol::Verdict verdict{pending.id, static_cast<std::uint32_t>(judgement.outcome),
                                  as_reason(std::move(judgement.reason))};
  CHECK_OK(ledger_.submit(protocol::sign(info.domain, verdict, key_)));
  return {};
}

}  // namespace assay::services
