// Disputes as the ledger plays them: commitments, transcripts, moves, deadlines, how they end. What
// a move means is the toy referee's.
#include <gtest/gtest.h>

#include "crypto/sha256.hpp"
#include "market/ledger_testutil.hpp"

namespace assay::market::test {
namespace {

using namespace protocol;
using Words = std::vector<std::string_view>;

struct GameTest : testing::Test {
  World w;
  Hash lease;
  ClaimLeaf leaf;
  void SetUp() override {
    w.fund();
    lease = w.lease(5'000'000);
    leaf = w.leaf(lease, 1, 100'000);  // 0.4005
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
  FileDispute with(const Words& words, const Party& by, Micros bond = 100'000) {
    auto op = w.dispute(lease, leaf, by, bond);
    op.transcript = w.transcript(op, words, w.provider, by);
    return op;
  }
  Hash file(const Words& words, const Party& by, Micros bond = 100'000) {
    return must(w.committed(with(words, by, bond), by));
  }
  DisputeView view_of(const Hash& id) { return *dispute_view(w.state, id); }
};

TEST_F(GameTest, NothingIsFiledWithoutACommitmentBeforeIt) {
  const auto op = with({}, w.other);
  expect_refused(op, Errc::refused, "commit first");
  w.commit(op, w.buyer);  // somebody else's commitment to the same message is not this account's
  expect_refused(op, Errc::refused, "commit first");
  w.commit(op, w.other);
  expect_refused(w.commitment(op, w.other), Errc::conflict, "committed already");
  must(op);
  EXPECT_TRUE(w.state.accounts.at(w.other.address).commitments.empty());  // used up
  EXPECT_EQ(w.state.accounts.at(w.buyer.address).commitments.size(), 1u);

  const auto second = w.receipt(leaf.request, 100'000, w.provider, 2);
  const auto report = w.equivocation(lease, leaf.request, leaf.receipt, second, w.buyer);
  expect_refused(report, Errc::refused, "commit first");
  w.commit(report, w.buyer);
  must(report);
}

TEST_F(GameTest, CommitmentsEndWithTheLongestWindow) {
  const auto op = with({}, w.other);
  w.commit(op, w.other);
  w.time += 201;
  expect_refused(op, Errc::refused, "commit first");
  lease = w.lease(5'000'000);  // the first one is over by then
  leaf = w.leaf(lease, 1, 100'000);
  const auto later = with({}, w.other);
  w.commit(later, w.other);
  w.time += 200;
  must(later);
}

// Else whoever is buyer and provider could keep it open for ever, with all that is bound by it.
TEST_F(GameTest, ALeaseThatIsOverIsClosedFirst) {
  const auto& terms = w.state.leases.at(lease).view.terms;
  const auto op = with({}, w.other);
  w.time = terms.expires + terms.window;
  w.commit(op, w.other);
  ++w.time;
  expect_refused(op, Errc::refused, "close it first");
  must(w.sign(Close{w.other.address, lease}, w.other));
  w.time += 99;
  must(op);
}

// What may still be paid may still be disputed.
TEST_F(GameTest, APendingClaimKeepsALeaseDisputable) {
  const auto& terms = w.state.leases.at(lease).view.terms;
  w.time = terms.expires + terms.window;
  must(w.claim(lease, std::span(&leaf, 1), w.provider));
  const auto due = w.state.leases.at(lease).view.claim->due;
  const auto op = with({}, w.other);
  const auto late = with({}, w.buyer);
  w.commit(op, w.other);
  w.commit(late, w.buyer);
  w.time = due - 1;
  must(op);
  w.time = due;
  expect_refused(late, Errc::refused, "close it first");
}

TEST_F(GameTest, CommitmentsAreForThoseWhoHaveMoneyAndNotWithoutEnd) {
  expect_refused(w.commitment(with({}, w.other), party(77)), Errc::refused, "deposit first");
  auto forged = w.commitment(with({}, w.other), w.other);
  forged.message.nonce += 1;
  expect_refused(forged, Errc::mismatch, "signature");
  for (int i = 0; i < 64; ++i) w.commit(with({}, w.other), w.other);
  expect_refused(w.commitment(with({}, w.other), w.other), Errc::refused, "at most 64");
  w.time += 201;
  w.commit(with({}, w.other), w.other);  // what ended makes room
  EXPECT_EQ(w.state.accounts.at(w.other.address).commitments.size(), 1u);
}

TEST_F(GameTest, AnEmptyTranscriptIsTheProvidersTurn) {
  const auto id = file({}, w.other);
  const auto d = view_of(id);
  EXPECT_EQ(d.turn, Turn::provider);
  EXPECT_EQ(d.moves, 0u);
  EXPECT_EQ(d.due, w.time + 20);
  EXPECT_NE(d.game, Hash{});
  EXPECT_EQ(w.state.totals.bonds, 100'000);
  expect_refused(w.sign(Close{w.provider.address, lease}, w.provider), Errc::refused,
                 "refunds wait");
  const auto filed = *game_view(w.state, id);
  EXPECT_EQ(filed.program, program());
  EXPECT_TRUE(filed.transcript.empty());
}

TEST_F(GameTest, MovesAlternateUntilItIsDecided) {
  const auto id = file({}, w.other);
  w.time += 19;
  must(w.move(id, "continue", w.provider));
  EXPECT_EQ(view_of(id).turn, Turn::challenger);
  EXPECT_EQ(view_of(id).due, w.time + 20);
  must(w.move(id, "continue", w.other));
  EXPECT_EQ(view_of(id).turn, Turn::provider);
  EXPECT_EQ(game_view(w.state, id)->transcript.size(), 2u);
  must(w.move(id, "wrong", w.provider));
  const auto d = view_of(id);
  EXPECT_EQ(d.state, DisputeState::decided);
  EXPECT_EQ(d.turn, Turn::over);
  EXPECT_EQ(d.outcome, Outcome::provider_wrong);
  EXPECT_EQ(d.reason, "position 7: wrong");
  EXPECT_EQ(d.moves, 3u);
  EXPECT_EQ(d.due, 0u);
  EXPECT_EQ(game_view(w.state, id).error().code, Errc::not_found);
  EXPECT_EQ(w.account(w.provider).stake, 0);
}

TEST_F(GameTest, WhatIsNoMoveChangesNothing) {
  const auto id = file({}, w.other);
  const auto good = w.move(id, "continue", w.provider);
  const auto bad = [&](Errc code, std::string_view words, auto change, const Party& by) {
    auto op = good;
    change(op);
    op.move = w.sign(op.move.message, by);
    expect_refused(op, code, words);
  };
  bad(Errc::mismatch, "signature", [](DisputeMove&) {}, w.other);  // not its turn
  bad(Errc::mismatch, "signature", [](DisputeMove&) {}, w.host);
  bad(Errc::conflict, "0 were made", [](DisputeMove& m) { m.move.message.number = 1; }, w.provider);
  bad(
      Errc::mismatch, "another game", [](DisputeMove& m) { m.move.message.state[0] ^= 1; },
      w.provider);
  bad(
      Errc::mismatch, "another payload", [](DisputeMove& m) { m.payload.push_back(0); },
      w.provider);
  bad(
      Errc::not_found, "no such dispute", [](DisputeMove& m) { m.move.message.dispute = {}; },
      w.provider);
  bad(
      Errc::invalid, "at most 16384",
      [](DisputeMove& m) {
        m.payload.assign(16 * 1024 + 1, 0);
        m.move.message.payload = crypto::sha256(m.payload);
      },
      w.provider);
  expect_refused(w.move(id, "nonsense", w.provider), Errc::invalid, "move 0");
  EXPECT_EQ(view_of(id).due, w.time + 20);
  must(good);
  const auto late = w.move(id, "continue", w.provider);
  expect_refused(late, Errc::mismatch, "signature");
  EXPECT_TRUE(w.run(good)->already);
  const auto next = w.move(id, "continue", w.other);
  w.time += 20;
  expect_refused(next, Errc::refused, "the deadline of this move was");
}

TEST_F(GameTest, WhoseTurnItIsLosesAtTheDeadline) {
  const auto first = file({}, w.other);
  expect_refused(w.timeout(first, w.other), Errc::refused, "the provider has until");
  w.time += 19;
  expect_refused(w.timeout(first, w.other), Errc::refused, "the provider has until");
  must(w.move(first, "continue", w.provider));
  w.time += 20;
  // Anyone may say so; the challenger's bond goes to the provider.
  must(w.timeout(first, w.buyer));
  EXPECT_EQ(view_of(first).outcome, Outcome::provider_right);
  EXPECT_EQ(view_of(first).reason, "the challenger made no move in time");
  EXPECT_EQ(w.account(w.payout).available, 100'000);
  EXPECT_EQ(w.account(w.provider).stake, 10'000'000);

  const auto second = file({}, w.buyer);
  w.time += 20;
  must(w.timeout(second, w.other));
  EXPECT_EQ(view_of(second).outcome, Outcome::provider_wrong);
  EXPECT_EQ(view_of(second).reason, "the provider made no move in time");
  EXPECT_EQ(w.account(w.provider).stake, 0);
  EXPECT_EQ(w.account(w.other).available, 4'900'000);  // the reward is the challenger's
  expect_refused(w.timeout(second, w.buyer), Errc::conflict, "decided already");
  expect_refused(w.timeout(Hash{}, w.buyer), Errc::not_found, "no such dispute");
}

TEST_F(GameTest, ATranscriptGoesOnWhereItEnded) {
  const auto id = file({"continue", "continue", "continue"}, w.other);
  EXPECT_EQ(view_of(id).moves, 3u);
  EXPECT_EQ(view_of(id).turn, Turn::challenger);
  must(w.move(id, "right", w.other));
  EXPECT_EQ(view_of(id).outcome, Outcome::provider_right);
  EXPECT_EQ(w.account(w.payout).available, 100'000);
}

TEST_F(GameTest, ATranscriptThatDecidesIsOneOperation) {
  const auto lost = file({"continue", "right"}, w.other, 250'000);
  EXPECT_EQ(view_of(lost).state, DisputeState::decided);
  EXPECT_EQ(w.account(w.payout).available, 250'000);
  const auto won = file({"continue", "wrong"}, w.buyer);
  EXPECT_EQ(view_of(won).outcome, Outcome::provider_wrong);
  EXPECT_EQ(view_of(won).moves, 2u);
  EXPECT_EQ(w.account(w.buyer).available, 95'000'000 + 5'000'000 + 1'000'000);
  EXPECT_EQ(w.state.totals.bonds, 0);
}

TEST_F(GameTest, AFalseTranscriptIsRefused) {
  const auto refuse = [&](Errc code, std::string_view words, auto change) {
    auto op = with({"continue", "continue"}, w.other);
    change(op);
    w.commit(op, w.other);
    expect_refused(op, code, words);
  };
  refuse(Errc::mismatch, "signature", [](FileDispute& d) { d.transcript[1].payload[0] ^= 1; });
  refuse(Errc::mismatch, "signature",
         [](FileDispute& d) { std::swap(d.transcript[0], d.transcript[1]); });
  refuse(Errc::refused, "over before", [&](FileDispute& d) {
    d.transcript = w.transcript(d, Words{"continue", "wrong", "continue"}, w.provider, w.other);
  });
  refuse(Errc::invalid, "at most 64", [](FileDispute& d) { d.transcript.resize(65); });
  refuse(Errc::invalid, "at most 16384",
         [](FileDispute& d) { d.transcript[0].payload.resize(16 * 1024 + 1); });
  refuse(Errc::invalid, "not both", [](FileDispute& d) { d.finish.emplace(); });
  refuse(Errc::mismatch, "the program", [](FileDispute& d) { d.program[0] ^= 1; });
  refuse(Errc::invalid, "a program of 4097 bytes", [](FileDispute& d) { d.program.resize(4097); });
}

TEST_F(GameTest, AProofAboutTheFinishDecidesAtOnce) {
  const auto finish = [&](std::string_view word, const Party& by) {
    auto op = w.dispute(lease, leaf, by, 100'000);
    const auto bytes = view(word);
    op.finish.emplace(bytes.begin(), bytes.end());
    return w.committed(op, by);
  };
  expect_refused(finish("nonsense", w.other), Errc::mismatch, "does not open");
  expect_refused(finish("", w.other), Errc::mismatch, "does not open");
  // The accused cannot file the challenger's dispute with a proof of its own choosing.
  auto stolen = finish("wrong", w.other);
  const std::string_view harmless = "right";
  stolen.finish.emplace(harmless.begin(), harmless.end());
  expect_refused(stolen, Errc::refused, "commit first");
  stolen.finish.reset();
  expect_refused(stolen, Errc::refused, "commit first");
  EXPECT_EQ(view_of(must(finish("right", w.other))).outcome, Outcome::provider_right);
  EXPECT_EQ(w.account(w.payout).available, 100'000);
  EXPECT_EQ(view_of(must(finish("wrong", w.buyer))).outcome, Outcome::provider_wrong);
  EXPECT_EQ(w.account(w.provider).stake, 0);
}

TEST_F(GameTest, AnInvalidModelIsNobodysFault) {
  must(w.sign(protocol::Settlement{lease, 1'000'000}, w.buyer));
  const auto claim = must(w.claim(lease, std::vector{w.leaf(lease, 2, 300'000)}, w.provider));
  must(ContestClaim{w.sign(Dispute{w.buyer.address, lease, claim, 100'000, w.nonce()}, w.buyer)});
  const auto id = file({"continue"}, w.other);
  must(w.move(id, "invalid", w.other));
  const auto d = view_of(id);
  EXPECT_EQ(d.outcome, Outcome::invalid_model);
  EXPECT_EQ(d.slashed, 0);
  EXPECT_EQ(d.escrow_refunded, 4'000'000);
  EXPECT_EQ(w.account(w.other).available, 5'000'000);
  EXPECT_EQ(w.account(w.buyer).available, 99'000'000);
  EXPECT_EQ(w.account(w.provider).stake, 10'000'000);
  EXPECT_EQ(w.account(w.provider).convictions, 0u);
  EXPECT_EQ(w.account(w.provider).exposure, 0);
  const auto v = w.lease_of(lease);
  EXPECT_EQ(v.state, LeaseState::closed);
  EXPECT_FALSE(v.claim);
  EXPECT_TRUE(v.open_disputes.empty());
  EXPECT_EQ(w.state.totals.bonds, 0);
  expect_refused(w.sign(protocol::Settlement{lease, 2'000'000}, w.buyer), Errc::refused, "closed");
}

TEST_F(GameTest, DisputesAreIndependentAndTheFirstConvictionTakesTheReward) {
  const auto losing = file({"continue"}, w.other);
  const auto winning = file({}, w.buyer);
  const auto late = file({"continue"}, w.other);
  EXPECT_EQ(w.state.totals.bonds, 300'000);
  // A provider's win binds that challenger only.
  must(w.move(losing, "right", w.other));
  EXPECT_EQ(w.account(w.payout).available, 100'000);
  EXPECT_EQ(view_of(winning).state, DisputeState::open);
  must(w.move(winning, "wrong", w.provider));
  EXPECT_EQ(view_of(winning).reward, 1'000'000);
  EXPECT_EQ(w.account(w.buyer).available, 95'000'000 + 5'000'000 + 1'000'000);
  // Whoever was slower gets the bond back at once; no second conviction.
  expect_refused(w.move(late, "wrong", w.other), Errc::conflict, "convicted meanwhile");
  expect_refused(with({}, w.other), Errc::conflict, "convicted already");
  must(w.timeout(late, w.other));
  EXPECT_EQ(view_of(late).outcome, Outcome::not_judged);
  EXPECT_EQ(view_of(late).reason, "convicted already");
  EXPECT_EQ(w.account(w.other).available, 4'900'000);
  EXPECT_EQ(w.account(w.provider).convictions, 1u);
  EXPECT_EQ(w.state.totals.bonds, 0);
}

TEST_F(GameTest, OpenDisputesOfOneChallengerAboutOneLeaseAreBounded) {
  for (int i = 0; i < 8; ++i) file({}, w.other);
  const auto ninth = w.committed(with({}, w.other), w.other);
  expect_refused(ninth, Errc::refused, "8 open disputes");
  const auto open = file({"continue"}, w.buyer);  // another challenger's are counted apart
  must(w.move(open, "right", w.buyer));
  w.time += 19;
  for (const auto& id : w.lease_of(lease).open_disputes) must(w.move(id, "continue", w.provider));
  w.time += 20;
  must(w.timeout(w.lease_of(lease).open_disputes.front(), w.provider));
  must(ninth);
}

TEST_F(GameTest, AGameOutlivesTheWindowAndHoldsTheStake) {
  must(w.sign(Unbond{w.provider.address, 1'000'000, w.nonce()}, w.provider));
  must(w.sign(Close{w.provider.address, lease}, w.provider));
  w.time += 100;
  auto id = file({}, w.other);
  for (int i = 0; i < 25; ++i) {  // until long after every window and unbonding
    w.time += 19;
    must(w.move(id, "continue", w.provider));
    w.time += 19;
    must(w.move(id, "continue", w.other));
  }
  expect_refused(w.sign(Release{w.provider.address, w.nonce()}, w.provider), Errc::refused, "");
  must(w.move(id, "wrong", w.provider));
  EXPECT_EQ(view_of(id).slashed, 10'000'000);
  EXPECT_EQ(w.lease_of(lease).state, LeaseState::convicted);
}

TEST_F(GameTest, AContestHasNoMoves) {
  const auto claim = must(w.claim(lease, std::vector{leaf}, w.provider));
  const auto contest = must(
      ContestClaim{w.sign(Dispute{w.buyer.address, lease, claim, 100'000, w.nonce()}, w.buyer)});
  EXPECT_EQ(view_of(contest).turn, Turn::provider);
  EXPECT_EQ(view_of(contest).due, w.time + 100);
  expect_refused(w.move(contest, "continue", w.provider), Errc::refused, "a contest has no moves");
  w.time += 100;
  expect_refused(w.timeout(contest, w.buyer), Errc::refused, "a contest has no moves");
  must(w.sign(Finalize{w.buyer.address, claim}, w.buyer));
}

}  // namespace
}  // namespace assay::market::test
