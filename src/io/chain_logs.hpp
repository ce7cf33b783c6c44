// A contract's events, each delivered once and in order, only from blocks deep enough to stay. The
// place reached is kept in SQLite, so that a restarted process goes on there.
//
// Trust: an endpoint that leaves events out is believed; a reorganization deeper than
// `confirmations` is noticed when it replaced the last block read (Errc::mismatch).
#pragma once
#include "io/chain_rpc.hpp"
#include "io/sqlite.hpp"

namespace assay::io {

struct LogReaderOptions {
  std::string name{};  // of the cursor: several may share a file
  LogFilter filter{};
  std::uint64_t first_block = 0;     // where a new cursor starts: the contract's deployment
  std::uint64_t confirmations = 3;   // 1: the newest block is read
  std::uint64_t range_most = 2'000;  // blocks per request; halved when the node finds it too much
};

struct LogPage {
  std::uint64_t first = 0, last = 0;  // blocks, both included; empty when last + 1 == first
  Hash last_hash{};
  std::vector<LogEntry> logs{};
  bool caught_up = false;  // nothing more is deep enough now
};

// One thread at a time.
class LogReader {
 public:
  // `db` and `rpc` outlive it.
  static Result<LogReader> open(Database& db, ChainRpc& rpc, LogReaderOptions options);

  // The next blocks, not yet marked as read: the same page comes again until keep().
  Result<LogPage> next();
  // Marks a page as read. Inside the caller's transaction on `db` it is one with what the caller
  // made of the page: each event counts exactly once. After such a transaction is rolled back, open
  // a new reader.
  Status keep(const LogPage& page);
  std::uint64_t next_block() const { return next_block_; }

 private:
  LogReader(Database& db, ChainRpc& rpc, LogReaderOptions options)
      : db_(&db), rpc_(&rpc), options_(std::move(options)), range_(options_.range_most) {}
  Result<Hash> canonical(std::uint64_t block_num);

  Database* db_;
  ChainRpc* rpc_;
  LogReaderOptions options_;
  std::uint64_t next_block_ = 0, range_;
  std::optional<Hash> last_hash_;  // of block next_block_ − 1, once one was read
};

}  // namespace assay::io
