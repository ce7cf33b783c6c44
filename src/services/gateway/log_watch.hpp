// Whether providers put their receipts into the log, as they must (spec/log.md section 2): a
// receipt that is not there can be denied later, and its number be given to another.
//
// Each receipt's proof is kept beside it (<data>/proofs/<receipt>.tlog-proof) once the log has it.
// One that the log does not have in time, or that has another commitment under its number, is an
// alarm in this process's log and in GET /assay/receipts. Nothing is paid or withheld because of
// it.
#pragma once
#include <functional>
#include <map>

#include "base/repeating.hpp"
#include "services/gateway/buyer.hpp"
#include "tlog/prove.hpp"

namespace assay::services {

enum class LogState {
  waiting,       // not there yet, and need not be
  included,      // the proof is in its file
  missing,       // not there in time
  contradicted,  // the provider signed something else under its number
};
std::string_view to_string(LogState state);

// A log as its readers see it; not believed.
struct LogView {
  std::unique_ptr<tlog::TileSource> tiles;
  std::function<Result<std::string>()> checkpoint;
};

class LogWatch {
 public:
  // Receipts that are looked after: the newest.
  static constexpr std::uint32_t kReceiptsMax = 1000;

  // `buyer` outlives it. Nothing happens before start() or round().
  LogWatch(Buyer& buyer, tlog::LogPolicy policy, LogView log)
      : buyer_(buyer), policy_(std::move(policy)), log_(std::move(log)) {}

  void start();  // a round now and then
  void stop() { rounds_.stop(); }
  Status round();
  LogState state(const Hash& receipt);

 private:
  struct Awaited {
    std::uint64_t since = 0;     // when this process first saw it, Unix seconds
    std::uint64_t searched = 0;  // no entry below this index is it
    LogState state = LogState::waiting;
  };
  Status look_up_new_receipts();
  Status search(std::uint64_t size, const std::string& checkpoint);
  Status found(const Hash& receipt, std::uint64_t index, const tlog::LogEntry& entry,
               const std::string& checkpoint);
  void alarm(const Hash& receipt, LogState state, std::string_view why);

  Buyer& buyer_;
  const tlog::LogPolicy policy_;
  const LogView log_;
  std::mutex mutex_;  // of awaited_
  std::map<Hash, Awaited> awaited_;
  Repeating rounds_;
};

}  // namespace assay::services
