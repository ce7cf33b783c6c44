// A fixed pool that runs index ranges. Work is claimed in chunks, so a thread whose processor is
// taken away delays nobody but its own chunk. A thread with nothing to do watches for a few
// microseconds, because the next range usually follows at once, and then sleeps.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
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

  using Body = std::function<void(std::size_t, std::size_t)>;

  // Calls body(begin, end) over disjoint ranges covering [0, count), as even as they can be and
  // each at most `grain` long, and returns when all are done. One of these at a time per pool; body
  // must not throw.
  void parallel_for(std::size_t count, std::size_t grain, const Body& body);
  // As parallel_for, but a thread takes many neighbouring ranges as one: long ones first, at last
  // of `grain`. For work that reads on where it stopped.
  void parallel_ranges(std::size_t count, std::size_t grain, const Body& body);

 private:
  void work();
  void run(std::size_t count, std::size_t grain, std::uint32_t how, const Body& body);
  void drain();

  std::vector<std::thread> workers_;
  // Read only by whoever has claimed a chunk, and written only when no chunk is claimed.
  struct {
    const Body* body;
    std::size_t count;
    std::uint32_t chunks;
  } job_{};
  // Chunks nobody has claimed, and chunks nobody has finished. On lines of their own: the first is
  // written when a chunk begins, the second when one ends.
  alignas(64) std::atomic<std::uint32_t> unclaimed_{0};
  alignas(64) std::atomic<std::uint32_t> unfinished_{0};
};

}  // namespace assay
