// What a stranger may ask a provider, and what is refused by name.
#include "services/provider/x402_ask.hpp"

#include <bit>
#include <gtest/gtest.h>

namespace assay::services {
namespace {

constexpr std::string_view kChat = R"({"model":"tern","messages":[{"role":"user","content":"Hi"}])";

std::string chat(std::string_view more) { return fmt::format("{}{}}}", kChat, more); }

std::string refusal(const Result<X402Ask>& ask) {
  return ask ? "read" : std::string(to_string(ask.error().code));
}

TEST(X402Ask, WhatIsReadIsWhatWasAsked) {
  const auto plain = x402_ask_from_chat(chat(""));
  ASSERT_TRUE(plain) << plain.error().message;
  EXPECT_EQ(plain->model, "tern");
  ASSERT_EQ(std::get<0>(plain->prompt).size(), 1u);
  EXPECT_EQ(std::get<0>(plain->prompt)[0].content, "Hi");
  EXPECT_EQ(plain->max_tokens, 256u);
  EXPECT_FALSE(plain->seed);
  EXPECT_EQ(plain->sampling.temperature_bits, std::bit_cast<std::uint32_t>(1.0f));

  const auto ask = x402_ask_from_chat(chat(
      R"(,"max_completion_tokens":7,"temperature":-0.0,"top_p":0.5,"seed":9,"stream":false,"n":1)"));
  ASSERT_TRUE(ask) << ask.error().message;
  EXPECT_EQ(ask->max_tokens, 7u);
  EXPECT_EQ(ask->sampling.temperature_bits, 0u);  // one zero only
  EXPECT_EQ(ask->sampling.top_p_bits, std::bit_cast<std::uint32_t>(0.5f));
  EXPECT_EQ(ask->seed, 9u);

  const auto text = x402_ask_from_text(R"({"model":"tern","prompt":"2 + 2 =","max_tokens":null})");
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(std::get<1>(text->prompt), "2 + 2 =");
}

TEST(X402Ask, WhatOnlyAGatewaySpeaksIsSaid) {
  for (const char* more :
       {R"(,"stream":true)", R"(,"stream":1)", R"(,"n":2)", R"(,"tools":[])", R"(,"logprobs":true)",
        R"(,"stop":["x"])", R"(,"response_format":{})", R"(,"provider":{})"})
    EXPECT_EQ(refusal(x402_ask_from_chat(chat(more))), "unsupported") << more;
  EXPECT_EQ(refusal(x402_ask_from_chat(
                R"({"model":"a","messages":[{"role":"user","content":"Hi","name":"b"}]})")),
            "unsupported");
}

TEST(X402Ask, WhatIsWrongIsAnError) {
  for (const char* more :
       {R"(,"max_tokens":0)", R"(,"max_tokens":-1)", R"(,"max_tokens":1.5)", R"(,"max_tokens":"5")",
        R"(,"max_tokens":4294967296)", R"(,"temperature":-0.1)", R"(,"temperature":2.1)",
        R"(,"temperature":"1")", R"(,"top_p":0)", R"(,"top_p":1.01)", R"(,"top_p":1e-60)",
        R"(,"seed":-1)", R"(,"seed":18446744073709551616)", R"(,"prompt":"x")"})
    EXPECT_NE(refusal(x402_ask_from_chat(chat(more))), "read") << more;
  for (const char* body : {"", "[]", "null", "{", R"({"messages":[]})", R"({"model":"a"})",
                           R"({"model":"a","messages":[]})", R"({"model":"a","messages":[1]})",
                           R"({"model":"a","messages":[{"role":"user"}]})",
                           R"({"model":"a","messages":[{"role":"user","content":[]}]})",
                           R"({"model":1,"messages":[{"role":"user","content":"x"}]})"})
    EXPECT_NE(refusal(x402_ask_from_chat(body)), "read") << body;
  for (const char* body : {R"({"model":"a"})", R"({"model":"a","prompt":["x"]})",
                           R"({"model":"a","prompt":"x","messages":[]})"})
    EXPECT_NE(refusal(x402_ask_from_text(body)), "read") << body;
}

}  // namespace
}  // namespace assay::services
