// Refusal to deliver: demands, deliveries, reports, and every move that is late, illegal or twice.
#include <gtest/gtest.h>

#include "market/ledger_delivery_testutil.hpp"
#include "protocol/delivery.hpp"

namespace assay::market::test {
namespace {

using namespace protocol;

struct DeliveryTest : testing::Test {
  World w;
  Hash lease;
  Sold answer;
  void SetUp() override {
    w.fund();
    lease = w.lease(5'000'000);
    answer = sold(w, lease, 1, 700, w.buyer, w.provider, 2);  // three chunks; 5 numbers a token
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
  DisputeView view_of(const Hash& id) { return *dispute_view(w.state, id); }
  Hash demanded() { return must(demand(w, answer, w.buyer)); }
  Deliver garbage(const Hash& id) {
    auto bytes = sealed(answer, id);
    bytes[5] ^= 1;
    return deliver(w, id, bytes, w.provider);
  }
};

TEST_F(DeliveryTest, NothingIsDemandedOfALeaseThatIsOver) {
  const auto& terms = w.state.leases.at(lease).view.terms;
  w.time = terms.expires + terms.window + 1;
  expect_refused(demand(w, answer, w.buyer), Errc::refused, "close it first");
  must(w.sign(Close{w.other.address, lease}, w.other));
  demanded();
}

TEST_F(DeliveryTest, ADemandedAnswerReachesItsBuyerSealed) {
  const auto id = demanded();
  auto d = view_of(id);
  EXPECT_EQ(d.about, DisputeAbout::delivery);
  EXPECT_EQ(d.turn, Turn::provider);
  EXPECT_EQ(d.due, w.time + 20);
  EXPECT_EQ(w.state.totals.bonds, 100'000);
  EXPECT_EQ(w.account(w.provider).open_disputes, std::vector<Hash>{id});

  w.time += 19;
  const auto op = deliver(w, id, sealed(answer, id), w.provider);
  const auto delivered = must(op);
  d = view_of(id);
  EXPECT_EQ(d.turn, Turn::challenger);
  EXPECT_EQ(d.due, w.time + 20);
  EXPECT_EQ(d.moves, 1u);
  EXPECT_EQ(d.game, delivered);

  // What lies on the ledger is the answer to whoever has the secret, and noise to others.
  const auto& request = answer.leaf.request.message;
  EXPECT_EQ(unseal_answer(answer.secret, id, request, 700, op.answer).answer, answer.answer);
  EXPECT_EQ(unseal_answer(answer.secret, id, request, 700, op.answer).logprobs, answer.logprobs);
  EXPECT_NE(unseal_answer({}, id, request, 700, op.answer).answer, answer.answer);

  const auto before = w.account(w.payout).available;
  must(w.timeout(id, w.buyer));  // content: ends it at once
  d = view_of(id);
  EXPECT_EQ(d.state, DisputeState::decided);
  EXPECT_EQ(d.outcome, Outcome::provider_right);
  EXPECT_EQ(w.account(w.payout).available, before + 100'000);
  EXPECT_EQ(w.account(w.provider).stake, 10'000'000);
  EXPECT_TRUE(w.account(w.provider).open_disputes.empty());
  expect_refused(w.timeout(id, w.provider), Errc::conflict, "decided already");
}

TEST_F(DeliveryTest, ABuyerThatReportsNothingGivesTheBondUp) {
  const auto id = demanded();
  must(deliver(w, id, sealed(answer, id), w.provider));
  expect_refused(w.timeout(id, w.provider), Errc::refused, "challenger has until");
  expect_refused(w.timeout(id, w.other), Errc::refused, "challenger has until");
  w.time += 20;
  expect_refused(
      report(w, id, deliver(w, id, sealed(answer, id), w.provider), answer.secret, w.buyer),
      Errc::refused, "deadline of this report");
  must(w.timeout(id, w.provider));
  EXPECT_EQ(view_of(id).outcome, Outcome::provider_right);
  EXPECT_EQ(w.account(w.payout).available, 100'000);
}

TEST_F(DeliveryTest, SilenceConvicts) {
  must(w.sign(protocol::Settlement{lease, 1'000'000}, w.buyer));
  const auto id = demanded();
  expect_refused(w.timeout(id, w.buyer), Errc::refused, "provider has until");
  w.time += 20;
  expect_refused(deliver(w, id, sealed(answer, id), w.provider), Errc::refused,
                 "deadline of this delivery");
  const auto buyer = w.account(w.buyer).available;
  must(w.timeout(id, w.other));  // anyone
  const auto d = view_of(id);
  EXPECT_EQ(d.outcome, Outcome::provider_wrong);
  EXPECT_EQ(d.reason, "the provider did not deliver the answer in time");
  EXPECT_EQ(d.slashed, 10'000'000);
  EXPECT_EQ(d.made_whole, answer.leaf.receipt.message.amount);
  EXPECT_EQ(d.reward, 1'000'000);
  EXPECT_EQ(d.burned, 10'000'000 - d.made_whole - d.reward);
  EXPECT_EQ(w.account(w.provider).stake, 0);
  EXPECT_EQ(w.account(w.provider).convictions, 1u);
  EXPECT_EQ(w.account(w.buyer).available,
            buyer + 100'000 + d.made_whole + d.reward + d.escrow_refunded);
  EXPECT_EQ(w.lease_of(lease).state, LeaseState::convicted);
}

TEST_F(DeliveryTest, AnotherAnswerConvictsByTheSecret) {
  const auto id = demanded();
  const auto op = garbage(id);
  must(op);
  must(report(w, id, op, answer.secret, w.buyer));
  EXPECT_EQ(view_of(id).outcome, Outcome::provider_wrong);
  EXPECT_EQ(view_of(id).reason, "the tokens delivered are not those signed for");
  EXPECT_EQ(w.account(w.provider).stake, 0);
  EXPECT_TRUE(w.run(report(w, id, op, answer.secret, w.buyer))->already);
  expect_refused(deliver(w, id, sealed(answer, id), w.provider), Errc::conflict, "decided");
}

TEST_F(DeliveryTest, OtherLogProbabilitiesConvictToo) {
  const auto id = demanded();
  auto bytes = sealed(answer, id);
  bytes.back() ^= 0x80;
  const auto op = deliver(w, id, bytes, w.provider);
  must(op);
  must(report(w, id, op, answer.secret, w.buyer));
  EXPECT_EQ(view_of(id).reason, "the log-probabilities delivered are not those signed for");
}

// Whatever a buyer shows, a provider that delivered what it signed for is not convicted.
TEST_F(DeliveryTest, AnHonestDeliveryCannotBeReported) {
  const auto id = demanded();
  const auto good = deliver(w, id, sealed(answer, id), w.provider);
  expect_refused(report(w, id, good, answer.secret, w.buyer), Errc::refused, "nothing was");
  must(good);
  expect_refused(report(w, id, good, answer.secret, w.buyer), Errc::refused, "one signed for");
  auto secret = answer.secret;
  secret[0] ^= 1;
  expect_refused(report(w, id, good, secret, w.buyer), Errc::mismatch, "salt secret");
  expect_refused(report(w, id, garbage(id), answer.secret, w.buyer), Errc::mismatch,
                 "not what was delivered");
  auto other_bytes = good;  // the signed message, other bytes
  other_bytes.answer[0] ^= 1;
  expect_refused(report(w, id, other_bytes, answer.secret, w.buyer), Errc::mismatch,
                 "not what was delivered");
  expect_refused(report(w, id, good, answer.secret, w.other), Errc::refused, "only the buyer");
  auto forged = report(w, id, good, answer.secret, w.buyer);
  forged.report = w.sign(forged.report.message, w.other);
  expect_refused(forged, Errc::mismatch, "signature");
  EXPECT_EQ(view_of(id).turn, Turn::challenger);
}

TEST_F(DeliveryTest, OnlyTheProviderDeliversAndOnlyOnce) {
  const auto id = demanded();
  const auto bytes = sealed(answer, id);
  // Somebody else's bytes would convict the provider.
  expect_refused(deliver(w, id, bytes, w.other), Errc::refused, "only the lease's provider");
  auto forged = deliver(w, id, bytes, w.provider);
  forged.delivery = w.sign(forged.delivery.message, w.other);
  expect_refused(forged, Errc::mismatch, "signature");
  auto swapped = deliver(w, id, bytes, w.provider);
  swapped.answer[9] ^= 1;
  expect_refused(swapped, Errc::mismatch, "another answer than the one beside it");
  auto longer = bytes;
  longer.push_back(0);
  expect_refused(deliver(w, id, longer, w.provider), Errc::invalid, "the answer has 16800");
  expect_refused(deliver(w, id, {}, w.provider), Errc::invalid, "0 bytes delivered");
  expect_refused(deliver(w, Hash{}, bytes, w.provider), Errc::not_found, "no such demand");
  expect_refused(w.move(id, "continue", w.provider), Errc::refused, "deliver the answer");
  must(deliver(w, id, bytes, w.provider));
  expect_refused(garbage(id), Errc::conflict, "delivered already");
}

TEST_F(DeliveryTest, WhatIsNoDemandIsRefused) {
  const auto good = demand(w, answer, w.buyer);
  const auto bad = [&](Errc code, std::string_view words, auto change, const Party& by) {
    auto op = good;
    change(op);
    op.demand = w.sign(op.demand.message, by);
    expect_refused(op, code, words);
  };
  bad(
      Errc::refused, "only the lease's buyer",
      [&](auto& op) { op.demand.message.buyer = w.other.address; }, w.other);
  bad(Errc::mismatch, "signature", [](auto&) {}, w.other);
  bad(Errc::refused, "under the least", [](auto& op) { op.demand.message.bond = 99'999; }, w.buyer);
  bad(
      Errc::refused, "deposit first", [](auto& op) { op.demand.message.bond = 100'000'000; },
      w.buyer);
  bad(Errc::mismatch, "another receipt", [](auto& op) { op.demand.message.subject = {}; }, w.buyer);
  bad(Errc::not_found, "no lease", [](auto& op) { op.demand.message.lease = {}; }, w.buyer);
  const auto about = [&](Sold other, Errc code, std::string_view words) {
    other.leaf.receipt = w.sign(other.leaf.receipt.message, w.provider);
    expect_refused(demand(w, other, w.buyer), code, words);
  };
  auto dear = answer;
  ++dear.leaf.receipt.message.amount;
  about(dear, Errc::refused, "its own figures convict");
  about(sold(w, lease, 2, 0, w.buyer, w.provider), Errc::refused, "nothing to deliver");
  // More tokens than any execution has: how it ends convicts without a game.
  const auto request = w.request(lease, 3, w.buyer);
  about({{request, w.receipt(request, (1u << 18) + 1, w.provider)}, lease, {}, {}, {}},
        Errc::refused, "no execution has");
  auto foreign = answer;
  foreign.leaf.request = w.sign(foreign.leaf.request.message, w.other);
  about(foreign, Errc::mismatch, "request");
  auto unsigned_receipt = answer;
  unsigned_receipt.leaf.receipt = w.sign(unsigned_receipt.leaf.receipt.message, w.other);
  expect_refused(demand(w, unsigned_receipt, w.buyer), Errc::mismatch, "receipt");
}

TEST_F(DeliveryTest, AnAnswerIsDemandedOnceForEver) {
  const auto id = demanded();
  expect_refused(demand(w, answer, w.buyer), Errc::conflict, "demanded before");
  must(deliver(w, id, sealed(answer, id), w.provider));
  must(w.timeout(id, w.buyer));
  expect_refused(demand(w, answer, w.buyer), Errc::conflict, "demanded before");
}

// A progress and a receipt of one request are two answers: each has a keystream of its own.
TEST_F(DeliveryTest, NoKeystreamIsUsedTwice) {
  const auto& request = answer.leaf.request;
  const std::vector<std::uint32_t> tokens(answer.answer.begin(), answer.answer.begin() + 16);
  const std::vector<std::uint32_t> numbers(answer.logprobs.begin(), answer.logprobs.begin() + 80);
  Progress p{digest(w.domain(), request.message), 16, tape_root(answer.secret, tokens), {}, {}, 0};
  p.logprobs_root = *logprobs_root(answer.secret, request.message, 16, numbers);
  p.amount = *price(kPriceIn, kPriceOut, 250, 16);
  const auto progress = w.sign(p, w.provider);
  DemandDelivery op;
  op.evidence = {request, progress};
  op.demand =
      w.sign(Demand{w.buyer.address, lease, digest(w.domain(), p), 100'000, w.nonce()}, w.buyer);
  const auto first = must(op), second = demanded();
  const auto a = seal_answer(answer.secret, first, tokens, numbers);
  const auto b = sealed(answer, second);
  EXPECT_FALSE(std::equal(a.begin(), a.begin() + 32, b.begin()));
  must(deliver(w, first, a, w.provider));
  must(deliver(w, second, b, w.provider));
  EXPECT_EQ(w.lease_of(lease).open_disputes.size(), 2u);
}

TEST_F(DeliveryTest, PaymentWaitsForIt) {
  const std::vector<ClaimLeaf> leaves{answer.leaf};
  const auto claim = must(w.claim(lease, leaves, w.provider));
  w.time += 99;  // the last second of its window
  const auto id = demanded();
  w.time += 1;
  expect_refused(w.sign(Finalize{w.provider.address, claim}, w.provider), Errc::refused,
                 "a dispute about this lease is open");
  must(deliver(w, id, sealed(answer, id), w.provider));
  w.time += 20;
  must(w.timeout(id, w.provider));
  // No second demand after the window: demands in a row would hold the claim up without end.
  const auto late = sold(w, lease, 2, 9, w.buyer, w.provider);
  expect_refused(demand(w, late, w.buyer), Errc::refused, "window of the pending claim ended");
  must(w.sign(Finalize{w.provider.address, claim}, w.provider));
  EXPECT_EQ(w.account(w.payout).available, leaves[0].receipt.message.amount + 100'000);
  must(demand(w, late, w.buyer));  // paid answers may be demanded, too
  expect_refused(w.sign(Close{w.provider.address, lease}, w.provider), Errc::refused, "is open");
}

TEST_F(DeliveryTest, WhatAnOpenedClaimShowsFirstCanBeDemanded) {
  const std::vector<ClaimLeaf> leaves{answer.leaf};
  const auto claim = must(w.claim(lease, leaves, w.provider));
  w.time += 90;
  const auto contest = must(
      ContestClaim{w.sign(Dispute{w.buyer.address, lease, claim, 100'000, w.nonce()}, w.buyer)});
  w.time += 99;
  const auto opened =
      must(OpenClaim{w.sign(Answer{w.provider.address, contest}, w.provider), leaves});
  EXPECT_EQ(view_of(contest).game, opened);  // where the buyer finds the receipts
  w.time += 1;                               // the contest's own window
  expect_refused(w.sign(Finalize{w.provider.address, claim}, w.provider), Errc::refused,
                 "window ends");
  demanded();
}

TEST_F(DeliveryTest, UntilTheLeaseIsPastDispute) {
  must(w.sign(Close{w.provider.address, lease}, w.provider));
  must(w.sign(Unbond{w.provider.address, 10'000'000, 1}, w.provider));
  w.time += 100;  // the last second
  const auto id = demanded();
  w.time += 1;
  expect_refused(demand(w, sold(w, lease, 2, 9, w.buyer, w.provider), w.buyer), Errc::refused,
                 "could be disputed until");
  w.time += 500;  // unbonding is over, but an open demand holds it
  expect_refused(w.sign(Release{w.provider.address, 1}, w.provider), Errc::refused,
                 "can still be disputed");
  must(w.timeout(id, w.buyer));
  EXPECT_EQ(view_of(id).slashed, 10'000'000);
  EXPECT_EQ(w.lease_of(lease).state, LeaseState::convicted);
}

TEST_F(DeliveryTest, AnotherDisputeMayConvictFirst) {
  const auto id = demanded();
  const auto second = w.receipt(answer.leaf.request, 700, w.provider, 9);
  must(w.committed(w.equivocation(lease, answer.leaf.request, answer.leaf.receipt, second, w.other),
                   w.other));
  expect_refused(deliver(w, id, sealed(answer, id), w.provider), Errc::conflict, "convicted");
  must(w.timeout(id, w.other));  // at once
  EXPECT_EQ(view_of(id).outcome, Outcome::not_judged);
  EXPECT_EQ(w.account(w.provider).convictions, 1u);
  EXPECT_EQ(w.state.totals.bonds, 0);
  expect_refused(demand(w, answer, w.buyer), Errc::conflict, "convicted already");
}

// A demand and a dispute about one receipt run beside each other; the first that convicts counts.
TEST_F(DeliveryTest, ADisputeAboutTheSameReceiptGoesOnBesideIt) {
  const auto id = demanded();
  const auto dispute = must(w.committed(w.dispute(lease, answer.leaf, w.other, 100'000), w.other));
  EXPECT_EQ(w.account(w.provider).open_disputes.size(), 2u);
  must(w.move(dispute, "continue", w.provider));
  w.time += 20;
  must(w.timeout(id, w.buyer));
  must(w.timeout(dispute, w.other));
  EXPECT_EQ(view_of(dispute).outcome, Outcome::not_judged);
  EXPECT_EQ(w.account(w.provider).convictions, 1u);
}

TEST_F(DeliveryTest, NotWithoutEndAtOnce) {
  for (std::uint64_t i = 1; i <= 64; ++i)
    must(demand(w, sold(w, lease, i, 3, w.buyer, w.provider), w.buyer));
  expect_refused(demand(w, sold(w, lease, 65, 3, w.buyer, w.provider), w.buyer), Errc::refused,
                 "64 demands");
  // Its own disputes are not among them.
  must(w.committed(w.dispute(lease, answer.leaf, w.buyer, 100'000), w.buyer));
}

TEST(SealedAnswer, IsBoundedAndOfOneLength) {
  Request r;
  EXPECT_EQ(*sealed_bytes(r, 1), 4u);
  EXPECT_EQ(*sealed_bytes(r, 1u << 18), std::size_t{1} << 20);
  EXPECT_FALSE(sealed_bytes(r, (1u << 18) + 1));
  EXPECT_FALSE(sealed_bytes(r, 0));
  r.logprobs = 21;  // 41 numbers
  EXPECT_EQ(*sealed_bytes(r, 7), std::size_t{7 * 42 * 4});
  EXPECT_TRUE(sealed_bytes(r, (1u << 19) / 41));
  EXPECT_FALSE(sealed_bytes(r, (1u << 19) / 41 + 1));
  r.logprobs = 22;
  EXPECT_FALSE(sealed_bytes(r, 1));
  r.logprobs = 0xffffffff;
  EXPECT_FALSE(sealed_bytes(r, 1));
}

// The longest that a ledger can be shown, and not one token more.
TEST(SealedAnswer, HasALengthThatCanBeDemanded) {
  const Domain embedded{.ledger = Hash{1}};
  const Domain chain{.chain_id = 8453, .contract = party(9).address};
  for (const std::uint32_t logprobs : {0u, 1u, 2u, 6u, 21u}) {
    Request r;
    r.logprobs = logprobs;
    const auto on_chain = demandable_tokens(chain, r);
    EXPECT_LE(*sealed_bytes(r, on_chain), kSealedBytesOnChainMax) << logprobs;
    EXPECT_GT(*sealed_bytes(r, on_chain + 1), kSealedBytesOnChainMax) << logprobs;
    const auto most = demandable_tokens(embedded, r);
    EXPECT_LE(*sealed_bytes(r, most), kSealedBytesMax) << logprobs;
    EXPECT_FALSE(sealed_bytes(r, most + 1)) << logprobs;
  }
}

}  // namespace
}  // namespace assay::market::test
