// Claims, contests, disputes, slashes.
#include <gtest/gtest.h>

#include "market/ledger_testutil.hpp"
#include "market/statements.hpp"
#include "protocol/tokens.hpp"

namespace assay::market::test {
namespace {

using namespace protocol;

struct DisputeTest : testing::Test {
  World w;
  Hash lease;
  void SetUp() override {
    w.fund();
    lease = w.lease(5'000'000);
  }
  void expect_refused(const Operation& operation, Errc code, std::string_view words) {
    const auto result = w.run(operation);
    ASSERT_FALSE(result) << kind_of(operation);
    EXPECT_EQ(result.error().code, code) << result.error().message;
    EXPECT_NE(result.error().message.find(words), std::string::npos) << result.error().message;
  }
  Hash must(const Operation& operation) {
    const auto result = w.run(operation);
    EXPECT_TRUE(result) << kind_of(operation) << ": " << result.error().message;
    return result ? result->id : Hash{};
  }
  // Three receipts: 250 prompt tokens and 100,000 to 300,000 answer tokens.
  std::vector<ClaimLeaf> leaves() {
    return {w.leaf(lease, 1, 100'000), w.leaf(lease, 2, 200'000), w.leaf(lease, 4, 300'000)};
  }
  FileDispute filed(const ClaimLeaf& leaf, const Party& by, Micros bond = 100'000) {
    return w.committed(w.dispute(lease, leaf, by, bond), by);
  }
  void convict(const Hash& id) { must(w.move(id, "wrong", w.provider)); }
  ReportEquivocation reported(const Signed<Request>& request, Statement first, Statement second,
                              const Party& by) {
    return w.committed(w.equivocation(lease, request, std::move(first), std::move(second), by), by);
  }
  ContestClaim contest(const Hash& claim) {
    return {w.sign(Dispute{w.buyer.address, lease, claim, 100'000, w.nonce()}, w.buyer)};
  }
};
constexpr Micros kClaimed = 3 * 500 + 600'000 * 4;  // the sum of leaves()

TEST_F(DisputeTest, ClaimIsPaidAfterItsWindow) {
  const auto all = leaves();
  const auto claim = must(w.claim(lease, all, w.provider));
  const auto finalize = w.sign(Finalize{w.other.address, claim}, w.other);
  expect_refused(finalize, Errc::refused, "window ends");
  expect_refused(w.sign(Close{w.provider.address, lease}, w.provider), Errc::refused,
                 "claim is pending");
  expect_refused(w.claim(lease, std::span(all).first(2), w.provider), Errc::refused, "is pending");
  w.time += 100;
  must(finalize);
  EXPECT_EQ(w.account(w.payout).available, kClaimed);
  EXPECT_EQ(w.lease_of(lease).paid, kClaimed);
  EXPECT_FALSE(w.lease_of(lease).claim);
  must(w.sign(Close{w.provider.address, lease}, w.provider));
  EXPECT_EQ(w.account(w.buyer).available, 100'000'000 - kClaimed);
}

TEST_F(DisputeTest, SettlementAnswersAClaim) {
  const auto claim = must(w.claim(lease, leaves(), w.provider));
  must(w.sign(protocol::Settlement{lease, 1'000'000}, w.buyer));
  EXPECT_TRUE(w.lease_of(lease).claim);
  w.time += 100;
  must(w.sign(Finalize{w.provider.address, claim}, w.provider));
  EXPECT_EQ(w.account(w.payout).available, kClaimed);
  // The next claim is cumulative too, and a settlement that covers it makes it moot.
  auto more = leaves();
  more.push_back(w.leaf(lease, 5, 100'000));
  must(w.claim(lease, more, w.provider));
  must(w.sign(protocol::Settlement{lease, kClaimed + 400'500}, w.buyer));
  EXPECT_FALSE(w.lease_of(lease).claim);
}

TEST_F(DisputeTest, ClaimLimits) {
  expect_refused(w.claim(lease, leaves(), w.buyer), Errc::mismatch, "signature");
  expect_refused(w.sign(Claim{lease, {}, 5'000'001, 1}, w.provider), Errc::refused,
                 "escrow too small");
  expect_refused(w.sign(Claim{lease, {}, 1, 0}, w.provider), Errc::invalid, "without receipts");
  expect_refused(w.sign(Claim{lease, {}, 0, 1}, w.provider), Errc::conflict, "not above");
  w.time += 401;
  expect_refused(w.claim(lease, leaves(), w.provider), Errc::refused, "claims ended");
}

TEST_F(DisputeTest, ContestedClaimIsOpenedAndTheBondIsLost) {
  const auto all = leaves();
  const auto claim = must(w.claim(lease, all, w.provider));
  w.time += 60;
  const auto id = must(contest(claim));
  EXPECT_EQ(w.state.totals.bonds, 100'000);
  EXPECT_EQ(w.lease_of(lease).claim->due, w.time + 100);  // a whole window to answer
  const Answer answer{w.provider.address, id};
  const auto open = [&](std::vector<ClaimLeaf> shown) {
    return OpenClaim{w.sign(answer, w.provider), std::move(shown)};
  };
  expect_refused(open({all[0], all[1]}), Errc::refused, "3 receipts, 2 were shown");
  expect_refused(open({all[0], all[1], all[1]}), Errc::refused, "each once");
  expect_refused(open({all[0], all[1], w.leaf(lease, 4, 299'999)}), Errc::refused, "add up");
  auto forged = w.leaf(lease, 4, 300'000);
  forged.request = w.request(lease, 4, w.provider);  // the buyer never asked
  expect_refused(open({all[0], all[1], forged}), Errc::mismatch, "signature");
  auto other_tape = w.leaf(lease, 4, 300'000);
  other_tape.receipt = w.receipt(other_tape.request, 300'000, w.provider, 9);
  expect_refused(open({all[0], all[1], other_tape}), Errc::mismatch, "root");
  must(open(all));
  EXPECT_EQ(w.account(w.payout).available, 100'000);
  EXPECT_EQ(dispute_view(w.state, id)->outcome, Outcome::provider_right);
  expect_refused(contest(claim), Errc::conflict, "contested already");
  w.time += 100;
  must(w.sign(Finalize{w.provider.address, claim}, w.provider));
  EXPECT_EQ(w.account(w.payout).available, 100'000 + kClaimed);
}

TEST_F(DisputeTest, AClaimMayAskForLessThanItsReceiptsAddUpTo) {
  const auto all = leaves();
  auto less = w.claim(lease, all, w.provider).message;
  less.total -= 123'456;  // a rebate it gave (protocol/rebates.hpp)
  const auto claim = must(w.sign(less, w.provider));
  const auto id = must(contest(claim));
  must(OpenClaim{w.sign(Answer{w.provider.address, id}, w.provider), all});
  w.time += 100;
  must(w.sign(Finalize{w.provider.address, claim}, w.provider));
  EXPECT_EQ(w.account(w.payout).available, 100'000 + kClaimed - 123'456);
  EXPECT_EQ(w.lease_of(lease).paid, kClaimed - 123'456);
  EXPECT_TRUE(w.state.totals.conserved());
}

TEST_F(DisputeTest, PhantomClaimIsVoided) {
  // Nobody asked for these; the root commits to nothing that can be shown.
  const auto claim = must(w.sign(Claim{lease, {}, 5'000'000, 7}, w.provider));
  expect_refused(ContestClaim{w.sign(Dispute{w.other.address, lease, claim, 100'000, 1}, w.other)},
                 Errc::refused, "only the lease's buyer");
  const auto id = must(contest(claim));
  w.time += 100;
  must(w.sign(Finalize{w.buyer.address, claim}, w.buyer));
  EXPECT_EQ(w.account(w.payout).available, 0);
  EXPECT_EQ(w.account(w.buyer).available, 95'000'000);
  EXPECT_EQ(dispute_view(w.state, id)->outcome, Outcome::provider_wrong);
  EXPECT_FALSE(w.lease_of(lease).may_claim);
  expect_refused(w.claim(lease, leaves(), w.provider), Errc::refused, "only settlements");
  must(w.sign(protocol::Settlement{lease, 1'000}, w.buyer));
}

TEST_F(DisputeTest, ContestComesTooLate) {
  const auto claim = must(w.claim(lease, leaves(), w.provider));
  w.time += 100;
  expect_refused(contest(claim), Errc::refused, "window ended");
}

TEST_F(DisputeTest, ConvictionSlashesBurnsRefundsAndRewards) {
  must(w.sign(protocol::Settlement{lease, 2'000'000}, w.buyer));
  must(w.claim(lease, leaves(), w.provider));
  const auto bad = w.leaf(lease, 1, 100'000);  // 0.4005, already settled
  w.time += 90;
  const auto id = must(filed(bad, w.other, 100'000));
  EXPECT_EQ(w.account(w.other).available, 4'900'000);
  w.time += 15;
  const auto claim = w.lease_of(lease).claim->id;
  expect_refused(w.sign(Finalize{w.provider.address, claim}, w.provider), Errc::refused,
                 "claim waits");
  convict(id);

  const auto d = *dispute_view(w.state, id);
  EXPECT_EQ(d.slashed, 10'000'000);
  EXPECT_EQ(d.made_whole, 400'500);
  EXPECT_EQ(d.reward, 1'000'000);
  EXPECT_EQ(d.burned, 10'000'000 - 1'400'500);
  EXPECT_EQ(d.escrow_refunded, 3'000'000);
  EXPECT_EQ(w.state.totals.burned, d.burned);
  EXPECT_EQ(w.account(w.other).available, 6'000'000);  // bond and reward
  EXPECT_EQ(w.account(w.buyer).available, 95'000'000 + 3'000'000 + 400'500);
  EXPECT_EQ(w.account(w.payout).available, 2'000'000);  // settled money stays
  const auto provider = w.account(w.provider);
  EXPECT_EQ(provider.stake, 0);
  EXPECT_EQ(provider.exposure, 0);
  EXPECT_EQ(provider.convictions, 1u);
  EXPECT_EQ(provider.slashed, 10'000'000);
  const auto v = w.lease_of(lease);
  EXPECT_EQ(v.state, LeaseState::convicted);
  EXPECT_FALSE(v.claim);
  EXPECT_TRUE(v.open_disputes.empty());
  expect_refused(w.timeout(id, w.other), Errc::conflict, "decided already");
  expect_refused(w.dispute(lease, bad, w.buyer, 100'000), Errc::conflict, "convicted already");
  expect_refused(w.open_lease(1'000'000), Errc::refused, "asks for at least");
}

TEST_F(DisputeTest, AtLeastHalfOfEverySlashIsBurned) {
  // Everything was paid and the receipt is as large as the stake: still half burns.
  must(w.sign(protocol::Settlement{lease, 4'500'000}, w.buyer));
  auto p = w.leaf(lease, 1, 1'000'000);  // 4.0005
  const auto id = must(filed(p, w.buyer, 100'000));
  convict(id);
  const auto d = *dispute_view(w.state, id);
  EXPECT_EQ(d.made_whole, 4'000'500);
  EXPECT_EQ(d.reward, 999'500);
  EXPECT_EQ(d.burned, 5'000'000);
}

TEST_F(DisputeTest, UnbondingIsSlashedToo) {
  w.time += 1;
  must(w.sign(Unbond{w.provider.address, 8'000'000, 1}, w.provider));
  const auto id = must(filed(w.leaf(lease, 1, 10), w.buyer, 100'000));
  convict(id);
  EXPECT_EQ(dispute_view(w.state, id)->slashed, 10'000'000);
  EXPECT_TRUE(w.account(w.provider).unbonding.empty());
}

TEST_F(DisputeTest, EvidenceMustBelongToTheLease) {
  const auto leaf = w.leaf(lease, 1, 10);
  const auto bad = [&](Errc code, std::string_view words, auto change) {
    auto op = w.dispute(lease, leaf, w.other, 100'000);
    change(op);
    expect_refused(op, code, words);
  };
  const auto second_lease = w.lease(1'000'000);
  bad(Errc::refused, "another lease",
      [&](FileDispute& d) { d = w.dispute(lease, w.leaf(second_lease, 1, 10), w.other, 100'000); });
  bad(Errc::mismatch, "another receipt",
      [&](FileDispute& d) { d.evidence.statement = w.receipt(leaf.request, 11, w.provider); });
  bad(Errc::mismatch, "signature", [&](FileDispute& d) {  // somebody else's signature
    const auto forged = w.receipt(leaf.request, 10, w.other);
    d = w.dispute(lease, {leaf.request, forged}, w.other, 100'000);
  });
  bad(Errc::mismatch, "signature", [&](FileDispute& d) {
    const auto own = w.request(lease, 1, w.other);
    d = w.dispute(lease, {own, w.receipt(own, 10, w.provider)}, w.other, 100'000);
  });
  bad(Errc::refused, "another request",
      [&](FileDispute& d) { d.evidence.request = w.request(lease, 2, w.buyer); });
  bad(Errc::mismatch, "execution", [](FileDispute& d) { d.execution.weights_root[0] ^= 1; });
  expect_refused(w.dispute(lease, leaf, w.other, 99'999), Errc::refused, "bond");
  expect_refused(w.dispute(lease, leaf, w.other, 6'000'000), Errc::refused, "available");
}

TEST_F(DisputeTest, SlashableUntilCloseAndWindowClaimedOrNot) {
  const auto leaf = w.leaf(lease, 1, 10);
  must(w.sign(Close{w.provider.address, lease}, w.provider));
  w.time += 100;
  const auto id = must(filed(leaf, w.other, 100'000));
  convict(id);
  EXPECT_EQ(w.account(w.provider).stake, 0);
  EXPECT_EQ(w.lease_of(lease).state, LeaseState::convicted);
  w.time += 1;
  expect_refused(w.dispute(lease, w.leaf(lease, 2, 10), w.other, 100'000), Errc::refused,
                 "could be disputed until");
}

TEST_F(DisputeTest, WrongArithmeticConvictsWithoutExecution) {
  const auto request = w.request(lease, 1, w.buyer);
  auto m = w.receipt(request, 10, w.provider).message;
  m.amount += 1;
  const auto id = must(filed({request, w.sign(m, w.provider)}, w.other, 100'000));
  const auto d = *dispute_view(w.state, id);
  EXPECT_EQ(d.state, DisputeState::decided);
  EXPECT_EQ(d.outcome, Outcome::provider_wrong);
  EXPECT_EQ(d.reason, "amount 0.000541 is not the price 0.00054");
  EXPECT_EQ(w.state.totals.bonds, 0);
  EXPECT_EQ(w.account(w.provider).stake, 0);
}

TEST_F(DisputeTest, OverTheCapConvicts) {
  const auto small = [&] {
    auto m = w.request(lease, 1, w.buyer).message;
    m.cap = 539;
    return w.sign(m, w.buyer);
  }();
  const auto id = must(filed({small, w.receipt(small, 10, w.provider)}, w.other));
  EXPECT_EQ(dispute_view(w.state, id)->reason, "amount 0.00054 is over the cap 0.000539");
}

TEST_F(DisputeTest, TwoStoriesConvictWithoutABond) {
  const auto request = w.request(lease, 1, w.buyer);
  const auto one = w.receipt(request, 10, w.provider, 1);
  const auto two = w.receipt(request, 10, w.provider, 2);
  const auto id = must(reported(request, one, two, w.other));
  EXPECT_EQ(dispute_view(w.state, id)->reason, "two different answers of 10 tokens");
  EXPECT_EQ(w.account(w.provider).stake, 0);
  EXPECT_EQ(w.account(w.other).available, 6'000'000);
  expect_refused(w.equivocation(lease, request, two, one, w.buyer), Errc::conflict,
                 "convicted already");
  expect_refused(w.dispute(lease, {request, two}, w.buyer, 100'000), Errc::conflict,
                 "convicted already");
}

TEST_F(DisputeTest, AReceiptEndsItsRequest) {
  const auto request = w.request(lease, 1, w.buyer);
  const auto id = must(reported(request, w.receipt(request, 10, w.provider),
                                w.receipt(request, 11, w.provider, 2), w.other));
  EXPECT_EQ(dispute_view(w.state, id)->reason, "two receipts, one for 10 tokens and one for 11");
  EXPECT_EQ(w.account(w.provider).stake, 0);
}

// Nobody can deliver or open what is behind a receipt for nothing: its roots are known.
TEST_F(DisputeTest, AReceiptForNothingHasTheRootsOfNothing) {
  const auto request = w.request(lease, 1, w.buyer);
  auto nothing = w.receipt(request, 0, w.provider).message;
  nothing.finish = static_cast<std::uint32_t>(Finish::fault);
  const auto& terms = w.state.leases.at(lease).view.terms;
  EXPECT_EQ(arithmetic_fault(terms, request.message, w.sign(nothing, w.provider)),
            "no tokens, and another root than that of none");
  nothing.tape_root = protocol::tape_root({}, {});
  EXPECT_EQ(arithmetic_fault(terms, request.message, w.sign(nothing, w.provider)), std::nullopt);
}

TEST_F(DisputeTest, WhatIsNoContradiction) {
  const auto request = w.request(lease, 1, w.buyer);
  const auto one = w.receipt(request, 10, w.provider);
  const Progress p{one.message.request,       10,
                   one.message.tape_root,     one.message.trace_root,
                   one.message.logprobs_root, one.message.amount};
  const auto refuse = [&](Statement first, Statement second) {
    expect_refused(w.equivocation(lease, request, std::move(first), std::move(second), w.other),
                   Errc::refused, "do not contradict");
  };
  refuse(one, w.sign(p, w.provider));
  refuse(one, one);
  auto later = p;
  later.count = 9;
  later.tape_root[0] ^= 1;
  refuse(one, w.sign(later, w.provider));  // another count
  auto same = one.message;
  same.key_sequence += 5;
  refuse(one, w.sign(same, w.provider));
  // A fault has one leaf more than the progress before it.
  auto fault = one.message;
  fault.finish = static_cast<std::uint32_t>(Finish::fault);
  fault.trace_root[0] ^= 1;
  refuse(w.sign(fault, w.provider), w.sign(p, w.provider));
  // But a progress of another trace is.
  auto other_trace = p;
  other_trace.trace_root[0] ^= 1;
  must(reported(request, w.sign(p, w.provider), w.sign(other_trace, w.provider), w.other));
}

// One execution has one list of log-probabilities, in a receipt as in a progress.
TEST_F(DisputeTest, TwoLogprobRootsContradict) {
  const auto request = w.request(lease, 1, w.buyer);
  const auto one = w.receipt(request, 10, w.provider);
  const auto& m = one.message;
  Progress other{m.request, 10, m.tape_root, m.trace_root, m.logprobs_root, m.amount};
  other.logprobs_root[0] ^= 1;
  must(reported(request, one, w.sign(other, w.provider), w.other));
}

}  // namespace
}  // namespace assay::market::test
