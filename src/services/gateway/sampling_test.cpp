// Sampling fields and log-probabilities between a client, the gateway and its providers.
#include <bit>
#include <gtest/gtest.h>

#include "services/gateway/gateway_testutil.hpp"

namespace assay::services {
namespace {

const json::object& choice_of(const json::object& answer) {
  return answer.at("choices").at(0).as_object();
}

TEST_F(GatewayTest, EverySamplingFieldIsSigned) {
  ScriptedProvider& provider = add_provider({});
  start();
  json::object body = chat_body();
  body["temperature"] = 0.5;
  body["top_k"] = 7;
  body["top_p"] = 0.75;
  body["min_p"] = 0.25;
  body["presence_penalty"] = 1.5;
  body["frequency_penalty"] = -1.5;
  body["repetition_penalty"] = 1.25;
  body["logit_bias"] = {{"9", 2}, {"5", -3}};
  body["seed"] = 77;
  body["logprobs"] = true;
  body["top_logprobs"] = 2;
  const json::object answer = parse_object(post(body).body);
  ASSERT_TRUE(answer.contains("choices")) << json::dump(answer);
  const auto bits = [](float value) { return std::bit_cast<std::uint32_t>(value); };
  const protocol::Request r = provider.requests().back();
  EXPECT_EQ(r.temperature_bits, bits(0.5f));
  EXPECT_EQ(r.top_k, 7u);
  EXPECT_EQ(r.top_p_bits, bits(0.75f));
  EXPECT_EQ(r.min_p_bits, bits(0.25f));
  EXPECT_EQ(r.presence_penalty_bits, bits(1.5f));
  EXPECT_EQ(r.frequency_penalty_bits, bits(-1.5f));
  EXPECT_EQ(r.repetition_penalty_bits, bits(1.25f));
  EXPECT_EQ(r.logit_bias, (std::vector<protocol::LogitBias>{{5, bits(-3.0f)}, {9, bits(2.0f)}}));
  EXPECT_EQ(r.seed, 77u);
  EXPECT_EQ(r.logprobs, 3u);
  EXPECT_EQ(await_stage(receipt_of(answer), "settled").at("audit"), "match");
  body["logit_bias"] = {{"99999", 1}};
  EXPECT_EQ(post(body).status, 400);
}

TEST_F(GatewayTest, LogprobsStreamedAreTheLogprobsOfTheWhole) {
  add_provider({});
  start();
  json::object body = talkative_body();
  body["logprobs"] = true;
  body["top_logprobs"] = 3;
  const json::object whole = parse_object(post(body).body);
  const json::array& content = choice_of(whole).at("logprobs").at("content").as_array();
  EXPECT_FALSE(content.empty());
  body["stream"] = true;
  json::array streamed;
  for (const json::object& chunk : parse_stream(post(body).body).chunks) {
    if (chunk.at("choices").as_array().empty()) continue;
    const json::value& logprobs = choice_of(chunk).at("logprobs");
    if (logprobs.is_null()) continue;
    for (const json::value& entry : logprobs.at("content").as_array()) streamed.push_back(entry);
  }
  EXPECT_EQ(streamed, content);
}

// The client sees one answer with one list, whoever computed which part.
TEST_F(GatewayTest, LogprobsGoOnWithAnotherProvider) {
  add_provider({});
  start();
  json::object body = talkative_body();
  body["logprobs"] = true;
  body["presence_penalty"] = 1;
  const json::object whole = parse_object(post(body).body);
  ScriptedProvider& dies =
      add_provider({.price_in = 100'000, .price_out = 100'000, .die_after = 3});
  const json::object continued = parse_object(post(body).body);
  EXPECT_EQ(dies.calls(), 1);
  EXPECT_EQ(choice_of(continued).at("logprobs"), choice_of(whole).at("logprobs"));
  EXPECT_EQ(choice_of(continued).at("message"), choice_of(whole).at("message"));
}

TEST_F(GatewayTest, AFalseLogprobIsDisputed) {
  ScriptedProvider& liar = add_provider({.false_logprobs = true});
  start();
  json::object body = chat_body();
  body["logprobs"] = true;
  const json::object answer = parse_object(post(body).body);
  ASSERT_TRUE(answer.contains("assay")) << json::dump(answer);
  // No move can show these numbers to be the model's: it falls silent and its time runs out.
  EXPECT_EQ(await_stage(receipt_of(answer), "disputed").at("audit"), "mismatch");
  clock.ms += (static_cast<std::int64_t>(ledger->info()->parameters.move_s) + 1) * 1'000;
  await_stage(receipt_of(answer), "refunded");
  EXPECT_EQ(paid(liar), 0);
}

}  // namespace
}  // namespace assay::services
