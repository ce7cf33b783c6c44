// Auctions: who wins at what price, and that a record shows every way of cheating at it.
#include "market/auction.hpp"

#include <gtest/gtest.h>

#include "crypto/sha256.hpp"
#include "market/ledger_testutil.hpp"

namespace assay::market::test {
namespace {

using protocol::Pricing;

struct AuctionTest : testing::Test {
  World w;
  Auction auction;

  void SetUp() override {
    auction.key.bytes[0] = 9;
    set_call(Pricing::second);
  }
  void set_call(Pricing pricing) {
    protocol::BidCall call;
    call.buyer = w.buyer.address;
    call.execution = protocol::struct_hash(execution());
    call.prompt_tokens = 1'000;
    call.max_tokens = 500;
    call.pricing = static_cast<std::uint32_t>(pricing);
    call.seal_key = crypto::x25519_public_key(auction.key);
    call.deadline = w.time + 10;
    auction.call = w.sign(call, w.buyer);
    auction.bids.clear();
    auction.awarded.reset();
  }
  Hash call_id() const { return protocol::digest(w.domain(), auction.call.message); }

  Signed<Offer> offer(std::uint8_t who, Micros price_in, Micros price_out) {
    auto m = w.offer(party(who), w.payout).message;
    m.models[0].price_in = price_in;
    m.models[0].price_out = price_out;
    m.expires = w.time + 100;
    return w.sign(m, party(who));
  }
  protocol::BidReply sealed(std::uint8_t who, const Signed<Offer>& inside) {
    crypto::X25519SecretKey ephemeral;
    ephemeral.bytes[0] = who;
    protocol::BidReply out;
    out.sealed = *protocol::seal_bid(auction.call.message, call_id(), inside, ephemeral);
    out.bid = w.sign(protocol::SealedBid{party(who).address, call_id(), crypto::sha256(out.sealed)},
                     party(who));
    return out;
  }
  void bid(std::uint8_t who, Micros price_in, Micros price_out) {
    auction.bids.push_back(sealed(who, offer(who, price_in, price_out)));
  }
  Result<Verdict> decided() { return decide(auction, open_bids(w.domain(), auction)); }
  // Before the bids: they are sealed for the key that commits to them.
  void set_ceilings(std::optional<Micros> price_in, std::optional<Micros> price_out,
                    Pricing pricing = Pricing::second) {
    const Ceilings ceilings{price_in, price_out, Hash{7}};
    auction.key = sealing_key(ceilings);
    set_call(pricing);
    auction.ceilings = ceilings;
  }
  void award(std::uint8_t who, const Verdict& verdict) {
    auction.awarded = offer(who, verdict.price_in, verdict.price_out);
  }
  // Why the record does not hold.
  std::string fault() {
    const auto verdict = verify(w.domain(), auction);
    return verdict ? "" : verdict.error().message;
  }
};

TEST_F(AuctionTest, TheCheapestWinsAtTheSecondPrice) {
  bid(10, 1'000'000, 2'000'000);  // 1000 + 1000
  bid(11, 500'000, 1'000'000);    // 500 + 500
  bid(12, 1'400'000, 200'000);    // 1400 + 100
  const auto verdict = *decided();
  EXPECT_EQ(verdict.winner, party(11).address);
  EXPECT_EQ(verdict.price_in, 500'000);
  EXPECT_EQ(verdict.price_out, 2'000'000);  // 500 + 1000 = the second's 1500
  EXPECT_EQ(verdict.price, 1'500);
  award(11, verdict);
  EXPECT_EQ(fault(), "");
  const auto again = auction_from_json(to_json(auction));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(verify(w.domain(), *again)->winner, verdict.winner);
}

TEST_F(AuctionTest, FirstPriceAndALoneBidPayWhatTheyAsk) {
  bid(10, 1, 1);
  EXPECT_EQ(decided()->price_out, 1);
  set_call(Pricing::first);
  bid(10, 1'000'000, 2'000'000);
  bid(11, 500'000, 1'000'000);
  EXPECT_EQ(decided()->price_out, 1'000'000);
  EXPECT_EQ(decided()->price, 1'000);
}

TEST_F(AuctionTest, TheClearingPriceNeverExceedsTheSecondBid) {
  for (const Micros second : {1'000'001, 1'000'003, 1'499'999}) {
    set_call(Pricing::second);
    bid(10, 333'333, 777'777);
    bid(11, 1'000'000, second);
    const auto opened = open_bids(w.domain(), auction);
    const auto verdict = *decided();
    EXPECT_GE(verdict.price, opened[0].price);
    EXPECT_LE(verdict.price, opened[1].price);
    EXPECT_GE(verdict.price_out, 777'777);
  }
}

TEST_F(AuctionTest, WhatClearsIsNotAboveTheBuyersCeiling) {
  set_ceilings(std::nullopt, 1'700'000);
  bid(10, 1'000'000, 1'600'000);
  bid(11, 1'000'000, 2'000'000);  // over it, and still what others would have had to pay
  auto verdict = *decided();
  EXPECT_EQ(verdict.winner, party(10).address);
  EXPECT_EQ(verdict.price_out, 1'700'000);
  EXPECT_EQ(verdict.price, 1'850);
  award(10, verdict);
  EXPECT_EQ(fault(), "");
  const auto again = *auction_from_json(to_json(auction));
  EXPECT_EQ(verify(w.domain(), again)->price_out, 1'700'000);
  // Under the ceiling the second bid decides as ever, and with first prices the bid.
  set_ceilings(2'000'000, 2'100'000);
  bid(10, 1'000'000, 1'600'000);
  bid(11, 1'000'000, 2'000'000);
  EXPECT_EQ(decided()->price_out, 2'000'000);
  set_ceilings(2'000'000, 1'700'000, Pricing::first);
  bid(10, 1'000'000, 1'600'000);
  bid(11, 1'000'000, 2'000'000);
  EXPECT_EQ(decided()->price_out, 1'600'000);
}

TEST_F(AuctionTest, ACheaperBidOverTheCeilingDoesNotWin) {
  set_ceilings(500'000, 3'000'000);
  bid(10, 600'000, 1'000);      // 600 + 1, and over the ceiling in
  bid(11, 500'000, 1'000'000);  // 500 + 500
  const auto opened = open_bids(w.domain(), auction);
  EXPECT_FALSE(opened[0].within);
  EXPECT_EQ(opened[0].fault, "asks 0.60 in per million, the buyer's ceiling is 0.50");
  EXPECT_EQ(decided()->winner, party(11).address);
  EXPECT_EQ(decided()->price_out, 1'000'000);
  auction.bids.pop_back();
  EXPECT_EQ(decided().error().code, Errc::not_found);
}

TEST_F(AuctionTest, CeilingsAreFixedBeforeTheBids) {
  set_ceilings(std::nullopt, 1'700'000);
  bid(10, 1'000'000, 1'600'000);
  bid(11, 1'000'000, 2'000'000);
  const auto good = auction;
  // A buyer that has read the bids lowers its ceiling to the winner's, or makes one up.
  auction.ceilings->price_out = 1'600'000;
  award(10, *decided());
  EXPECT_NE(fault().find("does not commit to these ceilings"), std::string::npos) << fault();
  // Leaving it out makes the winner dearer.
  auction = good;
  auction.ceilings.reset();
  EXPECT_EQ(decided()->price_out, 2'000'000);
  for (const auto& other :
       {Ceilings{1'700'000, std::nullopt, Hash{7}}, Ceilings{std::nullopt, 1'700'000, Hash{8}},
        Ceilings{0, 1'700'000, Hash{7}}})
    EXPECT_NE(sealing_key(other).bytes, good.key.bytes);
  json::object record = to_json(good);
  record["ceilings"].get_object()["price_out"] = "-1";
  EXPECT_FALSE(auction_from_json(record));
  record["ceilings"].get_object().erase("price_out");
  EXPECT_FALSE(auction_from_json(record));
}

TEST_F(AuctionTest, BidsThatAreNoneAreShownAndDoNotWin) {
  bid(10, 1'000'000, 2'000'000);
  auction.bids.push_back(sealed(11, offer(12, 1, 1)));  // somebody else's offer
  auto altered = sealed(12, offer(12, 1, 1));
  altered.sealed.back() ^= 1;
  auction.bids.push_back(altered);
  auto elsewhere = sealed(13, offer(13, 1, 1));
  elsewhere.bid = w.sign(
      protocol::SealedBid{party(13).address, Hash{1}, crypto::sha256(elsewhere.sealed)}, party(13));
  auction.bids.push_back(elsewhere);
  auto other_model = offer(14, 1, 1).message;
  other_model.models[0].weights_root = Hash{77};
  auction.bids.push_back(sealed(14, w.sign(other_model, party(14))));
  auto short_lived = offer(15, 1, 1).message;
  short_lived.expires = auction.call.message.deadline;
  auction.bids.push_back(sealed(15, w.sign(short_lived, party(15))));
  const auto opened = open_bids(w.domain(), auction);
  ASSERT_EQ(opened.size(), 6u);
  EXPECT_EQ(opened[0].provider, party(10).address);
  for (std::size_t i = 1; i < opened.size(); ++i) {
    EXPECT_FALSE(opened[i].offer) << i;
    EXPECT_FALSE(opened[i].fault.empty()) << i;
  }
  EXPECT_EQ(decided()->winner, party(10).address);
  auction.bids.erase(auction.bids.begin());
  EXPECT_EQ(decided().error().code, Errc::not_found);
}

TEST_F(AuctionTest, ARecordThatWasTamperedWithDoesNotHold) {
  bid(10, 1'000'000, 2'000'000);
  bid(11, 500'000, 1'000'000);
  const auto verdict = *decided();
  award(11, verdict);
  ASSERT_EQ(fault(), "");
  const auto good = auction;
  const auto expect = [&](std::string_view why) {
    EXPECT_NE(fault().find(why), std::string::npos) << fault();
    auction = good;
  };
  award(10, verdict);
  expect("awarded to");
  auction.awarded = offer(11, 500'000, 1'000'000);
  expect("the bids clear at 0.50 and 3.00");
  auction.bids.pop_back();  // the winner's own bid left out
  expect("awarded to");
  auction.bids.erase(auction.bids.begin());  // a dearer one left out: then nobody paid too much
  expect("the bids clear at 0.50 and 1.00");
  auction.bids.push_back(auction.bids[0]);
  expect("bids twice");
  auction.key.bytes[1] ^= 1;
  expect("not the one bids were sealed for");
  auction.call.message.pricing = 0;
  expect("BidCall");
  auction.awarded.reset();
  expect("nothing was awarded");
  auction.bids[0].bid.message.sealed[0] ^= 1;
  expect("SealedBid");
}

TEST_F(AuctionTest, LengthsSayNothing) {
  EXPECT_EQ(sealed(10, offer(10, 1, 1)).sealed.size(),
            sealed(10, offer(10, 900'000'000'000, 900'000'000'000)).sealed.size());
}

}  // namespace
}  // namespace assay::market::test
