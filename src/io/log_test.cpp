#include "io/log.hpp"

#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>

namespace assay::io {
namespace {

TEST(Log, LevelsAndNames) {
  EXPECT_EQ(parse_log_level("debug"), LogLevel::debug);
  EXPECT_EQ(parse_log_level("loud").error().message,
            "no such log level: 'loud' (trace, debug, info, warn, error, off)");
  ::unsetenv("ASSAY_LOG");
  ASSERT_TRUE(setup_log(""));
  EXPECT_TRUE(log_enabled(LogLevel::warn));
  EXPECT_FALSE(log_enabled(LogLevel::info));
  ::setenv("ASSAY_LOG", "debug", 1);
  ASSERT_TRUE(setup_log(""));
  EXPECT_TRUE(log_enabled(LogLevel::debug));
  ASSERT_TRUE(setup_log("error"));  // the flag beats the environment
  EXPECT_FALSE(log_enabled(LogLevel::warn));
  ::setenv("ASSAY_LOG", "nonsense", 1);
  EXPECT_FALSE(setup_log(""));
  ::unsetenv("ASSAY_LOG");
  ASSERT_TRUE(setup_log("warn"));
}

TEST(Log, LinesGoToStderrAndCannotBeForged) {
  ASSERT_TRUE(setup_log("warn", "tester"));
  testing::internal::CaptureStderr();
  log_warn("peer said {}", "a\n2026 error fake: \x1b[31mred");
  log_info("not shown {}", 1);
  const std::string out = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(out.ends_with(" warning tester: peer said a\\x0a2026 error fake: \\x1b[31mred\n"))
      << out;
  EXPECT_EQ(std::ranges::count(out, '\n'), 1);
  EXPECT_EQ(out.find('\x1b'), std::string::npos);  // not a terminal: no colours
}

TEST(Log, RedactTellsSecretsApartAndNothingElse) {
  const std::string a = redact("swordfish"), b = redact("swordfish");
  EXPECT_EQ(a, b);
  EXPECT_EQ(a.find("sword"), std::string::npos);
  EXPECT_TRUE(a.starts_with("[redacted 9 bytes, ")) << a;
  EXPECT_EQ(a.size(), std::string_view("[redacted 9 bytes, 3f9a]").size());
  EXPECT_NE(redact("one secret"), redact("a different secret"));
}

}  // namespace
}  // namespace assay::io
