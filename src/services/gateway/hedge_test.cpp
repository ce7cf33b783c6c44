// A second provider for the first token: the same bits, one of the two shown, both paid for what
// they did.
#include <filesystem>

#include "market/money.hpp"
#include "protocol/tokens.hpp"
#include "services/gateway/gateway_testutil.hpp"

namespace assay::services {
namespace {

struct HedgeTest : GatewayTest {
  void SetUp() override {
    GatewayTest::SetUp();
    options.audit_rate = 0.0;
    near = &add_provider({.price_out = 2'000'000});
    far = &add_provider({.price_out = 9'000'000});
    start();
    body = talkative_body();
    body["stream"] = true;
    body["provider"] = {{"hedge_ms", 150}, {"sort", "price"}};
    undisturbed = parse_stream(post(body).body);
    ASSERT_FALSE(undisturbed.text.empty());
    ASSERT_EQ(far->calls(), 0);  // the first one was fast enough
  }
  json::object last_of(const Streamed& stream) {
    for (const json::object& chunk : stream.chunks)
      if (const auto* assay = chunk.if_contains("assay")) return assay->as_object();
    return {};
  }
  void expect_all_settled() {
    ASSERT_TRUE(soon([&] {
      const json::object listed = get("/assay/receipts");
      for (const json::value& row : listed.at("data").as_array())
        if (row.at("stage") != "settled") return false;
      return true;
    }));
    for (ScriptedProvider* provider : {near, far}) {
      protocol::Micros due = 0;
      for (const auto& outcome : provider->outcomes()) due += outcome.receipt.message.amount;
      EXPECT_TRUE(soon([&] { return paid(*provider) == due; })) << paid(*provider) << " " << due;
    }
    EXPECT_TRUE(ledger->totals()->conserved());
  }
  ScriptedProvider *near = nullptr, *far = nullptr;
  json::object body;
  Streamed undisturbed;
};

TEST_F(HedgeTest, TheSecondAnswersWhereTheFirstIsSlow) {
  near->script.waits_ms = 3000;
  const std::int64_t began_ms = io::steady_ms();
  const Streamed hedged = parse_stream(post(body).body);
  EXPECT_LT(io::steady_ms() - began_ms, 2900);
  EXPECT_TRUE(hedged.done);
  EXPECT_EQ(hedged.text, undisturbed.text);
  EXPECT_EQ(far->calls(), 1);
  // The loser was cancelled with its first token, and is paid for that.
  ASSERT_TRUE(soon([&] { return near->outcomes().back().answer.size() <= 2; }));
  expect_all_settled();
  const std::string metrics = [&] {
    io::HttpClient client;
    return client.get(gateway->url() + "/metrics")->body;
  }();
  EXPECT_NE(metrics.find("assay_gateway_hedges_total{first=\"second\"} 1"), std::string::npos);
}

TEST_F(HedgeTest, TheFirstMayStillBeFirst) {
  near->script.waits_ms = 800;
  far->script.waits_ms = 3000;
  const Streamed hedged = parse_stream(post(body).body);
  EXPECT_EQ(hedged.text, undisturbed.text);
  EXPECT_EQ(far->calls(), 1);
  expect_all_settled();
}

TEST_F(HedgeTest, AWinnerThatDiesIsFollowedByAThird) {
  near->script.waits_ms = 3000;
  far->script.die_after = 3;
  add_provider({.price_out = 12'000'000});
  const Streamed hedged = parse_stream(post(body).body);
  EXPECT_TRUE(hedged.done);
  EXPECT_EQ(hedged.text, undisturbed.text);
  EXPECT_EQ(providers[2]->calls(), 1);
  EXPECT_EQ(providers[2]->requests().at(0).continuation, 3u);
}

TEST_F(HedgeTest, HeldAnswersAreHedgedToo) {
  near->script.waits_ms = 3000;
  options.delivery = Delivery::verify_before_stream;
  start();
  const Streamed hedged = parse_stream(post(body).body);
  EXPECT_EQ(hedged.text, undisturbed.text);
  EXPECT_EQ(far->calls(), 1);
}

TEST_F(HedgeTest, OnlyWhereARequestAllowsIt) {
  near->script.waits_ms = 400;
  body["provider"].as_object()["allow_fallbacks"] = false;
  EXPECT_EQ(parse_stream(post(body).body).text, undisturbed.text);
  EXPECT_EQ(far->calls(), 0);
  body["provider"] = {{"sort", "price"}, {"hedge_ms", 0}};
  EXPECT_EQ(parse_stream(post(body).body).text, undisturbed.text);
  EXPECT_EQ(far->calls(), 0);
}

TEST_F(HedgeTest, AQuoteCoversBoth) {
  const json::object quote = parse_object(post(body, "/assay/quote").body);
  EXPECT_EQ(quote.at("hedge_ms"), 150);
  EXPECT_EQ(quote.at("providers").as_array().size(), 2u);
  body["provider"] = {{"sort", "price"}};
  const json::object plain = parse_object(post(body, "/assay/quote").body);
  EXPECT_TRUE(plain.at("hedge_ms").is_null());
  const auto money = [](const json::object& o) { return *market::parse_money(text_at(o, "most")); };
  EXPECT_GT(money(quote), 2 * money(plain));
}

// The loser's provider is gone: what the winner gave is the answer all the same.
TEST_F(HedgeTest, AskedAgainTheWinnersAnswerIsEnough) {
  near->script.waits_ms = 1000;
  options.pick_up_ms = 200;
  body.erase("stream");
  io::HttpClient client;
  const auto keyed = [&] {
    return *client.post_json(gateway->url() + "/v1/chat/completions", json::dump(body),
                             {{"Idempotency-Key", "hedged"}});
  };
  const io::HttpReply first = keyed();
  ASSERT_EQ(first.status, 200) << first.body;
  gateway.reset();
  near->stop();
  std::filesystem::remove_all(options.data_directory + "/answers");
  start();
  const io::HttpReply again = keyed();
  ASSERT_EQ(again.status, 200) << again.body;
  EXPECT_EQ(text_of(parse_object(again.body)), text_of(parse_object(first.body)));
  EXPECT_EQ(far->calls(), 1);
}

}  // namespace
}  // namespace assay::services
