// An answer bought in a sealed-bid auction, from the call to the lease at the price that clears.
#include "market/auction.hpp"

#include <gtest/gtest.h>

#include "base/hex.hpp"
#include "services/gateway/gateway_testutil.hpp"
#include "settle/log_testutil.hpp"

namespace assay::services {
namespace {

struct AuctionTest : GatewayTest {
  io::HttpReply submit(const std::string& query = "?pricing=second&deadline=1") {
    return post(chat_body(), "/assay/jobs" + query);
  }
  json::object sold(const io::HttpReply& reply) {
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply.status == 200 ? parse_object(reply.body).at("assay").as_object() : json::object{};
  }
  market::Auction record(const json::object& assay) {
    return *market::auction_from_json(
        get("/assay/auctions/" + text_at(assay.at("auction").as_object(), "id")));
  }
  protocol::Micros lease_price_out(const json::object& assay) {
    return ledger->lease(*array_from_hex<32>(text_at(assay, "lease")))->terms.price_out;
  }
};

TEST_F(AuctionTest, TheSecondBidIsPaidAndTheRecordHolds) {
  add_provider({.bids = 900'000});
  ScriptedProvider& winner = add_provider({.bids = 500'000});
  add_provider({});  // does not bid
  start();
  const json::object assay = sold(submit());
  EXPECT_EQ(assay.at("provider"), json::value(winner.address().to_string()));
  EXPECT_EQ(assay.at("auction").at("price_out"), "1.00");
  // Of 6 tokens the second bid is 5.4 micro-units, rounded up to 6: 1.00 per million.
  EXPECT_EQ(lease_price_out(assay), 1'000'000);
  EXPECT_EQ(assay.at("auction").at("bids").as_array().size(), 2u);
  const auto verdict = market::verify(ledger->info()->domain, record(assay));
  ASSERT_TRUE(verdict) << verdict.error().message;
  EXPECT_EQ(verdict->winner, winner.address());
  const json::object row = await_stage(text_at(assay, "receipt"), "settled");
  EXPECT_EQ(row.at("audit"), "match");
  EXPECT_TRUE(ledger->totals()->conserved());
}

TEST_F(AuctionTest, NobodyIsAskedForABidThatCannotBePaid) {
  ScriptedProvider& provider = add_provider({.bids = 900'000});
  start();
  const auto buyer = crypto::address_of(test_key(2));
  ASSERT_TRUE(ledger->submit(
      sign(protocol::Withdraw{.account = buyer, .amount = 9'999'995, .nonce = ++nonce}, 2)));
  const io::HttpReply reply = submit();
  EXPECT_EQ(reply.status, 402) << reply.body;
  EXPECT_EQ(error_code(reply), "account_too_small");
  EXPECT_EQ(provider.bids_asked(), 0);
}

TEST_F(AuctionTest, TheFirstPriceIsTheBid) {
  add_provider({.bids = 900'000});
  add_provider({.bids = 500'000});
  start();
  const json::object assay = sold(submit("?pricing=first&deadline=1"));
  EXPECT_EQ(lease_price_out(assay), 500'000);
  EXPECT_TRUE(market::verify(ledger->info()->domain, record(assay)));
}

TEST_F(AuctionTest, AWinnerThatBacksOutIsPaidItsBidAndTheRecordSaysSo) {
  add_provider({.bids = 900'000});
  add_provider({.bids = 500'000, .backs_out = true});
  start();
  const json::object assay = sold(submit());
  EXPECT_EQ(lease_price_out(assay), 500'000);
  EXPECT_EQ(market::verify(ledger->info()->domain, record(assay)).error().code, Errc::mismatch);
}

TEST_F(AuctionTest, AWinnerThatDiesIsFollowedByTheNextBidder) {
  ScriptedProvider& next = add_provider({.bids = 900'000});
  add_provider({.refuse = true, .bids = 500'000});
  start();
  const json::object assay = sold(submit());
  EXPECT_EQ(assay.at("provider"), json::value(next.address().to_string()));
  EXPECT_EQ(lease_price_out(assay), 900'000);
}

TEST_F(AuctionTest, TheRecordGoesIntoTheLogOnceItIsOver) {
  settle::LogInMemory log;
  add_provider({.bids = 900'000});
  ScriptedProvider& winner = add_provider({.bids = 500'000});
  options.log_append_url = log.url();
  start();
  const json::object assay = sold(submit());
  const Hash call = *array_from_hex<32>(text_at(assay.at("auction").as_object(), "id"));
  EXPECT_TRUE(log.auctions().empty()) << "not before the deadline";
  clock.ms += 2'000;
  ASSERT_TRUE(soon([&] { return log.auctions().contains(call); }));
  const auto kept = log.auctions().at(call);
  EXPECT_EQ(kept.record, json::dump(to_json(record(assay))));
  EXPECT_EQ(kept.lease, *array_from_hex<32>(text_at(assay, "lease")));
  EXPECT_EQ(settle::check(kept)->verdict.winner, winner.address());
  const std::string unlogged = options.data_directory + "/unlogged/" + to_hex(call) + ".json";
  EXPECT_TRUE(soon([&] { return !io::path_exists(unlogged); }));
  // The next has the next number; one whose winner backed out stays outside.
  winner.script.backs_out = true;
  sold(submit());
  winner.script.backs_out = false;
  const json::object third = sold(submit());
  clock.ms += 2'000;
  ASSERT_TRUE(soon([&] { return log.auctions().size() == 2; }));
  EXPECT_TRUE(
      log.auctions().contains(*array_from_hex<32>(text_at(third.at("auction").as_object(), "id"))));
  EXPECT_EQ(log.entries().back().number, 2u);
}

TEST_F(AuctionTest, ThePriceThatClearsStopsAtTheBuyersCeiling) {
  ScriptedProvider& winner = add_provider({.price_out = 700'000, .bids = 600'000});
  add_provider({.price_out = 700'000, .bids = 700'000});
  start();
  json::object body = chat_body();
  body["provider"] = {{"max_price", {{"completion", "0.70"}}}};
  const json::object assay = sold(post(body, "/assay/jobs"));
  // Of 6 tokens the second bid is 5 micro-units, 0.833333 per million.
  EXPECT_EQ(assay.at("auction").at("price_out"), "0.70");
  EXPECT_EQ(assay.at("provider"), json::value(winner.address().to_string()));
  EXPECT_EQ(lease_price_out(assay), 700'000);
  const auto verdict = market::verify(ledger->info()->domain, record(assay));
  ASSERT_TRUE(verdict) << verdict.error().message;
}

TEST_F(AuctionTest, APrivateAuctionStaysPrivate) {
  settle::LogInMemory log;
  add_provider({.bids = 900'000});
  add_provider({.bids = 500'000});
  const std::string left = options.data_directory + "/unlogged/" + to_hex(Hash{7}) + ".json";
  start();
  const auto id = text_at(sold(submit()).at("auction").as_object(), "id");
  EXPECT_FALSE(io::path_exists(options.data_directory + "/unlogged/" + id + ".json"));
  gateway.reset();
  // What an earlier run left to publish goes, too, once the gateway is started without a log.
  ASSERT_TRUE(io::write_file_atomic(left, {}));
  start();
  EXPECT_FALSE(io::path_exists(left));
  gateway.reset();
  options.log_append_url = log.url();
  start();
  clock.ms += 2'000;
  const auto later = text_at(sold(submit()).at("auction").as_object(), "id");
  clock.ms += 2'000;
  ASSERT_TRUE(soon([&] { return !log.auctions().empty(); }));
  EXPECT_TRUE(log.auctions().contains(*array_from_hex<32>(later)));
  EXPECT_EQ(log.auctions().size(), 1u);
}

TEST_F(AuctionTest, WithoutBidsTheErrorSaysSo) {
  add_provider({});
  start();
  EXPECT_EQ(error_code(submit()), "no_bid");
  EXPECT_EQ(submit("?pricing=third").status, 400);
  EXPECT_EQ(submit("?deadline=0").status, 400);
  EXPECT_EQ(submit("?deadline=61").status, 400);
  json::object body = chat_body();
  body["stream"] = true;
  EXPECT_EQ(post(body, "/assay/jobs").status, 400);
  body = chat_body();
  body["provider"] = {{"max_price", {{"completion", "0.01"}}}};
  EXPECT_EQ(error_code(post(body, "/assay/jobs")), "no_provider_fits");
}

}  // namespace
}  // namespace assay::services
