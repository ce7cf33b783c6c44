#include "settle/embedded/group_writer.hpp"

namespace assay::settle {

GroupWriter::GroupWriter(std::unique_ptr<io::Database> database, std::shared_mutex& guard)
    : database_(std::move(database)), guard_(guard), thread_([this] { work(); }) {}

GroupWriter::~GroupWriter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

Status GroupWriter::run(Job job) {
  std::future<Status> done;
  {
    const std::lock_guard lock(mutex_);
    done = queue_.emplace_back(std::move(job), std::promise<Status>()).done.get_future();
  }
  wake_.notify_one();
  return done.get();
}

void GroupWriter::work() {
  for (;;) {
    std::deque<Waiting> batch;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      batch.swap(queue_);
    }
    // Nobody has been answered yet: a crash up to here loses only requests without an answer.
    const Status status = commit(batch);
    // Durable. A crash from here on loses answers, not operations: whoever asks again with the same
    // operation is told that it was applied already.
    for (auto& waiting : batch) waiting.done.set_value(status);
  }
}

Status GroupWriter::commit(std::deque<Waiting>& batch) {
  const std::unique_lock lock(guard_);
  std::size_t written = 0;
  const auto take_back = [&] {
    while (written > 0) batch[--written].job.undo();
  };
  auto transaction = io::Transaction::begin(*database_);
  if (!transaction) return std::unexpected(transaction.error());
  for (auto& waiting : batch) {
    const Status status = waiting.job.write(*database_);
    // Counted also when it failed: its memory may have changed before its row was refused.
    ++written;
    if (!status) {
      transaction->rollback();
      take_back();
      return status;
    }
  }
  // A crash before this line: the WAL has no commit record, reopening finds the state before the
  // batch. A crash inside: SQLite decides, all of the batch or nothing.
  if (auto status = transaction->commit(); !status) {
    take_back();
    return status;
  }
  return {};
}

}  // namespace assay::settle
