#include "verify/quote.hpp"

#include <gtest/gtest.h>

namespace assay::verify {
namespace {

using Kind = QuotePart::Kind;
constexpr std::string_view kText = "The fox said \"it's 7.5 degrees\" and left. Then it rained.";

QuoteVerdict verdict(std::string_view quoted, std::string_view text = kText) {
  return compare_quote(quoted, text).verdict;
}
std::string joined(const QuoteComparison& q, Kind kind) {
  std::string out;
  for (const auto& part : q.parts)
    if (part.kind == kind) out += "|" + part.text;
  return out;
}

TEST(Quote, TheWholeTextAndPartsOfIt) {
  EXPECT_EQ(verdict(kText), QuoteVerdict::whole);
  EXPECT_TRUE(compare_quote(kText, kText).exact);
  const auto part = compare_quote("fox said", kText);
  EXPECT_EQ(part.verdict, QuoteVerdict::excerpt);
  EXPECT_TRUE(part.exact);
  EXPECT_EQ(part.before, "The ");
  EXPECT_EQ(part.after, " \"it's 7.5 degrees\" and left. Then it rained.");
  EXPECT_EQ(verdict("ox said"), QuoteVerdict::differs) << "half a word is another word";
  EXPECT_EQ(verdict("said fox"), QuoteVerdict::differs);
}

TEST(Quote, WhatTypographyChangesIsAlike) {
  for (const std::string_view quoted :
       {"The fox said “it’s 7.5 degrees” and left. Then it rained.",
        "The fox said « it’s 7.5 degrees » and left. Then it rained.",
        "The\u00a0fox\n\tsaid „it`s 7.5 degrees‟ and left.\r\n\r\nThen it\u202frained.\n",
        "  \ufeffThe fox said \"it's 7.5 de\u00adgrees\" and left. Then it rained. ",
        "“The fox said ‘it's 7.5 degrees’ and left. Then it rained.”"}) {
    const auto q = compare_quote(quoted, kText);
    if (quoted.contains("‘")) {  // other marks than were signed: shown
      EXPECT_EQ(q.verdict, QuoteVerdict::differs);
      continue;
    }
    EXPECT_EQ(q.verdict, QuoteVerdict::whole) << quoted;
    EXPECT_FALSE(q.exact);
  }
  EXPECT_EQ(verdict("“The fox said it.”", "The fox said it."), QuoteVerdict::whole)
      << "marks around all of the quote are the quoter's";
}

TEST(Quote, AnythingElseIsADifferenceAndShown) {
  const auto q =
      compare_quote("The dog said \"it's 7.5 degrees\" and left. Then it rained.", kText);
  EXPECT_EQ(q.verdict, QuoteVerdict::differs);
  EXPECT_EQ(joined(q, Kind::only_quoted), "| dog");
  EXPECT_EQ(joined(q, Kind::only_signed), "| fox");
  for (const std::string_view quoted :
       {"the fox said", "The fox said it's", "7,5 degrees", "7 .5 degrees", "75 degrees",
        "The fox said \"it's 7.5 degrees\" and left! Then", "-7.5", "not", "rained. Then"})
    EXPECT_EQ(verdict(quoted), QuoteVerdict::differs) << quoted;
}

TEST(Quote, GapsLeaveOutWhatIsShown) {
  const auto good = compare_quote("The fox said […] Then it rained.", kText);
  EXPECT_EQ(good.verdict, QuoteVerdict::excerpt);
  EXPECT_EQ(joined(good, Kind::omitted), "| \"it's 7.5 degrees\" and left.");
  EXPECT_EQ(verdict("Then it […] The fox"), QuoteVerdict::differs) << "in its order";
  EXPECT_EQ(verdict("[…]"), QuoteVerdict::differs) << "no word at all";
  EXPECT_EQ(verdict("The fox … Then"), QuoteVerdict::differs) << "dots alone are text";
}

TEST(Quote, ScriptsWithoutSpaces) {
  constexpr std::string_view text = "首都是维洛利亚。它很美。";
  EXPECT_EQ(verdict("维洛利亚", text), QuoteVerdict::excerpt);
  const auto q = compare_quote("首都是维洛尼亚。", text);
  EXPECT_EQ(q.verdict, QuoteVerdict::differs);
  EXPECT_EQ(joined(q, Kind::only_quoted), "|尼");
  EXPECT_EQ(joined(q, Kind::only_signed), "|利");
}

TEST(Quote, AnyBytes) {
  for (const std::string_view bytes :
       {"", " ", "\xff", "\xe2\x80", "\xf4\x90\x80\x80", "\xc0\xaf", "\"\"\""}) {
    EXPECT_EQ(verdict(bytes), QuoteVerdict::differs);
    EXPECT_EQ(verdict("x", bytes), QuoteVerdict::differs);
    compare_quote(bytes, bytes);
  }
  EXPECT_EQ(verdict("a \xff b", "a \xff b"), QuoteVerdict::whole);
  EXPECT_EQ(verdict("a \xff b", "a \xfe b"), QuoteVerdict::differs);
  EXPECT_EQ(verdict("a", ""), QuoteVerdict::differs);
  // Too long to be compared: said, not tried.
  std::string words;
  for (int i = 0; i < 20000; ++i) words += "w ";
  EXPECT_TRUE(compare_quote(words, words + "x").parts.empty());
}

}  // namespace
}  // namespace assay::verify
