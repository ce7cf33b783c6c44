// A thread of its own that takes the same step again and again, with rests in which it can be
// stopped. Declare it after what the step uses: it ends before that does.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace assay {

class Repeating {
 public:
  // Says after how many milliseconds it wants to be called again; must not throw.
  using Step = std::function<std::int64_t()>;

  Repeating() = default;
  ~Repeating() { stop(); }
  Repeating(const Repeating&) = delete;
  Repeating& operator=(const Repeating&) = delete;

  // Once. The first step comes after first_ms.
  void start(Step step, std::int64_t first_ms = 0);
  void stop();  // the step at hand is finished; idempotent
  // True from stop() on: a long step may look at it.
  bool stopping() const { return stopping_; }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace assay
