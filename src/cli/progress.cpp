#include "cli/progress.hpp"

#include <cstdio>
#include <fmt/format.h>

#include "cli/cli.hpp"

namespace assay::cli {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(400);
constexpr auto kInterval = std::chrono::milliseconds(100);
constexpr std::uint64_t kWidth = 30;

}  // namespace

Progress::Progress(std::string label)
    : label_(std::move(label)), terminal_(stderr_is_terminal()), next_(Clock::now() + kPatience) {}

Progress::~Progress() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
}

void Progress::update(std::uint64_t done, std::uint64_t total) {
  if (!terminal_ || total == 0 || Clock::now() < next_) return;
  next_ = Clock::now() + kInterval;
  shown_ = true;
  const double part = static_cast<double>(done) / static_cast<double>(total);
  const auto filled = static_cast<std::uint64_t>(part * kWidth);
  fmt::print(stderr, "\r{} [{:#<{}}{:.<{}}] {:3.0f} %\x1b[K", label_, "", filled, "",
             kWidth - filled, part * 100);
  std::fflush(stderr);
}

}  // namespace assay::cli
