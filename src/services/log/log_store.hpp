// One log's writer. What arrives while the disk is busy, or within `batch_ms`, shares a batch; a
// batch is written in one order, and recovery after a crash anywhere in it is the ordinary start:
//   1. entry bundles and tiles of the longer tree (files nobody refers to yet)
//   2. the new length, its root and the numbers used: one commit, from which on the batch exists
//   3. the answers; and the checkpoint, signed from what is committed, never from what is planned
// So what was acknowledged is in the log once, and no two checkpoints of different histories are
// ever signed. Trust: whoever holds the key can fork the log; witnesses and monitors are for that.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <thread>

#include "services/log/log_disk.hpp"
#include "tlog/checkpoint.hpp"
#include "tlog/edge.hpp"
#include "tlog/tree.hpp"

namespace assay::services {

struct LogStoreOptions {
  std::int64_t batch_ms = 100;         // how long the first of a batch waits for others
  std::size_t batch_entries = 16'384;  // a batch that is so long waits no longer
  std::size_t waiting_entries = 65'536;
};

class LogStore {
 public:
  // `disk` outlives it. Errors: mismatch when the files are not those of the committed tree, or a
  // checkpoint was published that is not of it (an old copy of the folder was put back: signing on
  // from it would be a fork).
  static Result<std::unique_ptr<LogStore>> open(LogDisk& disk, const tlog::LogPolicy& policy,
                                                const LogStoreOptions& options = {});
  ~LogStore();  // finishes what was asked for
  LogStore(const LogStore&) = delete;
  LogStore& operator=(const LogStore&) = delete;

  // Entries of one issuer with consecutive numbers, their signatures checked by the caller. Returns
  // their indexes when they are durable. The same entries again are the same entries: their indexes
  // come back and nothing is written. Errors: refused when numbers are left out (the message names
  // the next one); conflict when a number was used for something else; unavailable (disk full, too
  // busy), after which nothing of the call was acknowledged.
  Result<std::vector<std::uint64_t>> append(std::vector<tlog::LogEntry> entries);
  // One entry and the record it commits to, checked by the caller. The same record again is the
  // same entry, whatever its number. Errors as append's; conflict also for another record of its
  // call, or of the offer it awarded.
  Result<std::uint64_t> append_auction(const tlog::LogEntry& entry, LoggedAuction auction);

  TreeState committed() const;
  // Waits until more than `size` entries are committed, or `timeout_ms` passed, or stop().
  TreeState wait_beyond(std::uint64_t size, std::int64_t timeout_ms);
  void stop();
  tlog::Tree& tree() { return tree_; }
  LogDisk& disk() { return disk_; }

 private:
  using Indexes = Result<std::vector<std::uint64_t>>;
  struct Waiting {
    std::vector<tlog::LogEntry> entries;
    std::optional<LoggedAuction> auction;  // of the only entry
    std::promise<Indexes> done;
  };
  Indexes queue(std::vector<tlog::LogEntry> entries, std::optional<LoggedAuction> auction);
  LogStore(LogDisk& disk, tlog::Edge edge, TreeState state, const LogStoreOptions& options);
  void work();
  void write_batch(std::deque<Waiting>& batch);
  Indexes known(const std::vector<tlog::LogEntry>& entries);

  LogDisk& disk_;
  const LogStoreOptions options_;
  tlog::Tree tree_;
  tlog::Edge edge_;      // the writer's
  bool broken_ = false;  // the writer's: what is committed is not known
  mutable std::mutex mutex_;
  std::condition_variable wake_, grown_;
  TreeState state_;
  std::deque<Waiting> queue_;
  std::size_t queued_entries_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace assay::services
