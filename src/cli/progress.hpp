// A bar on stderr for work that takes longer than a moment; silent where stderr is no terminal.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace assay::cli {

class Progress {
 public:
  explicit Progress(std::string label);
  ~Progress();  // wipes the bar
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::uint64_t done, std::uint64_t total);

 private:
  using Clock = std::chrono::steady_clock;
  std::string label_;
  bool terminal_, shown_ = false;
  Clock::time_point next_;
};

}  // namespace assay::cli
