#include "base/repeating.hpp"

#include <gtest/gtest.h>
#include <latch>

namespace assay {
namespace {

constexpr std::int64_t kForEver = 3'600'000;

TEST(Repeating, GoesOnAfterTheRestItAskedFor) {
  std::latch three(3);
  std::atomic<int> steps = 0;
  Repeating repeating;
  repeating.start([&] {
    if (++steps <= 3) three.count_down();
    return steps < 3 ? 0 : kForEver;
  });
  three.wait();
  repeating.stop();
  EXPECT_EQ(steps, 3);
}

TEST(Repeating, AStopNeitherWaitsForARestNorCutsAStepShort) {
  std::latch begun(1);
  std::atomic<bool> whole = false;
  Repeating repeating;
  repeating.start([&] {
    begun.count_down();
    while (!repeating.stopping()) std::this_thread::yield();
    whole = true;
    return kForEver;
  });
  begun.wait();
  EXPECT_FALSE(repeating.stopping());
  repeating.stop();
  EXPECT_TRUE(whole);
  repeating.stop();

  Repeating resting;
  resting.start([] { return kForEver; }, kForEver);
  resting.stop();  // or this test does not end
}

TEST(Repeating, WhatWasNeverStartedStops) { Repeating().stop(); }

}  // namespace
}  // namespace assay
