// Whose trace is recomputed next. Recomputing one costs a prefill that nobody pays for, so it never
// competes with paying work (Batcher::submit_behind) and hardly with other openings: one at a time,
// in the order they came, one of a lease at most, few that wait.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay::services {

class Openings {
 public:
  explicit Openings(std::uint32_t queue_max) : queue_max_(queue_max) {}

  class Turn {
   public:
    Turn(Openings& openings, const Hash& lease) : openings_(&openings), lease_(lease) {}
    Turn(Turn&& other) noexcept
        : openings_(std::exchange(other.openings_, nullptr)), lease_(other.lease_) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (openings_) openings_->leave(lease_);
    }

   private:
    Openings* openings_;
    Hash lease_;
  };

  // Waits for its turn. unavailable: the lease has one already, or queue_max wait; cancelled:
  // `gone` came first.
  Result<Turn> enter(const Hash& lease, const std::function<bool()>& gone);

 private:
  void leave(const Hash& lease);

  const std::uint32_t queue_max_;
  std::mutex mutex_;
  std::condition_variable left_;
  std::deque<Hash> leases_;  // the first has its turn
};

}  // namespace assay::services
