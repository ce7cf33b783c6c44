// What buyers say about speed: who may, what it weighs, how long, and what it changes.
#include "market/claimed_latency.hpp"

#include <gtest/gtest.h>

#include "market/ledger_testutil.hpp"
#include "market/ranking.hpp"
#include "market/standing.hpp"

namespace assay::market::test {
namespace {

using namespace protocol;

struct ClaimedLatencyTest : testing::Test {
  World w;
  void SetUp() override { w.fund(); }

  // A lease of somebody who paid so much over it.
  Hash paid(const Party& buyer, Micros amount) {
    w.deposit(buyer, 10'000'000);
    const auto op = w.open_lease(5'000'000, buyer, w.provider, w.payout);
    EXPECT_TRUE(w.run(op));
    const Hash id = operation_id(w.domain(), op);
    if (amount > 0) {
      EXPECT_TRUE(w.run(w.sign(protocol::Settlement{id, amount}, buyer)));
    }
    ++w.time;
    return id;
  }
  void say(const Hash& lease, const Party& buyer, std::uint32_t first_ms, std::uint32_t token_ms) {
    const auto done = w.run(w.speed(lease, 5, first_ms, token_ms, buyer, w.time));
    ASSERT_TRUE(done) << done.error().message;
  }
  ClaimedLatency claimed(std::uint64_t later = 0) {
    const auto all = claimed_latencies(w.state, w.time + later);
    const auto it = all.find(w.provider.address);
    return it == all.end() ? ClaimedLatency{} : it->second;
  }
  void refuse(const Operation& operation, Errc code, std::string_view part) {
    const auto done = w.run(operation);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, code) << done.error().message;
    EXPECT_NE(done.error().message.find(part), std::string::npos) << done.error().message;
  }
};

TEST_F(ClaimedLatencyTest, OnlyABuyerThatPaidSaysSomething) {
  EXPECT_EQ(claimed().buyers, 0u);
  const auto unpaid = paid(w.other, 0);
  refuse(w.speed(unpaid, 1, 1, 1, w.other, w.time), Errc::refused, "was paid on this lease");
  const auto lease = paid(w.buyer, 6);
  refuse(w.speed(lease, 7, 1, 1, w.buyer, w.time), Errc::refused, "not for 7 answers");
  refuse(w.speed(lease, 1, 1, 1, w.other, w.time), Errc::refused, "only the lease's buyer");
  auto forged = w.speed(lease, 1, 1, 1, w.buyer, w.time);
  forged.message.first_token_ms = 9;
  refuse(forged, Errc::mismatch, "signature");
  refuse(w.speed(lease, 0, 1, 1, w.buyer, w.time), Errc::invalid, "no answers");
  refuse(w.speed(lease, 1, 1, 1, w.buyer, w.time + 601), Errc::invalid, "it is");
  auto early = w.speed(lease, 1, 1, 1, w.buyer, w.time).message;
  auto nowhere = early;
  nowhere.lease = Hash{7};
  refuse(w.sign(nowhere, w.buyer), Errc::not_found, "no lease");
  --early.since;
  refuse(w.sign(early, w.buyer), Errc::invalid, "opened at");
  say(lease, w.buyer, 700, 40);
  EXPECT_EQ(claimed().first_token_ms, 700u);
  EXPECT_EQ(claimed().answers, 5u);
}

TEST_F(ClaimedLatencyTest, OneIsCurrentAndTheNextCostsSomething) {
  const auto lease = paid(w.buyer, 100);
  say(lease, w.buyer, 700, 40);
  refuse(w.speed(lease, 5, 600, 30, w.buyer, w.time), Errc::conflict, "the last report is until");
  ++w.time;
  refuse(w.speed(lease, 5, 600, 30, w.buyer, w.time), Errc::conflict, "nothing was paid since");
  ASSERT_TRUE(w.run(w.sign(protocol::Settlement{lease, 101}, w.buyer)));
  say(lease, w.buyer, 600, 30);
  EXPECT_EQ(claimed().first_token_ms, 600u);
  EXPECT_EQ(claimed().per_token_ms, 30u);
  EXPECT_EQ(claimed().answers, 5u);
  // Also after the lease, as long as it may be disputed.
  ASSERT_TRUE(w.run(w.sign(protocol::Settlement{lease, 102}, w.buyer)));
  ASSERT_TRUE(w.run(w.sign(Close{w.provider.address, lease}, w.provider)));
  w.time += w.lease_of(lease).terms.window;
  say(lease, w.buyer, 650, 35);
  EXPECT_EQ(claimed().first_token_ms, 650u);
  ++w.time;
  refuse(w.speed(lease, 5, 1, 1, w.buyer, w.time), Errc::refused, "could be reported on until");
}

TEST_F(ClaimedLatencyTest, TheMedianByWhatWasPaidAndNoBuyerForMore) {
  say(paid(w.buyer, 400'000), w.buyer, 100, 10);
  say(paid(party(6), 300'000), party(6), 5'000, 500);
  EXPECT_EQ(claimed().first_token_ms, 100u);
  // Two halves: the slower.
  say(paid(party(7), 100'000), party(7), 3'000, 20);
  EXPECT_EQ(claimed().first_token_ms, 3'000u);
  EXPECT_EQ(claimed().per_token_ms, 20u);
  EXPECT_EQ(claimed().buyers, 3u);
  // Whoever pays 4.00, over two leases, weighs 1.00; with the first two against it that is half.
  say(paid(party(8), 2'500'000), party(8), 9'000, 900);
  say(paid(party(8), 1'500'000), party(8), 9'000, 900);
  EXPECT_EQ(claimed().buyers, 4u);
  EXPECT_NEAR(static_cast<double>(claimed().weight), 1'800'000.0, 10.0);
  say(paid(party(9), 400'000), party(9), 50, 5);
  EXPECT_EQ(claimed().first_token_ms, 5'000u);
}

TEST_F(ClaimedLatencyTest, IsForgottenAndEndsWithAConviction) {
  const auto lease = paid(w.buyer, 800'000);
  say(lease, w.buyer, 700, 40);
  const auto fresh = claimed().weight;
  EXPECT_NEAR(static_cast<double>(claimed(kHalfLife).weight), static_cast<double>(fresh) / 2, 2.0);
  EXPECT_EQ(claimed(20 * kHalfLife).buyers, 0u);
  EXPECT_EQ(standings(w.state, w.time)[0].latency.first_token_ms, 700u);
  EXPECT_EQ(standings(w.state, w.time)[0].proven_ppm, 0u);  // it is no proof

  auto dear = w.leaf(lease, 1, 10);
  ++dear.receipt.message.amount;
  dear.receipt = w.sign(dear.receipt.message, w.provider);
  ASSERT_TRUE(w.run(w.committed(w.dispute(lease, dear, w.other, 100'000), w.other)));
  EXPECT_EQ(claimed().buyers, 0u);
  ++w.time;
  refuse(w.speed(lease, 5, 1, 1, w.buyer, w.time), Errc::refused, "ended by a conviction");
}

TEST(SpeedOf, BuyersMakeAnOfferSlowerAndNeverFaster) {
  Offer offer;
  offer.first_token_ms = 500;
  offer.per_token_ms = 50;
  Record record;
  EXPECT_EQ(speed_of(offer, record).by, SpeedBy::offer);
  record.claimed_buyers = 2;
  record.claimed_first_token_ms = 100;
  record.claimed_per_token_ms = 10;
  EXPECT_EQ(speed_of(offer, record).by, SpeedBy::offer);
  EXPECT_EQ(speed_of(offer, record).first_token_ms, 500u);
  record.claimed_per_token_ms = 80;
  EXPECT_EQ(to_string(speed_of(offer, record).by), "claimed by buyers");
  EXPECT_EQ(speed_of(offer, record).first_token_ms, 500u);
  EXPECT_EQ(speed_of(offer, record).per_token_ms, 80u);
  record.measured = kMeasuredMin;
  record.first_token_ms = 200;
  record.per_token_ms = 20;
  EXPECT_EQ(speed_of(offer, record).by, SpeedBy::measured);
  EXPECT_EQ(speed_of(offer, record).per_token_ms, 20u);
}

}  // namespace
}  // namespace assay::market::test
