#include "base/repeating.hpp"

#include <chrono>

#include "base/assert.hpp"

namespace assay {

void Repeating::start(Step step, std::int64_t first_ms) {
  ASSAY_ASSERT(!thread_.joinable() && !stopping_);
  thread_ = std::thread([this, step = std::move(step), rest = first_ms]() mutable {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, std::chrono::milliseconds(rest), [this] { return stopping(); })) {
      lock.unlock();
      rest = step();
      lock.lock();
    }
  });
}

void Repeating::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

}  // namespace assay
