// A promise kept: what is given for a slow answer, refused for one in time, and never claimed.
#include "services/provider/rebate_desk.hpp"

#include "services/provider/provider_testutil.hpp"

namespace assay::services {
namespace {

constexpr std::uint32_t kPromisedMs = 500;

// The engine, after a nap.
class Sleepy : public Computer {
 public:
  std::atomic<std::uint32_t> nap_ms{0};
  Result<RunResult> run(const protocol::InferenceCall& call, const Hash& request_id,
                        engine::Batcher& engine, engine::Batcher::Place place,
                        std::uint32_t progress_tokens, const RunEvents& events) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(nap_ms));
    return Computer::run(call, request_id, engine, std::move(place), progress_tokens, events);
  }
};

struct RebateDeskTest : testing::Test {
  World world;
  std::shared_ptr<Sleepy> sleepy = std::make_shared<Sleepy>();
  std::unique_ptr<ProviderService> service;
  Hash lease{};

  void SetUp() override {
    world.first_token_ms = kPromisedMs;
    world.per_token_ms = 1000;
    world.rebate_ppm = 250'000;
    world.computer = sleepy;
    start(0);
    lease = world.open_lease(1'000'000, 1000);
  }
  void start(std::uint32_t allowance_ms) {
    service.reset();
    ProviderOptions options = world.options();
    options.rebate_allowance_ms = allowance_ms;
    service = *world.start(options);
  }
  Reply answer(const protocol::InferenceCall& call, std::uint32_t nap_ms) {
    sleepy->nap_ms = nap_ms;
    Reply reply = World::infer(service->url(), call);
    world.expect_sound(call, reply);
    return reply;
  }
  io::HttpReply ask(const protocol::RebateCall& call) {
    return *World::post_rebate(service->url(), call);
  }
};

TEST_F(RebateDeskTest, GivenForALateAnswerAndNeverClaimed) {
  const auto late = world.call(lease, 1), prompt = world.call(lease, 2);
  const Reply slow = answer(late, kPromisedMs + 50);
  const Reply fast = answer(prompt, 0);
  const auto call = world.rebate(late, slow.receipt->message, kPromisedMs + 60);

  const io::HttpReply given = ask(call);
  ASSERT_EQ(given.status, 200) << given.body;
  const auto acceptance = *protocol::signed_from_json<protocol::RebateAcceptance>(
      json::parse(given.body)->get_object());
  EXPECT_TRUE(protocol::check_acceptance(world.info.domain, late.lease.message, call.rebate.message,
                                         acceptance));
  // Once: the same again is the same, also later, and another one is none.
  EXPECT_EQ(ask(call).body, given.body);
  start(0);
  EXPECT_EQ(ask(call).body, given.body);
  EXPECT_EQ(ask(world.rebate(late, slow.receipt->message, kPromisedMs + 61)).status, 409);
  // By its own clock the other one was in time, whatever the buyer says.
  const io::HttpReply refused = ask(world.rebate(prompt, fast.receipt->message, 60'000));
  EXPECT_EQ(refused.status, 403);
  EXPECT_NE(refused.body.find("by this provider's clock"), std::string::npos) << refused.body;
  auto forged = call;
  forged.rebate = protocol::sign(world.info.domain, call.rebate.message, world.provider);
  EXPECT_GE(ask(forged).status, 400);
  auto unknown = call;
  unknown.rebate.message.request[0] ^= 1;
  EXPECT_EQ(ask(unknown).status, 404);

  const protocol::Micros rebate = call.rebate.message.amount;
  const protocol::Micros owed =
      slow.receipt->message.amount + fast.receipt->message.amount - rebate;
  EXPECT_EQ(service->totals()->rebated, rebate);
  world.clock.advance_s(1001);
  ASSERT_TRUE(eventually([&] { return world.lease(lease).claim.has_value(); }));
  EXPECT_EQ(world.lease(lease).claim->total, owed);
  EXPECT_EQ(world.lease(lease).claim->count, 2u);
  // Too late: the claim counts the receipt in full.
  EXPECT_EQ(ask(world.rebate(prompt, fast.receipt->message, 60'000)).status, 403);
  const protocol::Dispute dispute{crypto::address_of(world.buyer), lease,
                                  world.lease(lease).claim->id, 100'000, 5};
  ASSERT_TRUE(world.ledger->submit(
      market::ContestClaim{protocol::sign(world.info.domain, dispute, world.buyer)}));
  ASSERT_TRUE(eventually([&] { return world.lease(lease).claim->opened; }));
  world.clock.advance_s(60);
  ASSERT_TRUE(eventually([&] { return world.lease(lease).state == market::LeaseState::closed; }));
  EXPECT_EQ(world.lease(lease).paid, owed);
  EXPECT_TRUE(world.ledger->totals()->conserved());
}

TEST_F(RebateDeskTest, SettledLessARebateThereIsNothingToClaim) {
  const auto late = world.call(lease, 1);
  const Reply slow = answer(late, kPromisedMs + 50);
  const auto call = world.rebate(late, slow.receipt->message, kPromisedMs + 60);
  ASSERT_EQ(ask(call).status, 200);
  const protocol::Settlement pay{lease, slow.receipt->message.amount - call.rebate.message.amount};
  ASSERT_TRUE(world.ledger->submit(protocol::sign(world.info.domain, pay, world.buyer)));
  world.clock.advance_s(1001);
  ASSERT_TRUE(eventually([&] { return world.lease(lease).state == market::LeaseState::closed; }));
  EXPECT_EQ(world.lease(lease).paid, pay.cumulative);
}

TEST_F(RebateDeskTest, WhatIsClaimedIsNotGivenUp) {
  const auto late = world.call(lease, 1);
  const Reply slow = answer(late, kPromisedMs + 50);
  world.clock.advance_s(1001);
  ASSERT_TRUE(eventually([&] { return world.lease(lease).claim.has_value(); }));
  EXPECT_EQ(ask(world.rebate(late, slow.receipt->message, kPromisedMs + 60)).status, 409);
  world.clock.advance_s(21);
  ASSERT_TRUE(eventually([&] { return world.lease(lease).state == market::LeaseState::closed; }));
  EXPECT_EQ(world.lease(lease).paid, slow.receipt->message.amount);
}

TEST_F(RebateDeskTest, TheNetworkIsAllowedWhatTheOptionsSay) {
  const auto call = world.call(lease, 1);
  const Reply reply = answer(call, 100);
  const auto rebate = world.rebate(call, reply.receipt->message, kPromisedMs + 1);
  EXPECT_EQ(ask(rebate).status, 403);
  start(kPromisedMs - 90);  // by more than the answer was early
  EXPECT_EQ(ask(rebate).status, 200);
}

TEST_F(RebateDeskTest, TheOfferPromisesWhatTheOptionsSay) {
  ProviderOptions options = world.options();
  options.rebate_ppm = 123'000;
  options.first_token_ms = 77;
  service.reset();
  service = *world.start(options);
  const auto offer = world.ledger->offers()->at(0).message;
  EXPECT_EQ(offer.rebate_ppm, 123'000u);
  EXPECT_EQ(offer.first_token_ms, 77u);
  EXPECT_GE(offer.per_token_ms, 2u);  // measured, and twice that
  EXPECT_EQ(offer.per_token_ms % 2, 0u);
}

}  // namespace
}  // namespace assay::services
