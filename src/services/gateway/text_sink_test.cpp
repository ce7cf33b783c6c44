#include "services/gateway/text_sink.hpp"

#include <bit>
#include <gtest/gtest.h>

#include "services/gateway/gateway_testutil.hpp"

namespace assay::services {
namespace {

using Tokens = std::vector<std::uint32_t>;

// Every token's own log-probability is minus its place; one alternative each.
struct Seen {
  std::string text;
  std::vector<ShownToken> tokens;
};
Seen show(const Tokens& answer, const std::vector<std::string>& stops, std::size_t piece,
          bool logprobs = true) {
  const auto tokenizer = *engine::Tokenizer::from(good_toy().model->gguf());
  Seen out;
  TextSink sink(
      tokenizer, stops, tokenizer.stop_tokens(),
      [&](std::string_view text, std::span<const ShownToken> tokens) {
        EXPECT_FALSE(text.empty() && tokens.empty());
        out.text += text;
        out.tokens.insert(out.tokens.end(), tokens.begin(), tokens.end());
        return true;
      },
      [] { return false; });
  for (std::size_t begin = 0; begin < answer.size(); begin += piece) {
    protocol::TokenEvent event;
    for (std::size_t i = begin; i < std::min(begin + piece, answer.size()); ++i) {
      event.tokens.push_back(answer[i]);
      if (!logprobs) continue;
      const auto own = std::bit_cast<std::uint32_t>(-static_cast<float>(i));
      event.logprobs.insert(event.logprobs.end(), {own, answer[i], own});
    }
    if (!sink.tokens(event)) break;
  }
  sink.finish();
  return out;
}

// "abcacb", a token each.
Tokens letters() {
  const auto tokenizer = *engine::Tokenizer::from(good_toy().model->gguf());
  Tokens out;
  for (const char* letter : {"a", "b", "c", "a", "c", "b"}) {
    const auto id = tokenizer.find(letter);
    EXPECT_TRUE(id) << letter;
    out.push_back(id.value_or(0));
  }
  return out;
}

TEST(TextSink, TokensComeWithTheirTextHoweverTheyAreCut) {
  const Tokens answer = letters();
  for (const std::size_t piece : {1u, 2u, 100u}) {
    const Seen shown = show(answer, {}, piece);
    ASSERT_EQ(shown.tokens.size(), answer.size());
    for (std::size_t i = 0; i < answer.size(); ++i) {
      EXPECT_EQ(shown.tokens[i].token, answer[i]);
      EXPECT_EQ(shown.tokens[i].offset, i);
      EXPECT_EQ(std::bit_cast<float>(shown.tokens[i].logprobs.at(0)), -static_cast<float>(i));
    }
    EXPECT_TRUE(show(answer, {}, piece, false).tokens.empty());
  }
}

TEST(TextSink, AStopStringTakesItsTokensWithIt) {
  const Tokens answer = letters();
  const std::string whole = show(answer, {}, 1).text;
  ASSERT_EQ(whole, "abcacb");
  for (const std::size_t piece : {1u, 2u, 100u}) {
    const Seen shown = show(answer, {whole.substr(2, 2)}, piece);
    EXPECT_EQ(shown.text, whole.substr(0, 2));
    EXPECT_EQ(shown.tokens.size(), 2u);
    // What only began like a stop string comes after all.
    EXPECT_EQ(show(answer, {whole.substr(2) + "~"}, piece).tokens.size(), answer.size());
  }
}

TEST(TextSink, StopTokensAreNotPartOfTheAnswer) {
  const auto tokenizer = *engine::Tokenizer::from(good_toy().model->gguf());
  Tokens answer = letters();
  const std::size_t count = answer.size();
  ASSERT_FALSE(tokenizer.stop_tokens().empty());
  answer.push_back(tokenizer.stop_tokens().front());
  EXPECT_EQ(show(answer, {}, 1).tokens.size(), count);
}

TEST(TokenLogprobs, OpenAIsTwoShapes) {
  const auto tokenizer = *engine::Tokenizer::from(good_toy().model->gguf());
  const Tokens ids = letters();
  const auto half = std::bit_cast<std::uint32_t>(-0.5f), two = std::bit_cast<std::uint32_t>(-2.0f);
  const std::vector<ShownToken> tokens{{ids[0], {two, ids[1], half}, 7}};
  const std::string a = tokenizer.piece(ids[0]), b = tokenizer.piece(ids[1]);
  EXPECT_EQ(json::dump(logprobs_value(ApiRequest::Kind::chat, tokenizer, tokens)),
            fmt::format(R"({{"content":[{{"token":"{}","logprob":-2E0,"bytes":[{}],"top_logprobs":)"
                        R"([{{"token":"{}","logprob":-5E-1,"bytes":[{}]}}]}}],"refusal":null}})",
                        a, int{a[0]}, b, int{b[0]}));
  EXPECT_EQ(json::dump(logprobs_value(ApiRequest::Kind::text, tokenizer, tokens)),
            fmt::format(R"({{"tokens":["{}"],"token_logprobs":[-2E0],"top_logprobs":)"
                        R"([{{"{}":-5E-1}}],"text_offset":[7]}})",
                        a, b));
  EXPECT_TRUE(logprobs_value(ApiRequest::Kind::chat, tokenizer, {}).is_null());
}

}  // namespace
}  // namespace assay::services
