#include "services/gateway/token_logprobs.hpp"

#include <bit>
#include <gtest/gtest.h>
#include <limits>

#include "engine/gguf_testutil.hpp"

namespace assay::services {
namespace {

// A token that a filter removed has probability 0. JSON knows no infinity, and a client that reads
// null where a number belongs breaks.
TEST(TokenLogprobs, MinusInfinityIsANumberClientsCanRead) {
  const auto bits = [](float value) { return std::bit_cast<std::uint32_t>(value); };
  const float never = -std::numeric_limits<float>::infinity();
  const Bytes file = engine::toy_model();
  const auto tokenizer = *engine::Tokenizer::from(*engine::Gguf::parse(file));
  const ShownToken shown{
      .token = 8, .logprobs = {bits(never), 9, bits(-0.5f), 10, bits(never)}, .offset = 0};
  const json::value chat = logprobs_value(ApiRequest::Kind::chat, tokenizer, {&shown, 1});
  const json::value& entry = chat.at("content").at(0);
  EXPECT_EQ(entry.at("logprob"), json::value(-9999.0));
  EXPECT_EQ(entry.at("top_logprobs").at(0).at("logprob"), json::value(-0.5));
  EXPECT_EQ(entry.at("top_logprobs").at(1).at("logprob"), json::value(-9999.0));
  const json::value text = logprobs_value(ApiRequest::Kind::text, tokenizer, {&shown, 1});
  EXPECT_EQ(text.at("token_logprobs").at(0), json::value(-9999.0));
  for (const json::value* value : {&chat, &text}) {
    const std::string written = json::dump(*value);
    EXPECT_EQ(written.find("inf"), std::string::npos) << written;
    EXPECT_EQ(written.find("1e99999"), std::string::npos) << written;
    EXPECT_EQ(*json::parse(written), *value);
  }
}

}  // namespace
}  // namespace assay::services
