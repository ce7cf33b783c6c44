// Everything that happens after an answer: audits, disputes, payments, and what a crash or an
// unreachable peer left undone. One thread sweeps over the database; a restart is just the next
// sweep, so recovery and normal work are the same code.
#pragma once
#include <condition_variable>
#include <map>
#include <thread>

#include "io/backoff.hpp"
#include "services/gateway/auditor.hpp"
#include "services/gateway/contests.hpp"
#include "services/gateway/demands.hpp"
#include "services/gateway/disputes.hpp"
#include "services/gateway/hires.hpp"
#include "services/gateway/intake.hpp"
#include "services/gateway/leases.hpp"
#include "services/gateway/rebates.hpp"

namespace assay::services {

class Worker {
 public:
  Worker(Buyer& buyer, MarketView& market, Leases& leases, Intake& intake, Rebates& rebates);
  ~Worker();  // stop()
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void start();
  void stop();  // the step at hand is finished, the rest waits for the next start
  void wake();
  // Audits one request in the caller's thread, before its turn.
  Result<RequestRecord> audit_now(const Hash& request);
  // Deadlines that wait for this buyer.
  void show(io::Metrics& metrics) { disputes_.show(metrics); }

 private:
  void run();
  void sweep();
  void each(RequestStage stage, const std::function<Status(RequestRecord)>& step);
  // Runs the step unless it failed lately; remembers when it may be tried again.
  void attempt(const Hash& id, const std::function<Status()>& step,
               RequestStage stage = RequestStage::signed_off);
  bool stopping();

  Status pick_up(RequestRecord record);
  Status after_receipt(RequestRecord record);
  // Of a receipt that was not drawn; unavailable while it is held.
  Status release(RequestRecord record);
  // This buyer's own replay differs from something it signed, and that is not decided yet.
  bool suspected(const Address& provider);
  // Claims are looked into, fees of audits that are over are settled.
  void watch_claims();
  Status watch_claim(const LeaseRecord& lease);

  Buyer& buyer_;
  Leases& leases_;
  Intake& intake_;
  Rebates& rebates_;
  Auditor auditor_;
  Disputes disputes_;
  Demands demands_;
  Contests contests_;
  Hires hires_;

  // By what is tried and, of a request, its stage: what failed at one says nothing about the next.
  // Worker thread only.
  io::BackoffOf<std::pair<Hash, RequestStage>> backoff_;
  // Receipts that were not drawn: since when they are held, and what their provider was convicted
  // of by then. A restart holds them anew.
  struct Hold {
    std::uint64_t since = 0;
    std::uint32_t convictions = 0;
  };
  std::map<Hash, Hold> held_;
  std::int64_t claims_due_ms_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool woken_ = false, stopping_ = false;
  std::thread thread_;
};

}  // namespace assay::services
