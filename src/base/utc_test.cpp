#include "base/utc.hpp"

#include <gtest/gtest.h>

namespace assay {
namespace {

TEST(Utc, AsDateWritesIt) {  // date -u -d @N
  EXPECT_EQ(utc_text(0), "1970-01-01 00:00:00 UTC");
  EXPECT_EQ(utc_text(951'782'399), "2000-02-28 23:59:59 UTC");
  EXPECT_EQ(utc_text(951'782'400), "2000-02-29 00:00:00 UTC");
  EXPECT_EQ(utc_text(1'795'917'784), "2026-11-29 02:03:04 UTC");
  EXPECT_EQ(utc_text(253'402'300'799), "9999-12-31 23:59:59 UTC");
  EXPECT_EQ(utc_text(253'402'300'800), "Unix time 253402300800");
  EXPECT_EQ(utc_text(UINT64_MAX), "Unix time 18446744073709551615");
}

}  // namespace
}  // namespace assay
