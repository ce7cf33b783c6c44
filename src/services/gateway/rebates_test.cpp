// A slow answer costs less where its provider says so by its own hand, and otherwise the provider
// is paid and remembered; wherever the gateway stops, once.
#include "services/gateway/rebates.hpp"

#include "crypto/merkle_sum.hpp"
#include "market/money.hpp"
#include "services/gateway/gateway_testutil.hpp"

namespace assay::services {
namespace {

using Rebates_ = ScriptedProvider::Script::Rebates;

// The ledger through a connection that loses settlements.
struct LossyLedger : FarLedger {
  using FarLedger::FarLedger;
  Result<market::Applied> submit(const market::Operation& operation) override {
    if (std::holds_alternative<protocol::Signed<protocol::Settlement>>(operation))
      return fail(Errc::unavailable, "lost on the way");
    return inner.submit(operation);
  }
};

struct RebatesTest : GatewayTest {
  void SetUp() override {
    GatewayTest::SetUp();
    options.rebate_margin_ms = 50;
    options.audit_rate = 0.0;
  }
  static ScriptedProvider::Script slow(Rebates_ rebates = Rebates_::give) {
    return {.first_token_ms = 150,  // and as much for each 16 tokens of the prompt
            .per_token_ms = 60'000,
            .rebate_ppm = 250'000,
            .waits_ms = 500,
            .rebates = rebates};
  }
  // One answer: its receipt.
  std::string ask() {
    const io::HttpReply reply = post(chat_body());
    EXPECT_EQ(reply.status, 200) << reply.body;
    return receipt_of(parse_object(reply.body));
  }
  Micros amount_of(const std::string& receipt) {
    return *market::parse_money(text_at(await_stage(receipt, "settled"), "amount"));
  }
  json::object rebate(std::size_t index = 0) {
    return get("/assay/rebates").at("data").as_array().at(index).as_object();
  }
  std::size_t listed() { return get("/assay/rebates").at("data").as_array().size(); }
  Micros less(Micros amount) { return amount - amount / 4; }
  bool becomes_paid(const ScriptedProvider& provider, Micros amount) {
    const bool is = soon([&] { return paid(provider) == amount; });
    EXPECT_EQ(paid(provider), amount);
    EXPECT_TRUE(ledger->totals()->conserved());
    return is;
  }
  json::object spending() {
    const auto store = *Store::open_beside(options.data_directory);
    return to_json(store->spending(SpendingBy::provider, 0)->at(0));
  }
};

TEST_F(RebatesTest, ALateAnswerCostsLess) {
  ScriptedProvider& provider = add_provider(slow());
  start();
  const Micros amount = amount_of(ask());
  ASSERT_GT(amount, 4);
  becomes_paid(provider, less(amount));
  const json::object given = rebate();
  EXPECT_EQ(text_at(given, "state"), "accepted");
  EXPECT_EQ(text_at(given, "amount"), market::format_money(amount / 4));
  EXPECT_GE(given.at("first_token_ms").to_number<int>(), 500);
  EXPECT_TRUE(given.at("acceptance").is_object());
  EXPECT_EQ(provider.rebates().size(), 1u);
  EXPECT_EQ(text_at(spending(), "settled"), market::format_money(less(amount)));
  EXPECT_EQ(text_at(spending(), "rebated"), market::format_money(amount / 4));

  // In time: nothing is asked, and the total goes on from what was paid.
  provider.script.waits_ms = 0;
  const Micros next = amount_of(ask());
  becomes_paid(provider, less(amount) + next);
  EXPECT_EQ(listed(), 1u);
  json::object body = chat_body();
  body["provider"] = {{"min_rebate", 50.5}};
  EXPECT_EQ(post(body).status, 400);
  const json::object fitting = get("/assay/screen?min_rebate=25").at("fitting").at(0).as_object();
  EXPECT_EQ(fitting.at("rebate"), 0.25);
  EXPECT_EQ(get("/assay/screen?min_rebate=25.5").at("refused").at(0).at("reasons").at(0).at("text"),
            "rebate 25 % < 25.5 %");
}

TEST_F(RebatesTest, WhoRefusesIsPaidAndRemembered) {
  ScriptedProvider& provider = add_provider(slow(Rebates_::refuse));
  start();
  const Micros amount = amount_of(ask());
  becomes_paid(provider, amount);
  EXPECT_EQ(text_at(rebate(), "state"), "refused");
  EXPECT_NE(text_at(rebate(), "reason").find("in time, I say"), std::string::npos);
  EXPECT_EQ(spending().at("rebates_refused"), 1);
  json::object body = chat_body();
  body["provider"] = {{"min_rebate", 10}};
  for (int i = 0; i < 2; ++i) {
    const io::HttpReply refused = post(body);
    EXPECT_EQ(error_code(refused), "no_provider_fits");
    EXPECT_NE(refused.body.find("rebate 25 % promised, refused 1 of 1 times"), std::string::npos)
        << refused.body;
    start();  // also in the next run
  }
  provider.script.waits_ms = 0;
  EXPECT_EQ(post(chat_body()).status, 200);  // whoever does not ask for one may still use it
}

TEST_F(RebatesTest, AnAcceptanceOfSomethingElseIsNone) {
  ScriptedProvider& provider = add_provider(slow(Rebates_::forge));
  start();
  becomes_paid(provider, amount_of(ask()));
  EXPECT_EQ(text_at(rebate(), "state"), "refused");
}

TEST_F(RebatesTest, WhoDoesNotAnswerIsWaitedForAndPaid) {
  ScriptedProvider& provider = add_provider(slow(Rebates_::silent));
  options.rebate_wait_s = 30;
  start();
  const std::string receipt = ask();
  ASSERT_TRUE(soon([&] { return provider.rebates().size() >= 2; }));
  EXPECT_EQ(text_at(rebate(), "state"), "due");
  EXPECT_EQ(paid(provider), 0);
  clock.ms += 30'000;
  becomes_paid(provider, amount_of(receipt));
  EXPECT_EQ(text_at(rebate(), "state"), "unanswered");
}

// The gateway stops before the answer to its question, after one it never heard, and before the
// payment: each time the next run asks the same, once, and pays the same, once.
TEST_F(RebatesTest, WhereverItStopsItIsGivenOnce) {
  ScriptedProvider& provider = add_provider(slow(Rebates_::silent));
  LossyLedger lossy(*ledger);
  start(&lossy);
  const std::string receipt = ask();
  ASSERT_TRUE(soon([&] { return !provider.rebates().empty(); }));
  gateway.reset();
  const std::size_t asked = provider.rebates().size();
  provider.script.rebates = Rebates_::forget;
  start(&lossy);
  ASSERT_TRUE(soon([&] { return provider.rebates().size() > asked; }));
  EXPECT_EQ(text_at(rebate(), "state"), "due");
  gateway.reset();
  provider.script.rebates = Rebates_::give;
  start(&lossy);
  ASSERT_TRUE(soon([&] { return text_at(rebate(), "state") == "accepted"; }));
  const Micros amount = amount_of(receipt);  // signed, and lost
  EXPECT_EQ(paid(provider), 0);
  const std::size_t often = provider.rebates().size();
  start();
  becomes_paid(provider, less(amount));
  start();
  provider.script.waits_ms = 0;
  becomes_paid(provider, less(amount) + amount_of(ask()));
  EXPECT_EQ(provider.rebates().size(), often);
  for (const protocol::Rebate& r : provider.rebates())
    EXPECT_EQ(protocol::struct_hash(r), protocol::struct_hash(provider.rebates()[0]));
}

// Nobody is charged for a promise broken but the one who broke it, and no bond is put at risk.
TEST_F(RebatesTest, WhoClaimsWhatItGaveUpIsRefusedFromThen) {
  ScriptedProvider& provider = add_provider(slow());
  start();
  const Micros amount = amount_of(ask());
  becomes_paid(provider, less(amount));
  const auto said = provider.outcomes().at(0);
  const auto& receipt = said.receipt.message;
  const auto domain = ledger->info()->domain;
  const auto leaf = *crypto::sum_leaf(protocol::digest(domain, receipt), receipt.amount);
  const auto root = *crypto::merkle_sum_root(std::vector<crypto::SumNode>{leaf});
  const Hash lease = said.call.request.message.lease;
  const auto claim = ledger->submit(sign(protocol::Claim{lease, root.hash, root.sum, 1}, 10));
  ASSERT_TRUE(claim) << claim.error().message;
  ASSERT_TRUE(soon([&] { return text_at(rebate(), "state") == "broken"; }));
  EXPECT_NE(text_at(rebate(), "reason").find("was claimed where"), std::string::npos);
  EXPECT_EQ(ledger->lease(lease)->claim->contest, Hash{});
  for (int i = 0; i < 2; ++i) {
    const io::HttpReply refused = post(chat_body());
    EXPECT_EQ(error_code(refused), "no_provider_fits");
    EXPECT_NE(refused.body.find("rebate_broken"), std::string::npos) << refused.body;
    start();
  }
}

TEST_F(RebatesTest, APlainEndpointElsewhereIsExplainedAndNotCalled) {
  ScriptedProvider& provider = add_provider({.endpoint = "http://192.0.2.1:8790"});
  start();
  const io::HttpReply refused = post(chat_body());
  EXPECT_EQ(error_code(refused), "no_provider_fits");
  EXPECT_NE(refused.body.find("plain_http"), std::string::npos) << refused.body;
  EXPECT_EQ(provider.calls(), 0);
  options.limits.plain_http = true;
  start();
  EXPECT_EQ(get("/assay/screen").at("fitting").as_array().size(), 1u);
}

}  // namespace
}  // namespace assay::services
