// SIGINT and SIGTERM as a latch for a clean shutdown. A second signal ends the process at once with
// 128 + its number. SIGPIPE is ignored for the whole process. One object per process, made in main
// before any thread.
#pragma once
#include <cstdint>

namespace assay::io {

class StopSignal {
 public:
  StopSignal();
  ~StopSignal();  // the previous handlers come back
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  bool requested() const;
  // Until a signal came (true) or timeout_ms passed (false); negative waits for ever.
  bool wait(std::int64_t timeout_ms = -1) const;
  // As if a signal had come; for a server that must end for a reason of its own.
  void request();
};

}  // namespace assay::io
