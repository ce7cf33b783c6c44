// Publishes the next beacon round whenever audits wait for one, at most every so often.
#pragma once
#include "base/repeating.hpp"
#include "settle/beacon_chain.hpp"
#include "settle/embedded/embedded_ledger.hpp"

namespace assay::services {

class BeaconPublisher {
 public:
  // `ledger` outlives it.
  BeaconPublisher(settle::EmbeddedLedger& ledger, settle::BeaconChain chain,
                  const crypto::SecretKey& host_key, std::uint64_t every_ms);

 private:
  // Nothing when no audit waits.
  Status publish();

  settle::EmbeddedLedger& ledger_;
  settle::BeaconChain chain_;
  const crypto::SecretKey key_;
  Repeating rounds_;
};

}  // namespace assay::services
