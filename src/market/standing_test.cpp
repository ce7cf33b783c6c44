// Reputation from the ledger alone: what counts, for how much, and how long.
#include "market/standing.hpp"

#include <gtest/gtest.h>

#include "market/audits_testutil.hpp"
#include "market/screen.hpp"

namespace assay::market::test {
namespace {

using namespace protocol;

struct StandingTest : testing::Test {
  AuditWorld w;

  Standing of(const Party& who, std::uint64_t later = 0) {
    for (const auto& s : standings(w.state, w.time + later))
      if (s.provider == who.address) return s;
    return {};
  }
  // One receipt of the lease, audited to the end.
  Hash audit(const ClaimLeaf& leaf, AuditVerdict verdict) {
    const auto id = w.must(w.request_audit(w.lease_id, leaf, 1, kFee, w.buyer));
    w.must(w.beacon());
    const auto who = w.drawn(id);
    w.must(w.audit_commitment(id, who));
    w.reveal(id, who, verdict);
    w.time = w.audit_of(id).check_due;
    w.must(w.settlement(id, w.other));
    return id;
  }
};

TEST_F(StandingTest, OnlyAuditsByDrawnAuditorsCount) {
  w.hire(1);
  EXPECT_EQ(of(w.provider).proven_ppm, 0u);  // leased from, nothing proven
  const auto id = w.start(1);
  EXPECT_EQ(of(w.provider).good_milli, 0u);
  w.reveal(id, w.drawn(id), AuditVerdict::pass);
  EXPECT_EQ(of(w.provider).good_milli, 0u);  // nobody was paid for it yet
  w.time = w.audit_of(id).check_due;
  w.must(w.settlement(id, w.other));
  const auto s = of(w.provider);
  EXPECT_EQ(s.audited, 1u);
  EXPECT_EQ(s.buyers, 1u);
  EXPECT_EQ(s.fees, kFee);
  EXPECT_EQ(s.burned, kFee - kEarned);
  EXPECT_GE(s.good_milli, 998u);  // seconds old
  EXPECT_GT(s.proven_ppm, 450'000u);
  EXPECT_EQ(to_json(s).at("audit_fees"), "0.05");

  // The same receipt again is the same receipt.
  audit(w.leaf_one, AuditVerdict::pass);
  EXPECT_EQ(of(w.provider).audited, 1u);
  EXPECT_EQ(of(w.provider).fees, kFee);
  // No auditor is wrong about another.
  audit(w.leaf(w.lease_id, 2, 10), AuditVerdict::unauditable);
  audit(w.leaf(w.lease_id, 3, 10), AuditVerdict::fail);
  EXPECT_EQ(of(w.provider).audited, 1u);
}

// Buyer, provider and auditor in one hand: what is burned is gone all the same, and only that
// counts.
TEST_F(StandingTest, AnObservationBoughtFromOneselfCostsWhatIsBurned) {
  w.hire(1);
  const auto a = w.auditor(0);
  const auto mine = [&] { return w.account(w.buyer).available + w.account(a).available; };
  w.must(w.registration(a, 1'000));
  auto before = mine();
  audit(w.leaf_one, AuditVerdict::pass);
  EXPECT_EQ(before - mine(), 200);
  EXPECT_EQ(of(w.provider).burned, 200);
  EXPECT_NEAR(static_cast<double>(of(w.provider).good_milli), 100.0, 1.0);
  w.must(w.registration(a, 10'000));
  before = mine();
  audit(w.leaf(w.lease_id, 2, 10), AuditVerdict::pass);
  EXPECT_EQ(before - mine(), kFullBurned);
  EXPECT_NEAR(static_cast<double>(of(w.provider).good_milli), 1'100.0, 1.0);
}

TEST_F(StandingTest, OneBuyerCountsForSoMuch) {
  w.hire(1);
  for (std::uint64_t i = 1; i <= kBuyerMost + 2; ++i)
    audit(w.leaf(w.lease_id, i, 10), AuditVerdict::pass);
  const auto s = of(w.provider);
  EXPECT_EQ(s.audited, kBuyerMost + 2);
  EXPECT_EQ(s.good_milli, kBuyerMost * 1000);
}

TEST_F(StandingTest, HalfIsForgottenEachHalfLife) {
  w.hire(1);
  audit(w.leaf_one, AuditVerdict::pass);
  const auto fresh = of(w.provider).good_milli;
  EXPECT_NEAR(static_cast<double>(of(w.provider, kHalfLife).good_milli),
              static_cast<double>(fresh) / 2, 1.0);
  EXPECT_LT(of(w.provider, kHalfLife).proven_ppm, of(w.provider).proven_ppm);
  EXPECT_EQ(remembered_ppm(0), 1'000'000u);
  EXPECT_EQ(remembered_ppm(kHalfLife / 2), 750'000u);
  EXPECT_EQ(remembered_ppm(3 * kHalfLife), 125'000u);
  EXPECT_EQ(remembered_ppm(UINT64_MAX), 0u);
  for (std::uint64_t age = 0; age < 25 * kHalfLife; age += kHalfLife / 7)
    EXPECT_LE(remembered_ppm(age + kHalfLife / 7), remembered_ppm(age));
}

TEST_F(StandingTest, AConvictionTakesWhatWasPassedAndStays) {
  w.hire(1);
  audit(w.leaf_one, AuditVerdict::pass);
  w.convict(w.lease_id, w.leaf_one);
  auto s = of(w.provider);
  EXPECT_EQ(s.audited, 0u);
  EXPECT_EQ(s.convictions, 1u);
  EXPECT_EQ(s.bad_milli, kConvictionWeight * 1000);
  EXPECT_GT(s.slashed, 0);
  EXPECT_EQ(s.proven_ppm, 0u);
  s = of(w.provider, 10 * kHalfLife);
  EXPECT_EQ(s.bad_milli, kConvictionWeight * 1000);
}

TEST_F(StandingTest, BestProvenFirst) {
  w.hire(1);
  w.deposit(w.other, 20'000'000);
  w.stake(w.other, 10'000'000);
  w.must(w.open_lease(1'000'000, w.buyer, w.other, w.other));
  audit(w.leaf_one, AuditVerdict::pass);
  const auto all = standings(w.state, w.time);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].provider, w.provider.address);
  EXPECT_EQ(all[1].provider, w.other.address);
  EXPECT_EQ(all[1].proven_ppm, 0u);
}

// What a gateway with --reputation makes of it: uncertainty costs, and newcomers get their share
// and no more.
TEST_F(StandingTest, RankingKnowsWhatIsProven) {
  w.hire(1);
  for (std::uint64_t i = 1; i <= kBuyerMost; ++i)
    audit(w.leaf(w.lease_id, i, 10), AuditVerdict::pass);
  w.deposit(w.other, 20'000'000);
  w.stake(w.other, 10'000'000);
  const std::vector<Signed<Offer>> offers{w.offer(w.provider, w.payout), w.offer(w.other, w.other)};
  std::map<Address, ProviderFacts> facts;
  Job job;
  job.prompt_tokens = job.max_tokens = 10;
  const auto read = [&] {
    for (const auto* who : {&w.provider, &w.other}) {
      facts[who->address].account = w.account(*who);
      for (const auto& s : standings(w.state, w.time))
        if (s.provider == who->address) learn(facts[who->address].record, s);
    }
    return screen(offers, job, facts, w.time).fitting;
  };
  auto fitting = read();
  ASSERT_EQ(fitting.size(), 2u);
  EXPECT_EQ(fitting[0].offer.message.provider, w.provider.address);
  EXPECT_FALSE(fitting[0].newcomer);
  EXPECT_GT(fitting[0].reliability_ppm, 890'000u);
  EXPECT_TRUE(fitting[1].newcomer);
  EXPECT_EQ(fitting[1].reliability_ppm, 800'000u);
  EXPECT_GT(fitting[1].score, fitting[0].score * kBand);  // out of the band but for newcomers
  int first = 0;
  for (std::uint64_t draw = 0; draw < 1'000; ++draw) {
    auto copy = fitting;
    spread(copy, draw << 32 | draw);
    if (copy[0].offer.message.provider == w.other.address) ++first;
  }
  EXPECT_EQ(first, 1'000 / static_cast<int>(kNewcomerOneIn));
  // Buyers say that the proven one is slow: its price has to be paid in time, too.
  w.must(w.sign(protocol::Settlement{w.lease_id, 100}, w.buyer));
  w.must(w.speed(w.lease_id, 9, 60'000, 700, w.buyer, w.time));
  fitting = read();
  EXPECT_EQ(fitting[0].offer.message.provider, w.other.address);
  EXPECT_EQ(fitting[1].speed.by, SpeedBy::buyers);
  EXPECT_EQ(to_json(fitting[1]).at("latency"), "claimed by buyers");
}

}  // namespace
}  // namespace assay::market::test
