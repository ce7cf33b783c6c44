// What a lease owes and how it ends where somebody does not do its part.
#include <atomic>

#include "crypto/merkle_sum.hpp"
#include "market/money.hpp"
#include "services/gateway/gateway_testutil.hpp"
#include "services/gateway/store.hpp"

namespace assay::services {
namespace {

constexpr std::uint8_t kLeaseBuyer = 2, kLeaseProvider = 10;

// Disputes do not get through.
struct DeafLedger : FarLedger {
  using FarLedger::FarLedger;
  Result<market::Applied> submit(const market::Operation& operation) override {
    if (std::holds_alternative<protocol::Signed<protocol::CommitDispute>>(operation))
      return fail(Errc::unavailable, "lost on the way");
    return inner.submit(operation);
  }
  Result<market::LeaseView> lease(const Hash& id) override {
    auto view = inner.lease(id);
    if (view && view->claim) ++claims_seen;
    return view;
  }
  std::atomic<int> claims_seen{0};
};

// A receipt that is disputed is still one that the provider may claim with: to contest the claim
// would lose the bond as soon as it is opened.
TEST_F(GatewayTest, AClaimOfWhatIsDisputedIsNotContested) {
  ScriptedProvider& provider = add_provider({.false_finish = true});
  DeafLedger deaf(*ledger);
  start(&deaf);
  post(chat_body());
  await_stage("", "mismatch");
  const auto outcome = provider.outcomes()[0];
  const auto& receipt = outcome.receipt.message;
  const Hash lease = outcome.call.request.message.lease;
  const auto leaf =
      *crypto::sum_leaf(protocol::digest(ledger->info()->domain, receipt), receipt.amount);
  ASSERT_TRUE(ledger->submit(sign(
      protocol::Claim{lease, crypto::merkle_sum_root(std::vector{leaf})->hash, receipt.amount, 1},
      kLeaseProvider)));
  for (int rounds = 0; rounds < 2; ++rounds) {
    deaf.claims_seen = 0;
    start(&deaf);  // a gateway that starts looks at claims at once
    ASSERT_TRUE(soon([&] { return deaf.claims_seen > 0; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
  EXPECT_EQ(ledger->lease(lease)->claim->contest, Hash{});
  gateway.reset();
}

// A false amount is no reason to believe a claim for it: no more counts than was ever allowed.
TEST_F(GatewayTest, NoMoreThanTheCapIsExpectedToBeClaimed) {
  ScriptedProvider& provider = add_provider({.overcharges = true});
  DeafLedger deaf(*ledger);
  start(&deaf);
  post(chat_body());
  const auto row = await_stage("", "mismatch");
  const auto cap = provider.requests()[0].cap;
  EXPECT_EQ(text_at(row, "amount"), market::format_money(cap));
  gateway.reset();
}

// The provider closed it, as one that rests does, and refuses what comes in it: the ledger agrees,
// and the same request is asked again in a lease of today.
TEST_F(GatewayTest, ALeaseThatItsProviderClosedIsReplacedAtOnce) {
  ScriptedProvider& provider = add_provider({});
  start();
  const json::object first = parse_object(post(chat_body()).body);
  await_stage(receipt_of(first), "settled");
  ASSERT_TRUE(soon([&] { return paid(provider) > 0; }));
  const Hash lease = provider.requests()[0].lease;
  ASSERT_TRUE(ledger->submit(
      sign(protocol::Close{.account = provider.address(), .lease = lease}, kLeaseProvider)));
  const io::HttpReply reply = post(chat_body());
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_FALSE(parse_object(reply.body).at("assay").as_object().contains("earlier"));
  const Hash another = provider.requests().back().lease;
  EXPECT_NE(another, lease);
  const json::object paid_for = await_stage(receipt_of(parse_object(reply.body)), "settled");
  ASSERT_TRUE(soon([&] { return ledger->lease(another)->paid > 0; }));
  EXPECT_EQ(paid(provider), ledger->lease(lease)->paid + ledger->lease(another)->paid);
  EXPECT_EQ(text_at(paid_for, "amount"), text_at(first.at("assay").as_object(), "amount"));
  const auto store = *Store::open_beside(options.data_directory);
  EXPECT_EQ(store->lease(lease)->stage, LeaseStage::ended);
  // What was refused counts against nothing: only the two answers were bought.
  EXPECT_EQ(*store->spent({}), paid(provider));
  EXPECT_TRUE(ledger->totals()->conserved());
}

TEST_F(GatewayTest, TheLedgerIsAskedWhichLeasesHaveEnded) {
  ScriptedProvider& provider = add_provider({});
  start();
  await_stage(receipt_of(parse_object(post(chat_body()).body)), "settled");
  ASSERT_TRUE(soon([&] { return paid(provider) > 0; }));
  const Hash lease = provider.requests()[0].lease;
  ASSERT_TRUE(ledger->submit(
      sign(protocol::Close{.account = provider.address(), .lease = lease}, kLeaseProvider)));
  start();
  const auto store = *Store::open_beside(options.data_directory);
  ASSERT_TRUE(soon([&] { return store->lease(lease)->stage == LeaseStage::ended; }));
  EXPECT_TRUE(soon([&] { return store->lease(lease)->returned; }));
  EXPECT_EQ(post(chat_body()).status, 200);
  EXPECT_EQ(provider.calls(), 2);  // nothing was refused
}

// What is owed in a lease is paid by the claim, and the rest of it used again afterwards.
TEST_F(GatewayTest, ALeaseWithAClaimPendingRests) {
  ScriptedProvider& provider = add_provider({});
  options.audit_rate = 0.0;
  options.settle_hold_s = 1'000'000;
  start();
  post(chat_body());
  const auto outcome = provider.outcomes()[0];
  const auto& receipt = outcome.receipt.message;
  const Hash lease = outcome.call.request.message.lease;
  const auto leaf =
      *crypto::sum_leaf(protocol::digest(ledger->info()->domain, receipt), receipt.amount);
  const auto claimed = ledger->submit(sign(
      protocol::Claim{lease, crypto::merkle_sum_root(std::vector{leaf})->hash, receipt.amount, 1},
      kLeaseProvider));
  ASSERT_TRUE(claimed) << claimed.error().message;
  ASSERT_EQ(post(chat_body()).status, 200);
  EXPECT_NE(provider.requests().back().lease, lease);
  const auto store = *Store::open_beside(options.data_directory);
  EXPECT_EQ(store->lease(lease)->stage, LeaseStage::open);
  clock.ms += 1000 * static_cast<std::int64_t>(ledger->lease(lease)->terms.window + 1);
  ASSERT_TRUE(ledger->submit(sign(
      protocol::Finalize{.account = provider.address(), .claim = claimed->id}, kLeaseProvider)));
  EXPECT_EQ(ledger->lease(lease)->paid, receipt.amount);
}

// Nobody says that a dispute about the lease is over: its buyer does, and has its escrow back.
TEST_F(GatewayTest, WhatIsOverByTheClockHoldsNoEscrow) {
  ScriptedProvider& provider = add_provider({});
  start();
  post(chat_body());
  await_stage("", "settled");
  gateway.reset();
  const auto outcome = provider.outcomes()[0];
  const Hash lease = outcome.call.request.message.lease;
  const auto terms = ledger->lease(lease)->terms;
  clock.ms = static_cast<std::int64_t>(terms.expires) * 1000;
  const auto demand = ledger->submit(market::DemandDelivery{
      sign(protocol::Demand{.buyer = crypto::address_of(test_key(kLeaseBuyer)),
                            .lease = lease,
                            .subject =
                                protocol::digest(ledger->info()->domain, outcome.receipt.message),
                            .bond = 100'000,
                            .nonce = 1},
           kLeaseBuyer),
      {outcome.call.request, outcome.receipt}});
  ASSERT_TRUE(demand) << demand.error().message;
  clock.ms += static_cast<std::int64_t>(terms.window) * 1000 + 1000;
  ASSERT_GE(static_cast<std::uint64_t>(clock.now_s()), ledger->dispute(demand->id)->due);
  start();
  EXPECT_TRUE(
      soon([&] { return ledger->dispute(demand->id)->state == market::DisputeState::decided; }));
  EXPECT_TRUE(soon([&] { return ledger->lease(lease)->state != market::LeaseState::open; }));
  EXPECT_EQ(ledger->lease(lease)->escrow, 0);
  EXPECT_TRUE(ledger->totals()->conserved());
}

}  // namespace
}  // namespace assay::services
