// The two halves of an auditor's work, each a thread over the database and the ledger; a restart is
// just the next round, so recovery and normal work are the same code.
//
//   duties   what needs no computing and must not wait for any: commitments, verdicts and
//            settlements go on the ledger in their time
//   jobs     what costs a prefill: keyed roots, verdicts, answers to checks, moves of disputes;
//            whatever is due first goes first
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "base/thread_pool.hpp"
#include "io/backoff.hpp"
#include "services/auditor/audit_lookout.hpp"
#include "services/auditor/examiner.hpp"
#include "settle/challenger.hpp"

namespace assay::services {

class AuditDesk {
 public:
  explicit AuditDesk(AuditorCore& core);
  ~AuditDesk() { stop(); }
  AuditDesk(const AuditDesk&) = delete;
  AuditDesk& operator=(const AuditDesk&) = delete;

  void start();
  void stop();  // cancels a computation, which begins again at the next start. Idempotent
  void wake();

  // One round of either half, in the caller's thread; the first error, after all was tried.
  Status do_duties();
  Status do_job();  // at most one, the most urgent that is not backing off
  // Deadlines of what waits for this auditor: commitments, verdicts, checks, moves.
  void show(io::Metrics& metrics) { lookout_.show(metrics); }

 private:
  struct Job {
    std::uint64_t due = 0;
    Hash id{};  // for backing off
    std::function<Status()> run;
    bool stake = false;  // missing it costs the stake: before everything that costs a fee
  };

  void loop(const std::function<Status()>& round, std::string_view what);
  Status duty(const AuditRecord& record, const market::AuditView& view,
              const market::AccountView& self, bool disputing);
  Status commit(const AuditRecord& record, const market::AuditView& view);
  Status reveal(const AuditRecord& record);
  Status close(const Hash& lease);
  Status settle(const AuditRecord& record, const market::AuditView& view);
  std::uint64_t settle_from(const market::AuditView& view) const;
  Status note_disputes(const AuditRecord& record, const market::AuditView& view);

  Result<std::vector<Job>> collect(std::uint64_t now);
  void add_jobs(const AuditRecord& record, const market::AuditView& view, std::uint64_t now,
                std::vector<Job>& jobs);
  Status compute(const AuditRecord& record, const market::AuditView& view);
  Status judge(const AuditRecord& record);
  Result<bool> has_room(const AuditRecord& record, const market::AuditView& view);
  Status answer(const AuditRecord& record, const market::AuditView& view);
  Status compute_replies(const AuditRecord& record, const market::AuditView& view);
  Status defend(const market::DisputeView& view);
  Status dispute(AuditorsDispute dispute);
  settle::DisputedCase case_of(const AuditRecord& record, const AuditorsDispute& dispute,
                               const protocol::Lease& lease);
  settle::DisputedSources sources_of(const AuditRecord& record);
  Hash nonce_of(const AuditRecord& record, const market::AuditView& view) const;

  AuditorCore& core_;
  Examiner examiner_;
  settle::Challenger challenger_;
  settle::Parties defences_;
  io::Backoff duty_backoff_, job_backoff_;

  // Of the jobs' thread.
  std::set<Hash> answered_;  // audits in which checks were answered since the start
  std::map<Hash, market::AnswerCheck> replies_;      // to open checks, computed and not yet taken
  double replayed_ms_ = 0, replayed_positions_ = 0;  // by all keyed roots since the start

  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
  ThreadPool senders_;  // of the duties' thread
  AuditLookout lookout_;
};

}  // namespace assay::services
