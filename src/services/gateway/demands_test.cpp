// Answers that were claimed and never sent: the gateway demands them on the ledger.
#include "crypto/merkle_sum.hpp"
#include "crypto/sha256.hpp"
#include "protocol/delivery.hpp"
#include "services/gateway/gateway_testutil.hpp"

namespace assay::services {
namespace {

constexpr std::uint8_t kProvider = 10;
constexpr protocol::Micros kBond = 100'000;

struct DemandTest : GatewayTest {
  ScriptedProvider* provider = nullptr;
  Hash lease{}, demand{};

  Hash submit(const market::Operation& operation) {
    const auto done = ledger->submit(operation);
    EXPECT_TRUE(done) << done.error().message;
    return done ? done->id : Hash{};
  }
  void swallow_one(ScriptedProvider::Script script = {}) {
    script.sends = 0;
    script.forget_receipt = true;
    provider = &add_provider(script);
    start();
    auto body = chat_body();
    body["logprobs"] = true;
    body["top_logprobs"] = 2;
    EXPECT_EQ(post(body).status, 503);
    ASSERT_EQ(provider->outcomes().size(), 1u);
    lease = provider->outcomes()[0].call.request.message.lease;
  }
  // The provider claims; the gateway contests; every leaf is shown. A gateway that starts looks at
  // claims at once.
  void claim_and_open(
      std::vector<market::ClaimLeaf> leaves, const std::function<void()>& contested = [] {}) {
    std::vector<crypto::SumNode> nodes;
    const auto domain = ledger->info()->domain;
    for (const auto& l : leaves)
      nodes.push_back(
          *crypto::sum_leaf(protocol::digest(domain, l.receipt.message), l.receipt.message.amount));
    const auto root = *crypto::merkle_sum_root(nodes);
    submit(
        sign(protocol::Claim{lease, root.hash, root.sum, static_cast<std::uint32_t>(leaves.size())},
             kProvider));
    start();
    ASSERT_TRUE(soon([&] { return ledger->lease(lease)->claim->contest != Hash{}; }));
    contested();
    submit(market::OpenClaim{
        sign(protocol::Answer{provider->address(), ledger->lease(lease)->claim->contest},
             kProvider),
        leaves});
    start();
  }
  void claim_swallowed() {
    const auto outcome = provider->outcomes()[0];
    claim_and_open({{outcome.call.request, outcome.receipt}});
  }
  void await_demand() {
    ASSERT_TRUE(soon([&] { return !ledger->account(provider->address())->open_disputes.empty(); }));
    demand = ledger->account(provider->address())->open_disputes[0];
  }
  void deliver(bool right) {
    const auto outcome = provider->outcomes()[0];
    Bytes sealed =
        protocol::seal_answer(outcome.call.salt_secret, demand, outcome.answer, outcome.logprobs);
    if (!right) sealed.back() ^= 1;
    submit(market::Deliver{
        sign(protocol::Delivery{provider->address(), demand, crypto::sha256(sealed)}, kProvider),
        sealed});
  }
  json::object newest() {
    const auto rows = get("/assay/receipts").at("data").as_array();
    return rows.empty() ? json::object{} : rows[0].as_object();
  }
  void expect_convicted(const json::object& row, std::string_view reason) {
    EXPECT_NE(text_at(row, "reason").find(reason), std::string::npos) << text_at(row, "reason");
    const auto account = *ledger->account(provider->address());
    EXPECT_EQ(account.convictions, 1u);
    EXPECT_EQ(account.stake, 0);
    EXPECT_TRUE(ledger->totals()->conserved());
    EXPECT_EQ(ledger->totals()->bonds, 0);
  }
};

TEST_F(DemandTest, WhatAClaimShowsFirstIsDemandedAuditedAndPaid) {
  swallow_one();
  claim_swallowed();
  await_demand();
  EXPECT_EQ(ledger->dispute(demand)->about, market::DisputeAbout::delivery);
  deliver(true);
  const auto row = await_stage("", "settled");
  EXPECT_EQ(text_at(row, "audit"), "match");
  const auto outcome = provider->outcomes()[0];
  const auto opening =
      protocol::opening_from_text(json::dump(get("/assay/openings/" + text_at(row, "receipt"))));
  ASSERT_TRUE(opening) << opening.error().message;
  EXPECT_EQ(opening->answer, outcome.answer);
  EXPECT_EQ(opening->logprobs, outcome.logprobs);
  EXPECT_FALSE(opening->logprobs.empty());
  // Both bonds are the provider's, who showed and delivered.
  EXPECT_TRUE(soon([&] { return paid(*provider) == outcome.receipt.message.amount + 2 * kBond; }));
  EXPECT_EQ(ledger->dispute(demand)->reason, "the buyer has its answer");
}

TEST_F(DemandTest, NoiseIsReportedAndConvicts) {
  swallow_one();
  claim_swallowed();
  await_demand();
  deliver(false);
  expect_convicted(await_stage("", "refunded"), "log-probabilities delivered are not those");
}

TEST_F(DemandTest, SilenceConvicts) {
  swallow_one();
  claim_swallowed();
  await_demand();
  clock.ms += 3'600'000;
  expect_convicted(await_stage("", "refunded"), "did not deliver the answer in time");
}

// A lie that is delivered is a mismatch like any other.
TEST_F(DemandTest, AWrongAnswerIsDeliveredThenDisputed) {
  swallow_one({.computes = &worse_toy()});
  claim_swallowed();
  await_demand();
  deliver(true);
  const auto row = await_stage("", "refunded");
  EXPECT_EQ(text_at(row, "audit"), "mismatch");
  EXPECT_EQ(ledger->dispute(demand)->outcome, protocol::Outcome::provider_right);
  EXPECT_EQ(ledger->account(provider->address())->convictions, 1u);
}

TEST_F(DemandTest, ABuyerThatWasAwayFindsItsAnswerInTheLog) {
  swallow_one();
  claim_swallowed();
  await_demand();
  gateway.reset();
  deliver(true);
  clock.ms += 3'600'000;
  submit(sign(protocol::Timeout{provider->address(), demand}, kProvider));
  start();
  EXPECT_EQ(text_at(await_stage("", "settled"), "audit"), "match");
}

TEST_F(DemandTest, WhatIsTooSmallIsLeftToTheClaim) {
  options.demand_from = 1'000'000;
  swallow_one();
  claim_swallowed();
  const auto row = await_stage("", "withheld");
  EXPECT_NE(text_at(row, "reason").find("without its answer"), std::string::npos);
  EXPECT_TRUE(ledger->account(provider->address())->open_disputes.empty());
}

// A provider that only was away has it still: no bond is needed.
TEST_F(DemandTest, FirstItIsPickedUp) {
  swallow_one();
  clock.ms += 1'000'000;  // given up
  ASSERT_TRUE(soon([&] { return get("/assay/leases").at("data").at(0).at("free") == "1.00"; }));
  const auto outcome = provider->outcomes()[0];
  claim_and_open({{outcome.call.request, outcome.receipt}}, [&] {
    gateway.reset();
    provider->script.forget_receipt = false;
  });
  await_stage("", "settled");
  EXPECT_TRUE(ledger->account(provider->address())->open_disputes.empty());
  EXPECT_EQ(ledger->lease(lease)->open_disputes.size(), 0u);
  EXPECT_TRUE(soon([&] { return paid(*provider) == outcome.receipt.message.amount + kBond; }));
}

// Half an answer came and was paid for as proven; the claim is for the whole.
TEST_F(DemandTest, TheRestOfAnAnswerIsDemandedAndPaidOnce) {
  provider = &add_provider({.sends = 2, .forget_receipt = true});
  start();
  post(chat_body());
  const auto outcome = provider->outcomes()[0];
  ASSERT_EQ(outcome.answer.size(), 6u);
  lease = outcome.call.request.message.lease;
  clock.ms += 61'000;  // nobody waits longer for its receipt
  ASSERT_EQ(text_at(await_stage("", "settled"), "statement"), "progress");
  ASSERT_TRUE(soon([&] { return paid(*provider) > 0; }));
  const auto part = paid(*provider);
  claim_swallowed();
  await_demand();
  deliver(true);
  ASSERT_TRUE(soon([&] {
    return text_at(newest(), "statement") == "receipt" && text_at(newest(), "stage") == "settled";
  }));
  const auto whole = outcome.receipt.message.amount;
  EXPECT_GT(whole, part);
  EXPECT_TRUE(soon([&] { return paid(*provider) == whole + 2 * kBond; })) << paid(*provider);
  EXPECT_EQ(ledger->lease(lease)->paid, whole);
}

TEST_F(DemandTest, ASecondReceiptForOneRequestConvicts) {
  provider = &add_provider({});
  start();
  ASSERT_EQ(post(chat_body()).status, 200);
  await_stage("", "settled");
  provider->script.sends = 0;
  provider->script.forget_receipt = true;
  EXPECT_EQ(post(chat_body()).status, 503);
  const auto outcomes = provider->outcomes();
  ASSERT_EQ(outcomes.size(), 2u);
  lease = outcomes[0].call.request.message.lease;
  auto second = outcomes[0].receipt.message;
  second.trace_root[0] ^= 1;
  claim_and_open({{outcomes[0].call.request, sign(second, kProvider)},
                  {outcomes[1].call.request, outcomes[1].receipt}});
  EXPECT_TRUE(soon([&] { return ledger->account(provider->address())->convictions == 1; }));
  EXPECT_NE(text_at(await_stage("", "refunded"), "reason").find("two receipts"), std::string::npos);
}

// What is picked up while a claim is looked into need not be what is claimed with: a provider that
// shows one receipt and claims with another has signed two.
TEST_F(DemandTest, AnotherReceiptThanIsClaimedWithConvicts) {
  swallow_one();
  clock.ms += 1'000'000;  // given up
  ASSERT_TRUE(soon([&] { return get("/assay/leases").at("data").at(0).at("free") == "1.00"; }));
  const auto outcome = provider->outcomes()[0];
  auto claimed = outcome.receipt.message;
  claimed.trace_root[0] ^= 1;
  claim_and_open({{outcome.call.request, sign(claimed, kProvider)}}, [&] {
    gateway.reset();
    provider->script.forget_receipt = false;
  });
  EXPECT_TRUE(soon([&] { return ledger->account(provider->address())->convictions == 1; }));
  expect_convicted(await_stage("", "refunded"), "two receipts");
}

// Nothing could be delivered, so nothing is demanded: whether there was no answer is replayed.
TEST_F(DemandTest, AReceiptForNothingIsReplayed) {
  swallow_one({.silent_after = 0});
  const auto outcome = provider->outcomes()[0];
  const auto& request = outcome.call.request.message;
  auto nothing = outcome.receipt.message;
  nothing.count = 0;
  nothing.finish = static_cast<std::uint32_t>(protocol::Finish::fault);
  nothing.tape_root = protocol::tape_root(outcome.call.salt_secret, {});
  nothing.logprobs_root = *protocol::logprobs_root(outcome.call.salt_secret, request, 0, {});
  nothing.amount = *protocol::amount_of(outcome.call.lease.message, request, 0);
  ASSERT_GT(nothing.amount, 0);
  claim_and_open({{outcome.call.request, sign(nothing, kProvider)}});
  ASSERT_TRUE(soon([&] { return !ledger->account(provider->address())->open_disputes.empty(); }));
  const auto dispute = *ledger->dispute(ledger->account(provider->address())->open_disputes[0]);
  EXPECT_EQ(dispute.about, market::DisputeAbout::statement);
  const auto row = await_stage("", "disputed");
  EXPECT_EQ(text_at(row, "audit"), "mismatch");
  clock.ms += 3'600'000;
  EXPECT_TRUE(soon([&] { return ledger->account(provider->address())->convictions == 1; }));
}

}  // namespace
}  // namespace assay::services
