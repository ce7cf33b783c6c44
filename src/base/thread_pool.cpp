#include "base/thread_pool.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace assay {

ThreadPool::ThreadPool(unsigned threads) {
  ASSAY_ASSERT(threads >= 1);
  for (unsigned i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::drain() {
  for (;;) {
    const std::size_t begin = next_.fetch_add(grain_);
    if (begin >= count_) return;
    (*body_)(begin, std::min(count_, begin + grain_));
  }
}

void ThreadPool::work() {
  std::uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stopping_ || generation_ != seen; });
    if (stopping_) return;
    seen = generation_;
    if (body_ == nullptr) continue;
    ++active_;
    lock.unlock();
    drain();
    lock.lock();
    if (--active_ == 0) done_.notify_all();
  }
}

void ThreadPool::parallel_for(std::size_t count, std::size_t grain,
                              const std::function<void(std::size_t, std::size_t)>& body) {
  ASSAY_ASSERT(grain >= 1);
  if (count == 0) return;
  if (workers_.empty() || count <= grain) {
    for (std::size_t i = 0; i < count; i += grain) body(i, std::min(count, i + grain));
    return;
  }
  {
    std::lock_guard lock(mutex_);
    ASSAY_ASSERT(body_ == nullptr);
    body_ = &body;
    count_ = count;
    grain_ = grain;
    next_ = 0;
    ++generation_;
  }
  wake_.notify_all();
  drain();
  // A worker that wakes later finds body_ cleared and goes back to sleep.
  std::unique_lock lock(mutex_);
  done_.wait(lock, [&] { return active_ == 0; });
  body_ = nullptr;
}

}  // namespace assay
