// What a lease owes and how it ends where somebody does not do its part.
#include <atomic>

#include "crypto/merkle_sum.hpp"
#include "market/money.hpp"
#include "services/gateway/gateway_testutil.hpp"

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
