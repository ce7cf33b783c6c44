// Offers on a board.
#include "market/board.hpp"

#include <gtest/gtest.h>

#include "market/ledger_testutil.hpp"

namespace assay::market::test {
namespace {

struct BoardTest : testing::Test {
  World w;
  OfferBook book{w.domain()};
  Signed<Offer> offer(std::uint64_t sequence, std::uint64_t lifetime = 100) {
    auto o = w.offer(w.provider, w.payout).message;
    o.sequence = sequence;
    o.expires = w.time + lifetime;
    return w.sign(o, w.provider);
  }
};

TEST_F(BoardTest, HigherSequenceReplaces) {
  EXPECT_TRUE(*book.put(offer(1), w.time));
  EXPECT_FALSE(*book.put(offer(1), w.time));  // the same again
  EXPECT_EQ(book.put(offer(1, 99), w.time).error().code, Errc::conflict);
  EXPECT_TRUE(*book.put(offer(3), w.time));
  EXPECT_EQ(book.put(offer(2), w.time).error().code, Errc::conflict);
  ASSERT_EQ(book.list(w.time).size(), 1u);
  EXPECT_EQ(book.list(w.time)[0].message.sequence, 3u);
}

TEST_F(BoardTest, OffersExpire) {
  ASSERT_TRUE(book.put(offer(1), w.time));
  EXPECT_EQ(book.list(w.time + 99).size(), 1u);
  EXPECT_TRUE(book.list(w.time + 100).empty());
  EXPECT_TRUE(book.prune(w.time + 99).empty());
  EXPECT_EQ(book.prune(w.time + 100), std::vector{w.provider.address});
  EXPECT_EQ(book.put(offer(1), w.time + 100).error().code, Errc::refused);
}

TEST_F(BoardTest, MalformedOffersAreRefused) {
  const auto refused = [&](auto change) {
    auto o = offer(1).message;
    change(o);
    return !check_offer(w.domain(), w.sign(o, w.provider), w.time).has_value();
  };
  EXPECT_FALSE(refused([](Offer&) {}));
  EXPECT_FALSE(refused([](Offer& o) { o.rebate_ppm = protocol::kRebateMax; }));
  EXPECT_TRUE(refused([](Offer& o) { o.rebate_ppm = protocol::kRebateMax + 1; }));
  EXPECT_TRUE(refused([](Offer& o) { o.models.clear(); }));
  EXPECT_TRUE(refused([](Offer& o) { o.models.push_back(o.models[0]); }));
  EXPECT_TRUE(refused([](Offer& o) { o.models[0].name.clear(); }));
  EXPECT_TRUE(refused([](Offer& o) { o.models[0].context = 0; }));
  EXPECT_TRUE(refused([](Offer& o) { o.endpoint = "ftp://x"; }));
  EXPECT_TRUE(refused([](Offer& o) { o.slots = 0; }));
  EXPECT_TRUE(refused([](Offer& o) { o.payout = {}; }));
  EXPECT_TRUE(refused([&](Offer& o) { o.expires = w.time + kOfferLifetimeMax + 1; }));
  EXPECT_TRUE(refused([&](Offer& o) { o.provider = w.buyer.address; }));
  const World elsewhere(small_parameters(), 2);
  EXPECT_FALSE(check_offer(elsewhere.domain(), offer(1), w.time));
}

}  // namespace
}  // namespace assay::market::test
