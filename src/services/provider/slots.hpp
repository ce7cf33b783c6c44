// A fixed number of places to compute in, each with threads of its own, and a bounded queue.
#pragma once
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/result.hpp"
#include "base/thread_pool.hpp"

namespace assay::services {

class Slots {
 public:
  Slots(unsigned slots, unsigned queue, unsigned threads_each) : queue_(queue) {
    for (unsigned i = 0; i < slots; ++i)
      free_.push_back(std::make_unique<ThreadPool>(threads_each));
  }

  // Gives its place back when it goes.
  class Place {
   public:
    Place(Slots& slots, std::unique_ptr<ThreadPool> pool)
        : slots_(&slots), pool_(std::move(pool)) {}
    Place(Place&&) = default;
    ~Place() {
      if (!pool_) return;
      {
        const std::lock_guard lock(slots_->mutex_);
        slots_->free_.push_back(std::move(pool_));
      }
      slots_->changed_.notify_one();
    }
    ThreadPool& pool() { return *pool_; }

   private:
    Slots* slots_;
    std::unique_ptr<ThreadPool> pool_;
  };

  // Waits its turn. unavailable when the queue is full; cancelled when `gone` says so.
  Result<Place> take(const std::function<bool()>& gone) {
    std::unique_lock lock(mutex_);
    if (free_.empty() && waiting_ >= queue_)
      return fail(Errc::unavailable, "all slots are taken and {} requests wait: try again later",
                  waiting_);
    ++waiting_;
    while (free_.empty()) {
      changed_.wait_for(lock, std::chrono::milliseconds(50));
      if (free_.empty() && gone()) {
        --waiting_;
        return fail(Errc::cancelled, "the client left while it waited");
      }
    }
    --waiting_;
    auto pool = std::move(free_.back());
    free_.pop_back();
    return Place(*this, std::move(pool));
  }

 private:
  const unsigned queue_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<ThreadPool>> free_;
  unsigned waiting_ = 0;
};

}  // namespace assay::services
