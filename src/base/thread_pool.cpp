#include "base/thread_pool.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace assay {
namespace {

constexpr std::uint32_t kStop = 0xffffffffu;      // in place of a number of chunks
constexpr std::uint32_t kTogether = 0x80000000u;  // beside it: several may be claimed at once

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Returns once the value is no longer `old`: some 20 µs of watching, in which the processor is
// offered to others again and again once the first few have passed, then asleep.
std::uint32_t wait_while(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  for (int i = 0; i < 1000; ++i) {
    const std::uint32_t now = value.load(std::memory_order_acquire);
    if (now != old) return now;
    if (i >= 256 && i % 64 == 63)
      std::this_thread::yield();
    else
      pause();
  }
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(unsigned threads) {
  ASSAY_ASSERT(threads >= 1);
  for (unsigned i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  unclaimed_.store(kStop, std::memory_order_release);
  unclaimed_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::drain() {
  std::uint32_t left = unclaimed_.load(std::memory_order_acquire);
  while (left != 0 && left != kStop) {
    // Together: half of a fair share of what is left, so that the last ones end at the same time.
    const std::uint32_t waiting = left & ~kTogether,
                        mine = left & kTogether ? std::max(waiting / (2 * size()), 1u) : 1,
                        rest = waiting == mine ? 0 : left - mine;
    // Success means that these chunks are ours and job_ is their job, whatever happened since the
    // load.
    if (!unclaimed_.compare_exchange_weak(left, rest, std::memory_order_acquire)) continue;
    const std::size_t first = job_.chunks - waiting, last = first + mine;
    (*job_.body)(first* job_.count / job_.chunks, last * job_.count / job_.chunks);
    if (unfinished_.fetch_sub(mine, std::memory_order_acq_rel) == mine) unfinished_.notify_all();
    left = unclaimed_.load(std::memory_order_acquire);
  }
}

void ThreadPool::work() {
  while (wait_while(unclaimed_, 0) != kStop) drain();
}

void ThreadPool::parallel_for(std::size_t count, std::size_t grain, const Body& body) {
  ASSAY_ASSERT(grain >= 1);
  if (workers_.empty() || count <= grain) {
    const std::size_t chunks = (count + grain - 1) / grain;
    for (std::size_t i = 0; i < chunks; ++i) body(i * count / chunks, (i + 1) * count / chunks);
    return;
  }
  run(count, grain, 0, body);
}

void ThreadPool::parallel_ranges(std::size_t count, std::size_t grain, const Body& body) {
  ASSAY_ASSERT(grain >= 1);
  if (count == 0) return;
  if (workers_.empty() || count <= grain) return body(0, count);
  run(count, grain, kTogether, body);
}

void ThreadPool::run(std::size_t count, std::size_t grain, std::uint32_t how, const Body& body) {
  const std::size_t chunks = (count + grain - 1) / grain;
  ASSAY_ASSERT(chunks < kTogether && unfinished_.load(std::memory_order_acquire) == 0);
  job_ = {&body, count, static_cast<std::uint32_t>(chunks)};
  unfinished_.store(job_.chunks, std::memory_order_relaxed);
  unclaimed_.store(job_.chunks | how, std::memory_order_release);
  unclaimed_.notify_all();
  drain();
  for (std::uint32_t left = unfinished_.load(std::memory_order_acquire); left != 0;)
    left = wait_while(unfinished_, left);
}

}  // namespace assay
