// Publishes the next beacon round whenever audits wait for one, at most every so often.
#pragma once
#include <condition_variable>
#include <mutex>
#include <thread>

#include "settle/beacon_chain.hpp"
#include "settle/embedded/embedded_ledger.hpp"

namespace assay::services {

class BeaconPublisher {
 public:
  // `ledger` outlives it.
  BeaconPublisher(settle::EmbeddedLedger& ledger, settle::BeaconChain chain,
                  const crypto::SecretKey& host_key, std::uint64_t every_ms);
  ~BeaconPublisher();
  BeaconPublisher(const BeaconPublisher&) = delete;
  BeaconPublisher& operator=(const BeaconPublisher&) = delete;

 private:
  void work();
  // Nothing when no audit waits.
  Status publish();

  settle::EmbeddedLedger& ledger_;
  settle::BeaconChain chain_;
  const crypto::SecretKey key_;
  const std::uint64_t every_ms_;
  std::mutex guard_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace assay::services
