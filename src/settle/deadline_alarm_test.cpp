#include "settle/deadline_alarm.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace assay::settle {
namespace {

using testing::HasSubstr;

TEST(DeadlineAlarm, SpeaksAtAQuarterAndAtEachHalving) {
  DeadlineAlarm alarm("dispute", 400);
  std::vector<std::uint64_t> spoke;
  for (std::uint64_t now = 1000; now <= 1410; ++now)
    if (alarm.look(Hash{1}, 1400, now)) spoke.push_back(1400 - std::min<std::uint64_t>(now, 1400));
  EXPECT_EQ(spoke, (std::vector<std::uint64_t>{100, 50, 25, 12, 6, 3, 1, 0}));
  // A new deadline of the same dispute, and another dispute, begin anew.
  EXPECT_FALSE(alarm.look(Hash{1}, 1810, 1420));
  EXPECT_TRUE(alarm.look(Hash{1}, 1810, 1750));
  EXPECT_TRUE(alarm.look(Hash{2}, 1810, 1750));
  EXPECT_FALSE(alarm.look(Hash{2}, 1810, 1751));
}

// Of a ledger that does not answer, the last that was known goes on.
TEST(DeadlineAlarm, SpeaksOfWhatItKnowsWhileNothingIsLookedAt) {
  DeadlineAlarm alarm("dispute", 400);
  EXPECT_FALSE(alarm.look(Hash{1}, 1400, 1000));
  alarm.look_again(1350);
  // Said already: not again before half of what was left is gone.
  EXPECT_FALSE(alarm.look(Hash{1}, 1400, 1351));
  EXPECT_TRUE(alarm.look(Hash{1}, 1400, 1375));
}

TEST(DeadlineAlarm, ShowsWhatIsOpenAndHowLongTheNearestHas) {
  DeadlineAlarm alarm("dispute", 400);
  io::Metrics metrics;
  const auto shown = [&](std::uint64_t now) {
    alarm.show(metrics, now);
    return metrics.text();
  };
  const auto expect = [](const std::string& text, int open, int near, const char* left) {
    EXPECT_THAT(text, HasSubstr(fmt::format("assay_deadlines{{of=\"dispute\",state=\"open\"}} {}\n",
                                            open)));
    EXPECT_THAT(text, HasSubstr(fmt::format("assay_deadlines{{of=\"dispute\",state=\"near\"}} {}\n",
                                            near)));
    EXPECT_THAT(text,
                HasSubstr(fmt::format("assay_deadline_left_seconds{{of=\"dispute\"}} {}\n", left)));
  };
  expect(shown(1000), 0, 0, "+Inf");
  alarm.look(Hash{1}, 1400, 1000);
  alarm.look(Hash{2}, 1350, 1000);
  expect(shown(1000), 2, 0, "350");
  // Time goes on, whether or not anybody looks.
  expect(shown(1290), 2, 1, "60");
  expect(shown(1500), 2, 2, "0");
  alarm.met(Hash{2});
  expect(shown(1290), 1, 0, "110");
  alarm.end_round();  // 1 was looked at since the start
  expect(shown(1290), 1, 0, "110");
  alarm.end_round();  // and not since then
  expect(shown(1290), 0, 0, "+Inf");
}

}  // namespace
}  // namespace assay::settle
