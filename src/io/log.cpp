#include "io/log.hpp"

#include <cstdlib>
#include <exception>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "io/random.hpp"
#include "io/request_id.hpp"

namespace assay::io {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::trace:
      return spdlog::level::trace;
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
    case LogLevel::off:
      return spdlog::level::off;
  }
  return spdlog::level::off;
}

std::string_view name_of(LogLevel level) {
  const spdlog::string_view_t name = spdlog::level::to_string_view(to_spdlog(level));
  return {name.data(), name.size()};
}

std::shared_ptr<spdlog::logger> make_logger(std::string name, LogLevel level, bool json) {
  // color_mode::automatic looks at whether stderr is a terminal.
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(spdlog::color_mode::automatic);
  auto logger = std::make_shared<spdlog::logger>(std::move(name), std::move(sink));
  logger->set_level(to_spdlog(level));
  // As JSON: the object is opened here and closed by whoever writes the line.
  logger->set_pattern(
      json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v)" : "%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %n: %v",
      spdlog::pattern_time_type::utc);
  logger->flush_on(spdlog::level::trace);
  return logger;
}

struct Log {
  std::shared_ptr<spdlog::logger> logger;
  bool json = false;
};

// spdlog's own default would write to stdout, which belongs to answers.
Log& current() {
  static Log log{make_logger("assay", LogLevel::warn, false)};
  return log;
}

// What peers send must not forge lines or steer a terminal.
std::string escaped(std::string_view message) {
  std::string clean;
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      clean += fmt::format("\\x{:02x}", byte);
    } else {
      clean.push_back(c);
    }
  }
  return clean;
}

}  // namespace

Result<LogLevel> parse_log_level(std::string_view text) {
  if (text == "trace") return LogLevel::trace;
  if (text == "debug") return LogLevel::debug;
  if (text == "info") return LogLevel::info;
  if (text == "warn") return LogLevel::warn;
  if (text == "error") return LogLevel::error;
  if (text == "off") return LogLevel::off;
  return fail(Errc::invalid, "no such log level: '{}' (trace, debug, info, warn, error, off)",
              text.substr(0, 40));
}

Status setup_log(std::string_view level, std::string_view name) {
  if (level.empty()) {
    const char* from_env = std::getenv("ASSAY_LOG");  // NOLINT(concurrency-mt-unsafe)
    level = from_env != nullptr && *from_env != 0 ? from_env : "warn";
  }
  TRY(const LogLevel parsed, parse_log_level(level));
  const char* format = std::getenv("ASSAY_LOG_FORMAT");  // NOLINT(concurrency-mt-unsafe)
  const std::string_view shape = format != nullptr && *format != 0 ? format : "text";
  if (shape != "text" && shape != "json")
    return fail(Errc::invalid, "ASSAY_LOG_FORMAT is '{}': use text or json", shape.substr(0, 40));
  const bool json = shape == "json";
  try {
    current() = {make_logger(std::string(name), parsed, json), json};
  } catch (const std::exception& e) {
    return fail(Errc::io, "cannot set up the log: {}", e.what());
  }
  return {};
}

bool log_enabled(LogLevel level) { return current().logger->should_log(to_spdlog(level)); }

void log_fields(LogLevel level, std::string_view message, const json::object& fields) {
  if (!log_enabled(level)) return;
  const std::string& request = current_request_id();
  std::string line;
  if (current().json) {
    json::object object{
        {"level", name_of(level)}, {"service", current().logger->name()}, {"message", message}};
    if (!request.empty()) object["request_id"] = request;
    for (const auto& [key, value] : fields) object[key] = value;
    line = json::dump(object).substr(1);  // behind the pattern's brace and time
  } else {
    line = escaped(message);
    for (const auto& [key, value] : fields)
      line += fmt::format(
          " {}={}", std::string_view(key),
          value.is_string() ? escaped(std::string_view(value.get_string())) : json::dump(value));
    if (!request.empty()) line += fmt::format(" request_id={}", request);
  }
  current().logger->log(to_spdlog(level), spdlog::string_view_t(line));
}

void log_line(LogLevel level, std::string_view message) { log_fields(level, message, {}); }

std::string redact(std::string_view secret) {
  static const Hash key = random_hash();
  const Hash tag = crypto::hmac_sha256(key, view(secret));
  return fmt::format("[redacted {} bytes, {}]", secret.size(),
                     to_hex_bare(ByteView(tag).subspan(0, 2)));
}

}  // namespace assay::io
