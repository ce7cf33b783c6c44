#include "base/utc.hpp"

#include <chrono>
#include <fmt/format.h>

namespace assay {

std::string utc_text(std::uint64_t unix_seconds) {
  using std::chrono::seconds;
  if (unix_seconds >= 253'402'300'800) return fmt::format("Unix time {}", unix_seconds);
  const std::chrono::sys_seconds at(seconds(static_cast<std::int64_t>(unix_seconds)));
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(at - day);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     time.hours().count(), time.minutes().count(), time.seconds().count());
}

}  // namespace assay
