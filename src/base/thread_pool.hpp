// A fixed pool that runs index ranges. Work is claimed in chunks and idle threads sleep, so a
// descheduled worker delays nobody (spin barriers collapse under CPU steal).
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace assay {

class ThreadPool {
 public:
  // threads ≥ 1 counts the caller; 1 runs everything inline.
  explicit ThreadPool(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  unsigned size() const { return static_cast<unsigned>(workers_.size()) + 1; }

  // Calls body(begin, end) over disjoint ranges covering [0, count), each at most `grain` long,
  // and returns when all are done. One parallel_for at a time per pool; body must not throw.
  void parallel_for(std::size_t count, std::size_t grain,
                    const std::function<void(std::size_t, std::size_t)>& body);

 private:
  void work();
  void drain();

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(std::size_t, std::size_t)>* body_ = nullptr;
  std::size_t count_ = 0, grain_ = 1;
  std::atomic<std::size_t> next_{0};
  std::uint64_t generation_ = 0;
  unsigned active_ = 0;
  bool stopping_ = false;
};

}  // namespace assay
