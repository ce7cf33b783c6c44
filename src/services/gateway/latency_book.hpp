// How fast the answers of each lease came to this gateway; in memory only.
#pragma once
#include <map>
#include <mutex>

#include "market/reputation.hpp"

namespace assay::services {

// Safe to use from many threads.
class LatencyBook {
 public:
  struct Figures {
    std::uint64_t answers = 0;
    std::uint32_t first_token_ms = 0, per_token_ms = 0;  // nine in ten of the latest took no longer
  };

  void add(const Hash& lease, std::uint32_t first_token_ms, std::uint32_t per_token_ms) {
    const std::lock_guard lock(mutex_);
    leases_[lease].add(first_token_ms, per_token_ms);
  }
  std::map<Hash, Figures> all() const {
    const std::lock_guard lock(mutex_);
    std::map<Hash, Figures> out;
    for (const auto& [lease, samples] : leases_)
      out[lease] = {samples.answers(), samples.first_token_ms(), samples.per_token_ms()};
    return out;
  }
  void forget(const Hash& lease) {
    const std::lock_guard lock(mutex_);
    leases_.erase(lease);
  }

 private:
  mutable std::mutex mutex_;
  std::map<Hash, market::LatencySamples> leases_;
};

}  // namespace assay::services
