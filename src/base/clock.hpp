// Time comes in through this interface, so that ledgers and services can be tested and replayed.
#pragma once
#include <atomic>
#include <cstdint>

namespace assay {

struct Clock {
  virtual ~Clock() = default;
  virtual std::int64_t now_ms() const = 0;  // Unix time
  std::int64_t now_s() const { return now_ms() / 1000; }
};

// A clock a test moves by hand, while services read it.
struct ManualClock : Clock {
  std::atomic<std::int64_t> ms = 1'700'000'000'000;
  std::int64_t now_ms() const override { return ms; }
};

}  // namespace assay
