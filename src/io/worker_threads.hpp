// Threads for jobs that block: one per running job, made on demand, kept, up to a limit. Never a
// queue: a job that finds no thread is refused at once.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace assay::io {

class WorkerThreads {
 public:
  explicit WorkerThreads(unsigned limit) : limit_(limit) {}
  ~WorkerThreads();  // waits for every job
  WorkerThreads(const WorkerThreads&) = delete;
  WorkerThreads& operator=(const WorkerThreads&) = delete;

  // false: `limit` jobs are running, or the system gives no more threads. Jobs must not throw.
  bool try_run(std::function<void()> job);

 private:
  void work();

  const unsigned limit_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> ready_;  // each has a thread about to take it
  std::vector<std::thread> threads_;
  std::size_t busy_ = 0;  // running or in ready_
  bool stopping_ = false;
};

}  // namespace assay::io
