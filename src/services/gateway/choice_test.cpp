// How a request chooses: order, sort, replicas, evidence, measured latency; and what it would cost.
#include <gtest/gtest.h>
#include <set>

#include "market/money.hpp"
#include "services/gateway/gateway_testutil.hpp"

namespace assay::services {
namespace {

struct ChoiceTest : GatewayTest {
  // Who answered.
  std::string answered(const json::object& provider) {
    json::object body = chat_body();
    body["provider"] = provider;
    const io::HttpReply reply = post(body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply.status == 200
               ? text_at(parse_object(reply.body).at("assay").as_object(), "provider")
               : "";
  }
  static std::string name(const ScriptedProvider& provider) {
    return provider.address().to_string();
  }
};

TEST_F(ChoiceTest, OrderOnlyAndIgnoreDecide) {
  ScriptedProvider& cheap = add_provider({.price_in = 100'000, .price_out = 100'000});
  ScriptedProvider& dear = add_provider({});
  start();
  EXPECT_EQ(answered({}), name(cheap));
  EXPECT_EQ(answered({{"order", json::array{name(dear)}}}), name(dear));
  EXPECT_EQ(answered({{"only", json::array{name(dear)}}}), name(dear));
  EXPECT_EQ(answered({{"ignore", json::array{name(cheap)}}}), name(dear));
  EXPECT_EQ(answered({{"sort", "price"}}), name(cheap));
}

TEST_F(ChoiceTest, ThoseAboutAsGoodShareTheLoad) {
  ScriptedProvider& a = add_provider({});
  ScriptedProvider& b = add_provider({});
  start();
  for (int i = 0; i < 60 && (a.calls() == 0 || b.calls() == 0); ++i) answered({});
  EXPECT_GT(a.calls(), 0);
  EXPECT_GT(b.calls(), 0);
}

TEST_F(ChoiceTest, ReplicasAgreeBeforeAnythingIsShown) {
  ScriptedProvider& a = add_provider({});
  ScriptedProvider& b = add_provider({});
  options.audit_rate = 0.0;
  start();
  json::object body = chat_body();
  body["verification"] = "replicate:2";
  const json::object answer = parse_object(post(body).body);
  EXPECT_EQ(a.calls() + b.calls(), 2);
  ASSERT_EQ(answer.at("assay").at("earlier").as_array().size(), 1u) << json::dump(answer);
  const std::set<std::string> who = {
      text_at(answer.at("assay").as_object(), "provider"),
      text_at(answer.at("assay").at("earlier").at(0).as_object(), "provider")};
  EXPECT_EQ(who, (std::set{name(a), name(b)}));
  EXPECT_EQ(text_of(answer), text_of(parse_object(post(chat_body()).body)));
  body["verification"] = "replicate:3";
  const io::HttpReply reply = post(body);
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(error_code(reply), "too_few_replicas");
}

TEST_F(ChoiceTest, AReplicaThatLiesIsFoundAndNotShown) {
  ScriptedProvider& cheat = add_provider({.computes = &worse_toy()});
  ScriptedProvider& honest = add_provider({});
  options.audit_rate = 0.0;
  start();
  json::object body = chat_body();
  body["verification"] = "replicate:2";
  const io::HttpReply reply = post(body);
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json::object answer = parse_object(reply.body);
  EXPECT_EQ(answer.at("assay").at("provider"), json::value(name(honest)));
  EXPECT_EQ(answer.at("assay").at("earlier").at(0).at("provider"), json::value(name(cheat)));
  EXPECT_EQ(answer.at("assay").at("earlier").at(0).at("audit"), "mismatch");
  EXPECT_TRUE(soon([&] { return ledger->account(cheat.address())->convictions == 1; }));
}

TEST_F(ChoiceTest, HardwareEvidenceIsRefusedWhileNobodyCanCheckIt) {
  add_provider({});
  start();
  json::object body = chat_body();
  body["provider"] = {{"verification", "tee"}};
  const io::HttpReply reply = post(body);
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(error_code(reply), "no_provider_fits");
  const auto error = parse_object(reply.body).at("error").as_object();
  EXPECT_EQ(error.at("refused").at(0).at("reasons").at(0).at("code"), "evidence");
  EXPECT_EQ(error.at("relaxation").at("change").at("verification"), "audit");
}

TEST_F(ChoiceTest, LatencyIsClaimedUntilItIsMeasured) {
  add_provider({});
  start();
  const auto row = [&] { return get("/assay/screen?model=toy").at("fitting").at(0).as_object(); };
  EXPECT_EQ(row().at("latency"), "claimed");
  for (std::uint32_t i = 0; i < market::kMeasuredMin; ++i) answered({});
  EXPECT_EQ(row().at("latency"), "measured");
  EXPECT_GT(row().at("reliability").as_double(), 0.8);
}

// One figure for the answers of a lease, once some were paid; and what another buyer makes of it.
TEST_F(ChoiceTest, WhatWasMeasuredIsSaidOnTheLedger) {
  ScriptedProvider& provider = add_provider({});
  options.audit_rate = 0.0;
  options.settle_hold_s = 0;
  options.latency_report_s = 1;
  start();
  for (std::uint32_t i = 0; i < market::kMeasuredMin; ++i) answered({});
  protocol::Micros due = 0;
  for (const auto& outcome : provider.outcomes()) due += outcome.receipt.message.amount;
  ASSERT_TRUE(soon([&] { return paid(provider) == due; }));
  const auto reports = [&] {
    std::vector<protocol::LatencyReport> out;
    EXPECT_TRUE(ledger->read_log(1, [&](const settle::LogRow& row) -> Status {
      TRY(const auto body, json::parse(row.body));
      const auto operation = market::operation_from_json(body.as_object());
      if (!operation) return std::unexpected(operation.error());
      if (const auto* said = std::get_if<protocol::Signed<protocol::LatencyReport>>(&*operation))
        out.push_back(said->message);
      return {};
    }));
    return out;
  };
  clock.ms += 10'000;
  ASSERT_TRUE(soon([&] { return !reports().empty(); }));
  const auto said = reports().front();
  EXPECT_EQ(said.buyer, ledger->lease(said.lease)->terms.buyer);
  EXPECT_EQ(said.answers, market::kMeasuredMin);
  EXPECT_GE(said.since, ledger->lease(said.lease)->opened);
  EXPECT_EQ(ledger->lease(said.lease)->terms.provider, provider.address());
  // Nothing more is said until something more is paid.
  clock.ms += 10'000;
  std::this_thread::sleep_for(std::chrono::milliseconds(1'200));
  EXPECT_EQ(reports().size(), 1u);
}

TEST_F(ChoiceTest, AConvictionInTheLogIsKnownToABuyerThatNeverMetIt) {
  ScriptedProvider& cheat = add_provider({.computes = &worse_toy(), .price_in = 1, .price_out = 1});
  start();
  const std::string receipt = receipt_of(parse_object(post(chat_body()).body));
  await_stage(receipt, "refunded");
  // It comes back with new stake; the same buyer forgets everything, and reads the log.
  deposit(cheat.address(), 5'000'000);
  ASSERT_TRUE(ledger->submit(sign(
      protocol::Stake{.account = cheat.address(), .amount = 5'000'000, .nonce = ++nonce}, 10)));
  options.data_directory = folder.file("another");
  const auto reliability = [&] {
    return get("/assay/screen?model=toy").at("fitting").at(0).at("reliability").as_double();
  };
  start();
  EXPECT_EQ(reliability(), 0.8);
  bool broken = false;
  options.ledger_log = [&](std::uint64_t from) -> Result<std::string> {
    std::string out;
    CHECK_OK(ledger->read_log(from, [&](const settle::LogRow& row) -> Status {
      out += settle::to_line(row);
      return {};
    }));
    if (broken) out.replace(out.find("signature"), 9, "sigmature");
    return out;
  };
  start();
  EXPECT_TRUE(soon([&] { return reliability() < 0.15; }));
  // A log that does not replay teaches nothing.
  broken = true;
  options.data_directory = folder.file("third");
  start();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(reliability(), 0.8);
}

TEST_F(ChoiceTest, AuditedAlwaysWhereTheRequestSaysSo) {
  add_provider({});
  options.audit_rate = 0.0;
  start();
  json::object body = chat_body();
  EXPECT_EQ(parse_object(post(body).body).at("assay").at("audit"), "not_drawn");
  body["provider"] = {{"verification", "audit"}};
  EXPECT_EQ(parse_object(post(body).body).at("assay").at("audit"), "pending");
}

TEST_F(ChoiceTest, AQuoteCostsNothingAndHolds) {
  ScriptedProvider& provider = add_provider({});
  options.audit_rate = 0.25;
  start();
  const io::HttpReply reply = post(chat_body(), "/assay/quote");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json::object quote = parse_object(reply.body);
  EXPECT_EQ(provider.calls(), 0);
  EXPECT_EQ(quote.at("audit_rate"), 0.25);
  EXPECT_EQ(quote.at("audited_by"), "this gateway");
  EXPECT_EQ(quote.at("providers").at(0).at("provider"), json::value(name(provider)));
  const auto money = [](const json::value& text) {
    return *market::parse_money(std::string_view(text.as_string()));
  };
  const json::object answer = parse_object(post(chat_body()).body);
  EXPECT_LE(money(answer.at("assay").at("amount")), money(quote.at("most")));
  EXPECT_GE(money(answer.at("assay").at("amount")), money(quote.at("answer_least")));
  json::object body = chat_body();
  body["n"] = 3;
  const json::object three = parse_object(post(body, "/assay/quote").body);
  for (const char* sum : {"most", "answer_least", "expected"})
    EXPECT_EQ(money(three.at(sum)), 3 * money(quote.at(sum))) << sum;
  EXPECT_EQ(three.at("held"), quote.at("held"));  // in one lease
  body.erase("n");
  body["provider"] = {{"max_price", {{"completion", "0.01"}}}};
  EXPECT_EQ(error_code(post(body, "/assay/quote")), "no_provider_fits");
}

}  // namespace
}  // namespace assay::services
