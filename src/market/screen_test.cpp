// Screening: every refusal has its reason, the rest is ranked.
#include "market/screen.hpp"

#include <gtest/gtest.h>

#include "market/ledger_testutil.hpp"

namespace assay::market::test {
namespace {

struct ScreenTest : testing::Test {
  World w;
  Job job;
  std::vector<Signed<Offer>> offers;
  std::map<Address, ProviderFacts> facts;
  void SetUp() override {
    job.names = {"tern"};
    job.prompt_tokens = 100;
    job.max_tokens = 100;
    for (std::uint8_t i = 10; i < 13; ++i) add(party(i), 4'000'000 + i);
  }
  void add(const Party& p, Micros price_out) {
    auto o = w.offer(p, w.payout).message;
    o.vram_mib = 8192;
    o.first_token_ms = 200;
    o.per_token_ms = 20;
    o.models[0].price_out = price_out;
    o.models[0].quantization = "Q8_0";
    offers.push_back(w.sign(o, p));
    facts[p.address].account.stake = 10'000'000;
    facts[p.address].account.exposure_limit = 30'000'000;
  }
  Screening run() { return screen(offers, job, facts, w.time); }
  // Everybody is refused for exactly this reason.
  void expect_all(Reason code, std::string_view text) {
    const auto s = run();
    EXPECT_TRUE(s.fitting.empty());
    ASSERT_EQ(s.refused.size(), 3u);
    ASSERT_EQ(s.refused[0].reasons.size(), 1u);
    EXPECT_EQ(s.refused[0].reasons[0].code, code);
    EXPECT_EQ(s.refused[0].reasons[0].text, text);
  }
};

TEST_F(ScreenTest, RanksByPriceThenRecordThenStake) {
  for (auto& o : offers) {
    auto m = o.message;
    m.models[0].price_out = 4'000'000;
    o = w.sign(m, o.message.provider == party(10).address   ? party(10)
                  : o.message.provider == party(11).address ? party(11)
                                                            : party(12));
  }
  facts[party(12).address].record.served = 10;
  facts[party(11).address].account.stake = 20'000'000;
  auto s = run();
  ASSERT_EQ(s.fitting.size(), 3u);
  EXPECT_EQ(s.fitting[0].offer.message.provider, party(12).address);
  EXPECT_EQ(s.fitting[1].offer.message.provider, party(11).address);
  EXPECT_EQ(s.fitting[0].expected_price, 200 + 400);
  std::ranges::reverse(offers);
  const auto again = run();
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(again.fitting[i].offer.message.provider, s.fitting[i].offer.message.provider);
  add(party(13), 3'000'000);
  EXPECT_EQ(run().fitting[0].offer.message.provider, party(13).address);
}

TEST_F(ScreenTest, EveryRefusalSaysWhy) {
  const auto fresh = job;
  job.min_vram_mib = 24576;
  expect_all(Reason::vram, "VRAM 8 < 24 GiB");
  job = fresh;
  job.names = {"crow"};
  expect_all(Reason::model, "does not offer model 'crow'");
  job = fresh;
  job.execution = Hash{};
  expect_all(Reason::execution, "offers 'tern' with another execution id");
  job = fresh;
  job.max_tokens = 4'000;
  expect_all(Reason::context, "context 4096 < 4100 tokens");
  job = fresh;
  job.max_price_out = 4'000'000;
  EXPECT_EQ(run().refused[0].reasons[0].code, Reason::price_out);
  job = fresh;
  job.max_price_in = 1'990'000;
  expect_all(Reason::price_in, "price in 2.00 > ceiling 1.99 per million");
  job = fresh;
  job.max_first_token_ms = 100;
  expect_all(Reason::first_token, "first token 200 ms claimed > 100 ms");
  job = fresh;
  job.max_per_token_ms = 19;
  expect_all(Reason::per_token, "per token 20 ms claimed > 19 ms");
  job = fresh;
  job.quantizations = {"Q4_K_M"};
  expect_all(Reason::quantization, "quantization 'Q8_0' is not one of Q4_K_M");
  job = fresh;
  job.evidence = true;
  expect_all(Reason::evidence, "shows no hardware evidence");
  job = fresh;
  job.regions = {"us", "ap"};
  expect_all(Reason::region, "region 'eu' is not one of us, ap");
  job = fresh;
  job.min_stake = 10'000'001;
  expect_all(Reason::stake, "stake 10.00 < 10.000001");
  job = fresh;
  job.escrow = 31'000'000;
  expect_all(Reason::exposure, "exposure 31.00 > limit 30.00 of stake 10.00");
  job = fresh;
  job.min_rebate_ppm = 125'000;
  expect_all(Reason::rebate, "rebate 0 % < 12.5 %");
  job = fresh;
  job.only = {party(99).address};
  expect_all(Reason::not_listed, "not one of the 1 providers asked for");
  job = fresh;
  job.ignore = {party(10).address, party(11).address, party(12).address};
  expect_all(Reason::ignored, "on the list of ignored providers");
  job = fresh;
  w.time += 101;
  expect_all(Reason::expired, "offer expired 1 s ago");
}

TEST_F(ScreenTest, TheSameNameIsNotTheSameModel) {
  const auto& sold = offers[0].message.models[0];
  job.identity = protocol::ExecutionId{sold.weights_root, sold.program_hash, sold.canon};
  job.names = {"another name"};
  EXPECT_EQ(run().fitting.size(), 3u);  // the execution decides, whatever it is called
  job.identity->weights_root[0] ^= 1;
  expect_all(Reason::model, "does not offer model 'another name'");
  job.names = {"tern"};
  EXPECT_EQ(run().refused[0].reasons[0].code, Reason::weights);
  EXPECT_TRUE(run().refused[0].reasons[0].text.starts_with("offers 'tern' with other weights: 0x"));
  job.identity->weights_root[0] ^= 1;
  job.identity->program_hash[0] ^= 1;
  expect_all(Reason::program,
             "offers 'tern' with another program (tokenizer, template or hyper-parameters)");
  for (const Reason reason : {Reason::model, Reason::execution, Reason::weights, Reason::program})
    EXPECT_TRUE(sells_something_else(reason));
  EXPECT_FALSE(sells_something_else(Reason::canon));
}

TEST_F(ScreenTest, WhatWasMeasuredOutweighsWhatIsClaimed) {
  Reputation reputation;
  const auto provider = party(10).address;
  for (std::uint32_t i = 0; i < kMeasuredMin; ++i) {
    reputation.measured(provider, 900, 30);
    facts[provider].record = reputation.of(provider);
    job.max_first_token_ms = 500;
    EXPECT_EQ(run().refused.size(), i + 1 < kMeasuredMin ? 0u : 1u) << i;
  }
  EXPECT_EQ(run().refused[0].reasons[0].text, "first token 900 ms measured > 500 ms");
}

TEST_F(ScreenTest, APromiseThatIsNotKeptIsWorthNothing) {
  auto m = offers[0].message;
  m.rebate_ppm = 200'000;
  offers = {w.sign(m, party(10))};
  const auto provider = party(10).address;
  Reputation reputation;
  job.min_rebate_ppm = 200'000;
  EXPECT_EQ(run().fitting.size(), 1u);
  const std::uint32_t before = run().fitting.at(0).reliability_ppm;

  reputation.rebate(provider, Reputation::RebateEnd::refused);
  facts[provider].record = reputation.of(provider);
  ASSERT_EQ(run().refused.size(), 1u);
  EXPECT_EQ(run().refused[0].reasons.at(0).text, "rebate 20 % promised, refused 1 of 1 times");
  job.min_rebate_ppm = 0;
  EXPECT_LT(run().fitting.at(0).reliability_ppm, before);  // and it comes later for everybody
  job.min_rebate_ppm = 200'000;
  for (int i = 0; i < 3; ++i) reputation.rebate(provider, Reputation::RebateEnd::kept);
  facts[provider].record = reputation.of(provider);
  EXPECT_EQ(run().fitting.size(), 1u);

  reputation.rebate(provider, Reputation::RebateEnd::broken);
  facts[provider].record = reputation.of(provider);
  ASSERT_EQ(run().refused.size(), 1u);
  EXPECT_EQ(run().refused[0].reasons.at(0).code, Reason::rebate_broken);
  EXPECT_EQ(run().refused[0].reasons.at(0).text,
            "claimed what it had given up by signature, 1 times");
}

TEST(Screen, RebatesAreWrittenAsPercent) {
  EXPECT_EQ(*parse_rebate("12.5"), 125'000u);
  EXPECT_EQ(*parse_rebate("0"), 0u);
  EXPECT_EQ(*parse_rebate("50"), protocol::kRebateMax);
  for (const std::string_view wrong : {"50.0001", "-1", "", "ten", "10%", "9223372036854"})
    EXPECT_FALSE(parse_rebate(wrong)) << wrong;
}

TEST_F(ScreenTest, APromptDoesNotCrossANetworkInTheClear) {
  for (const std::string_view here :
       {"http://127.0.0.1:8790", "http://127.9.9.9", "http://localhost:1/path", "http://[::1]:80",
        "https://a.example", "https://127.0.0.1.example"})
    EXPECT_FALSE(is_in_the_clear(here)) << here;
  for (const std::string_view there :
       {"http://a.example:8790", "http://10.0.0.1", "http://localhost.example", "http://[::2]:1",
        "http://127.a.example", "http://127.0.0.1@a.example", "http://a.example/127.0.0.1",
        "http://"})
    EXPECT_TRUE(is_in_the_clear(there)) << there;
  for (auto& offer : offers) offer.message.endpoint = "http://a.example:8790";
  EXPECT_EQ(run().fitting.size(), 3u);
  job.plain_http = false;
  expect_all(Reason::plain_http, "its endpoint is not on this machine and has no TLS");
}

TEST_F(ScreenTest, EvidenceThatNobodyCanCheckIsNone) {
  auto m = offers[0].message;
  m.evidence = Hash{1};
  offers = {w.sign(m, party(10))};
  job.evidence = true;
  ASSERT_EQ(run().refused.size(), 1u);
  EXPECT_EQ(run().refused[0].reasons[0].text,
            "shows hardware evidence that cannot be checked here");
}

TEST_F(ScreenTest, ConvictedAndUnknownAreRefused) {
  Reputation reputation;
  reputation.served(party(10).address);
  reputation.convicted(party(10).address, "position 12 differs");
  facts[party(10).address].record = reputation.of(party(10).address);
  facts.erase(party(11).address);
  const auto s = run();
  ASSERT_EQ(s.fitting.size(), 1u);
  ASSERT_EQ(s.refused.size(), 2u);
  std::map<Address, Refusal> by;
  for (const auto& r : s.refused) by[r.provider] = r.reasons.at(0);
  EXPECT_EQ(by[party(10).address].text, "convicted: position 12 differs");
  EXPECT_EQ(by[party(11).address].code, Reason::ledger_unknown);
}

TEST_F(ScreenTest, ExplainsInOneLine) {
  job.min_vram_mib = 24576;
  const auto text = explain(run());
  EXPECT_TRUE(text.starts_with("no provider fits: 0x")) << text;
  EXPECT_NE(text.find("(VRAM 8 < 24 GiB); 0x"), std::string::npos) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos);
  offers.clear();
  EXPECT_EQ(explain(run()), "no provider fits: there is no offer on the board");
}

}  // namespace
}  // namespace assay::market::test
