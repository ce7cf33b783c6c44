// One thread writes, many wait: what arrives while the disk is busy shares the next commit.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <shared_mutex>
#include <thread>

#include "io/sqlite.hpp"

namespace assay::settle {

class GroupWriter {
 public:
  // `guard` is held exclusively while a batch is applied and until it is durable, so that readers
  // who hold it shared never see what a crash could take back.
  GroupWriter(std::unique_ptr<io::Database> database, std::shared_mutex& guard);
  ~GroupWriter();  // finishes what was asked for
  GroupWriter(const GroupWriter&) = delete;
  GroupWriter& operator=(const GroupWriter&) = delete;

  struct Job {
    // Changes memory and writes rows, in a transaction. A rule's refusal is kept by the caller and
    // is not an error here; an error is the disk's, and undoes the whole batch.
    std::function<Status(io::Database&)> write;
    // Takes the change of memory back. Called in reverse order when the batch did not commit.
    std::function<void()> undo;
  };
  // Returns when the job's batch is durable (ok), or when nothing of it remains (the error).
  Status run(Job job);

 private:
  struct Waiting {
    Job job;
    std::promise<Status> done;
  };
  void work();
  Status commit(std::deque<Waiting>& batch);

  std::unique_ptr<io::Database> database_;
  std::shared_mutex& guard_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Waiting> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace assay::settle
