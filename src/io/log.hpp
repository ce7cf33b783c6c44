// The program's log: lines on stderr, level from --log-level or ASSAY_LOG, colours only on a
// terminal; with ASSAY_LOG_FORMAT=json one JSON object a line instead: time, level, service,
// message, request_id where the thread works for a request, and a line's own fields. Secrets never
// reach it: no prompts, answers, salts, keys, passphrases or tokens, not even at trace level. Where
// one must be told from another, log redact(secret).
#pragma once
#include <fmt/format.h>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"

namespace assay::io {

enum class LogLevel { trace, debug, info, warn, error, off };

// "trace" … "off".
Result<LogLevel> parse_log_level(std::string_view text);

// level "" means ASSAY_LOG, else "warn"; `name` is shown in each line ("provider-1"). Called in
// main before there are threads; without it the level is "warn".
Status setup_log(std::string_view level, std::string_view name = "assay");

bool log_enabled(LogLevel level);
void log_line(LogLevel level, std::string_view message);  // control characters are escaped
// A message that stays the same, and what is different about this one. As text: "message a=1 b=x".
void log_fields(LogLevel level, std::string_view message, const json::object& fields);

template <class... Args>
void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(level)) log_line(level, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::debug, format, std::forward<Args>(args)...);
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::info, format, std::forward<Args>(args)...);
}
template <class... Args>
void log_warn(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::warn, format, std::forward<Args>(args)...);
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log(LogLevel::error, format, std::forward<Args>(args)...);
}

// "[redacted 64 bytes, 3f9a]": length and 2 bytes of a hash keyed with a per-process secret, enough
// to see that two lines mean the same secret, useless for guessing it.
std::string redact(std::string_view secret);

}  // namespace assay::io
