#include "io/worker_threads.hpp"

#include <system_error>

namespace assay::io {

WorkerThreads::~WorkerThreads() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool WorkerThreads::try_run(std::function<void()> job) {
  const std::scoped_lock lock(mutex_);
  if (stopping_ || busy_ >= limit_) return false;
  if (busy_ == threads_.size()) {
    try {
      threads_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      return false;
    }
  }
  ++busy_;
  ready_.push_back(std::move(job));
  wake_.notify_one();
  return true;
}

void WorkerThreads::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !ready_.empty(); });
    if (ready_.empty()) return;
    {
      const std::function<void()> job = std::move(ready_.front());
      ready_.pop_front();
      lock.unlock();
      job();
    }
    lock.lock();
    --busy_;
  }
}

}  // namespace assay::io
