#include <array>
#include <chrono>

#include "engine/gguf.hpp"
#include "engine/jinja/template.hpp"

namespace assay::engine::jinja {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};
constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};

std::chrono::sys_days days_of(const Date& date) {
  return std::chrono::year(date.year) / date.month / date.day;
}

Result<std::string> directive(const Date& d, char letter, bool padded) {
  const auto number = [&](int n, int width = 2) {
    return padded ? fmt::format("{:0{}}", n, width) : std::to_string(n);
  };
  const auto month = static_cast<std::size_t>(d.month - 1);
  const std::size_t weekday = std::chrono::weekday(days_of(d)).c_encoding();
  const int twelve = d.hour % 12 == 0 ? 12 : d.hour % 12;
  switch (letter) {
    case 'a':
      return std::string(kDays[weekday].substr(0, 3));
    case 'A':
      return std::string(kDays[weekday]);
    case 'b':
      return std::string(kMonths[month].substr(0, 3));
    case 'B':
      return std::string(kMonths[month]);
    case 'd':
      return number(d.day);
    case 'e':
      return padded ? fmt::format("{:2}", d.day) : std::to_string(d.day);
    case 'F':
      return fmt::format("{:04}-{:02}-{:02}", d.year, d.month, d.day);
    case 'H':
      return number(d.hour);
    case 'I':
      return number(twelve);
    case 'j': {
      const auto first = days_of({.year = d.year});
      return number(static_cast<int>((days_of(d) - first).count()) + 1, 3);
    }
    case 'm':
      return number(d.month);
    case 'M':
      return number(d.minute);
    case 'p':
      return std::string(d.hour < 12 ? "AM" : "PM");
    case 'S':
      return number(d.second);
    case 'T':
      return fmt::format("{:02}:{:02}:{:02}", d.hour, d.minute, d.second);
    case 'y':
      return number(d.year % 100);
    case 'Y':
      return std::to_string(d.year);
    case '%':
      return std::string("%");
    default:
      return fail(Errc::unsupported, "the date format '%{}' is not supported",
                  printable(std::string(1, letter), 8));
  }
}

}  // namespace

Date date_of(std::int64_t unix_seconds) {
  using namespace std::chrono;
  const sys_seconds moment{seconds(unix_seconds)};
  const auto day = floor<days>(moment);
  const year_month_day ymd(day);
  const hh_mm_ss time(moment - day);
  return {.year = static_cast<int>(ymd.year()),
          .month = static_cast<int>(static_cast<unsigned>(ymd.month())),
          .day = static_cast<int>(static_cast<unsigned>(ymd.day())),
          .hour = static_cast<int>(time.hours().count()),
          .minute = static_cast<int>(time.minutes().count()),
          .second = static_cast<int>(time.seconds().count())};
}

bool is_date(const Date& d) {
  return std::chrono::year_month_day(std::chrono::year(d.year) / d.month / d.day).ok() &&
         d.hour >= 0 && d.hour < 24 && d.minute >= 0 && d.minute < 60 && d.second >= 0 &&
         d.second < 60;
}

Result<std::string> format_date(const Date& date, std::string_view format) {
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    const bool padded = format[i + 1] != '-';
    i += padded ? 1 : 2;
    TRY(const std::string part, directive(date, i < format.size() ? format[i] : '-', padded));
    out += part;
  }
  return out;
}

}  // namespace assay::engine::jinja
