// The host's judge: takes disputes in the order they were filed, asks the referee, signs the
// verdict and puts it on the ledger. Survives a restart, since what is still to be judged lies
// beside the log.
#pragma once
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "market/referee.hpp"
#include "settle/embedded/embedded_ledger.hpp"

namespace assay::services {

class Judge {
 public:
  // All outlive it. Starts with the disputes a previous run left open.
  static Result<std::unique_ptr<Judge>> start(settle::EmbeddedLedger& ledger,
                                              market::Referee& referee,
                                              const crypto::SecretKey& host_key);
  ~Judge();  // finishes the dispute at hand, leaves the others to the next start
  Judge(const Judge&) = delete;
  Judge& operator=(const Judge&) = delete;

  void add(settle::PendingDispute dispute);

 private:
  Judge(settle::EmbeddedLedger& ledger, market::Referee& referee, const crypto::SecretKey& key)
      : ledger_(ledger), referee_(referee), key_(key) {}
  void work();
  Status decide(const settle::PendingDispute& dispute);

  settle::EmbeddedLedger& ledger_;
  market::Referee& referee_;
  crypto::SecretKey key_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<settle::PendingDispute> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace assay::services
