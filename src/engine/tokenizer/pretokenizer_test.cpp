#include "engine/tokenizer/pretokenizer.hpp"

#include <gtest/gtest.h>
#include <numeric>
#include <set>

namespace assay::engine {
namespace {

using Words = std::vector<std::string>;

Words split(std::string_view rule, std::string_view text) {
  const CodePoints points(text);
  Words out;
  std::size_t at = 0;
  for (const std::size_t length : split_words(rule, points)) {
    std::string word;
    for (std::size_t i = 0; i < length; ++i) append_utf8(word, points.codes[at++]);
    out.push_back(word);
  }
  return out;
}

TEST(PreTokenizer, Gpt2) {
  EXPECT_EQ(split("gpt-2", "I'm  sure!\n\n ok 12a\t x  "),
            (Words{"I", "'m", " ", " sure", "!", "\n\n", " ok", " 12", "a", "\t", " x", "  "}));
  EXPECT_EQ(split("gpt-2", "it'S we'll"), (Words{"it", "'", "S", " we", "'ll"}));
}

TEST(PreTokenizer, LlamaAndQwen) {
  EXPECT_EQ(split("llama-bpe", "it'S (a) 12345 !!\n\n  \n x\ty"),
            (Words{"it", "'S", " (", "a", ")", " ", "123", "45", " !!\n\n", "  \n", " x", "\ty"}));
  EXPECT_EQ(split("qwen2", "a12 3"), (Words{"a", "1", "2", " ", "3"}));
  EXPECT_EQ(split("qwen2", "e\xcc\x81x"), (Words{"e", "\xcc\x81x"}));
  EXPECT_EQ(split("qwen35", "e\xcc\x81x"), (Words{"e\xcc\x81x"}));
  EXPECT_EQ(split("llama-bpe", "!\n"), (Words{"!\n"}));
  EXPECT_EQ(split("seed-coder", "!\n"), (Words{"!", "\n"}));
}

TEST(PreTokenizer, DigitsOneByOneInThreesOrNot) {
  EXPECT_EQ(split("starcoder", " 123"), (Words{" ", "1", "2", "3"}));
  EXPECT_EQ(split("falcon", " 12345"), (Words{" ", "123", "45"}));
  EXPECT_EQ(split("default", " 12345"), (Words{" ", "123", "45"}));
  EXPECT_EQ(split("deepseek-llm", "a12345"), (Words{"a", "12345"}));
  EXPECT_EQ(split("deepseek-coder", "a12"), (Words{"a", "1", "2"}));
  EXPECT_EQ(split("deepseek-v3", "a12345"), (Words{"a", "123", "45"}));
}

TEST(PreTokenizer, FalconIsolatesSigns) {
  EXPECT_EQ(split("falcon", "a+`b"), (Words{"a", "+`", "b"}));
  EXPECT_EQ(split("default", "a+`b"), (Words{"a", "+", "`", "b"}));
}

TEST(PreTokenizer, DeepSeek) {
  EXPECT_EQ(split("deepseek-llm", "\xe4\xb8\xad ab! \r\n  "),
            (Words{"\xe4\xb8\xad", " ab", "!", " ", "\r", "\n", "  "}));
  EXPECT_EQ(split("deepseek-coder", "x \xc3\xa9(\xe4\xb8\xad)"),
            (Words{"x", " \xc3\xa9", "(", "\xe4\xb8\xad", ")"}));
  EXPECT_EQ(split("deepseek-v3", "#include x+y\x01\x02"),
            (Words{"#include", " x", "+y", "\x01\x02"}));
}

TEST(PreTokenizer, EveryRuleCoversAnyText) {
  const std::string_view text = "a'S 1\xff\xc3\xa9\xe2\x80\x83  12345!\r\n\t\xf0\x9f\xa6\x99 \x01";
  const CodePoints points(text);
  std::set<std::string_view> names;
  for (const PreTokenizer& pre : pre_tokenizers()) {
    EXPECT_TRUE(names.insert(pre.name).second) << pre.name;
    EXPECT_EQ(find_pre_tokenizer(pre.name)->rule, pre.rule);
    const auto words = split_words(pre.rule, points);
    for (const std::size_t length : words) EXPECT_GT(length, 0u);
    EXPECT_EQ(std::accumulate(words.begin(), words.end(), std::size_t{0}), points.codes.size());
    EXPECT_TRUE(split_words(pre.rule, CodePoints("")).empty());
  }
}

TEST(Unicode, ClassesOfLandmarks) {
  const std::pair<std::uint32_t, CharClass> landmarks[] = {
      {0, CharClass::other},         {'\t', CharClass::space},    {' ', CharClass::space},
      {'!', CharClass::punctuation}, {'$', CharClass::symbol},    {'0', CharClass::number},
      {'A', CharClass::letter},      {0x85, CharClass::space},    {0xa0, CharClass::space},
      {0xaa, CharClass::letter},     {0xb2, CharClass::number},   {0x301, CharClass::mark},
      {0x200b, CharClass::other},    {0x3000, CharClass::space},  {0x4e00, CharClass::letter},
      {0x2ffc, CharClass::symbol},   {0xd800, CharClass::other},  {0x1f600, CharClass::symbol},
      {0x2ebf0, CharClass::letter},  {0x323b0, CharClass::other}, {0x10ffff, CharClass::other}};
  for (const auto& [code, want] : landmarks) EXPECT_EQ(char_class(code), want) << std::hex << code;
}

}  // namespace
}  // namespace assay::engine
