#include "services/gateway/stop_strings.hpp"

#include <gtest/gtest.h>

namespace assay::services {
namespace {

struct Shown {
  std::string text;
  bool stopped;
  bool operator==(const Shown&) const = default;
};

Shown feed(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  StopTrimmer trimmer(stops);
  std::string text;
  for (const std::string& piece : pieces) text += trimmer.push(piece);
  text += trimmer.finish();
  return {text, trimmer.stopped()};
}

TEST(StopTrimmer, ShowsEverythingWithoutStops) {
  EXPECT_EQ(feed({}, {"ab", "", "c"}), (Shown{"abc", false}));
  EXPECT_EQ(StopTrimmer({}).push("abc"), "abc");
}

TEST(StopTrimmer, HoldsBackOnlyWhatMayBecomeAStop) {
  StopTrimmer trimmer({"END"});
  EXPECT_EQ(trimmer.push("the EN"), "the ");
  EXPECT_EQ(trimmer.push("GINE E"), "ENGINE ");
  EXPECT_EQ(trimmer.push("ND more"), "");
  EXPECT_TRUE(trimmer.stopped());
  EXPECT_EQ(trimmer.push("never"), "");
  EXPECT_EQ(trimmer.finish(), "");
}

TEST(StopTrimmer, WhatWasHeldIsShownAtTheEnd) {
  EXPECT_EQ(feed({"\n\n"}, {"a\n"}), (Shown{"a\n", false}));
}

TEST(StopTrimmer, OverlappingPrefixes) {
  EXPECT_EQ(feed({"aab"}, {"a", "a", "a", "b", "c"}), (Shown{"a", true}));
  EXPECT_EQ(feed({"abab!"}, {"ababab!"}), (Shown{"ab", true}));
}

// The same text gives the same answer however it is cut.
TEST(StopTrimmer, EveryCutOfAShortTextAgrees) {
  const std::vector<std::vector<std::string>> stop_sets = {
      {"b"}, {"abc", "b"}, {"bc", "c"}, {"aa", "aab"}, {"cab", "ab"}, {"abcab"}};
  for (const std::string& text :
       std::vector<std::string>{"aabcab", "abcabc", "ccaabb", "abababc", "aaaaab"}) {
    for (const auto& stops : stop_sets) {
      const Shown whole = feed(stops, {text});
      for (unsigned cuts = 0; cuts < 1u << (text.size() - 1); ++cuts) {
        std::vector<std::string> pieces(1);
        for (std::size_t i = 0; i < text.size(); ++i) {
          pieces.back() += text[i];
          if (i + 1 < text.size() && (cuts >> i & 1u) != 0) pieces.emplace_back();
        }
        ASSERT_EQ(feed(stops, pieces), whole) << text << " cut " << cuts;
      }
    }
  }
}

}  // namespace
}  // namespace assay::services
