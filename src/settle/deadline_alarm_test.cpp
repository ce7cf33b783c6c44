#include "settle/deadline_alarm.hpp"

#include <gtest/gtest.h>

namespace assay::settle {
namespace {

TEST(DeadlineAlarm, SpeaksAtAQuarterAndAtEachHalving) {
  DeadlineAlarm alarm(400);
  std::vector<std::uint64_t> spoke;
  for (std::uint64_t now = 1000; now <= 1410; ++now)
    if (alarm.look("dispute", Hash{1}, 1400, now))
      spoke.push_back(1400 - std::min<std::uint64_t>(now, 1400));
  EXPECT_EQ(spoke, (std::vector<std::uint64_t>{100, 50, 25, 12, 6, 3, 1, 0}));
  // A new deadline of the same dispute, and another dispute, begin anew.
  EXPECT_FALSE(alarm.look("dispute", Hash{1}, 1810, 1420));
  EXPECT_TRUE(alarm.look("dispute", Hash{1}, 1810, 1750));
  EXPECT_TRUE(alarm.look("dispute", Hash{2}, 1810, 1750));
  EXPECT_FALSE(alarm.look("dispute", Hash{2}, 1810, 1751));
}

}  // namespace
}  // namespace assay::settle
