// Paying sellers, good and bad, on anvil: what is signed, how often, and what becomes of it.
#include "settle/x402/purse.hpp"

#include <set>

#include "io/http_server.hpp"
#include "settle/x402/counter.hpp"
#include "settle/x402/x402_testutil.hpp"

namespace assay::settle::x402 {
namespace {

class X402Purse : public X402Test {
 protected:
  void SetUp() override {
    X402Test::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    auto started = io::HttpServer::start(
        {},
        [this](io::HttpRequest& request, io::HttpResponse& response) { serve(request, response); });
    ASSERT_TRUE(started) << started.error().message;
    server = std::move(*started);
    open_purse();
  }
  void TearDown() override { server.reset(); }

  void serve(io::HttpRequest& request, io::HttpResponse& response) {
    const std::string header(request.header(protocol::x402::kSignatureHeader));
    if (!header.empty()) {
      const std::lock_guard lock(mutex);
      seen.push_back(header);
    }
    if (!header.empty() && broken) {
      response.send_error(broken, "broken");
      return;
    }
    auto sale =
        accept(*till, request, response, [&] { return std::optional<Micros>(price.load()); });
    if (!sale || !collect(*till, *sale, 0, request, response)) return;
    if (silent) {
      response.begin_stream(200, "application/json");
      return response.abort();
    }
    response.send(200, "application/json", "{\"answer\":1}");
  }
  void open_purse() {
    purse.reset();
    auto opened = Purse::open({.asset = asset,
                               .data_file = folder->file("purchases.db"),
                               .most = 1'000,
                               .budget = 1'500,
                               .patience_ms = 300,
                               .retry_ms = 100,
                               .round_ms = 1'000'000},
                              chain->rpc(), payer_key, clock);
    ASSERT_TRUE(opened) << opened.error().message;
    purse = std::move(*opened);
  }
  Result<Bought> buy(std::uint8_t id, std::string_view body = "{}") {
    return purse->buy(Hash{id}, server->url() + "/v1/completions", body);
  }
  std::string bought(std::uint8_t id) {
    const auto got = buy(id);
    return got ? got->reply.body : std::string(to_string(got.error().code));
  }
  std::string state(std::uint8_t id) {
    const auto row = purse->purchases().find(Hash{id});
    return row && *row ? std::string(to_string((*row)->state)) : "none";
  }
  std::size_t authorizations() {
    const std::lock_guard lock(mutex);
    return std::set(seen.begin(), seen.end()).size();
  }
  void pass_time(std::uint64_t seconds) {
    ASSERT_TRUE(chain->set_next_time(chain->rpc().head()->timestamp + seconds));
    ASSERT_TRUE(chain->mine());
  }

  std::atomic<Micros> price = 400;
  std::atomic<int> broken = 0;
  std::atomic<bool> silent = false;
  std::mutex mutex;
  std::vector<std::string> seen;  // PAYMENT-SIGNATURE, as they came
  std::unique_ptr<io::HttpServer> server;
  std::unique_ptr<Purse> purse;
};

TEST_F(X402Purse, OnePurchaseIsPaidOnce) {
  EXPECT_EQ(bought(1), "{\"answer\":1}");
  EXPECT_EQ(bought(1), "{\"answer\":1}");  // the seller knows the payment
  open_purse();                            // as after kill -9
  EXPECT_EQ(bought(1), "{\"answer\":1}");
  EXPECT_EQ(authorizations(), 1u);
  EXPECT_EQ(state(1), "paid");
  EXPECT_EQ(balance(shop), 400);
  EXPECT_EQ(buy(1, "{\"other\":1}").error().code, Errc::conflict);
}

TEST_F(X402Purse, WhatIsOverALimitIsNotSigned) {
  price = 1'001;
  EXPECT_EQ(bought(1), "refused");
  price = 1'000;
  EXPECT_EQ(bought(2), "{\"answer\":1}");
  EXPECT_EQ(bought(3), "refused");  // the day's budget is 1,500
  price = 500;
  EXPECT_EQ(bought(3), "{\"answer\":1}");
  EXPECT_EQ(bought(4), "refused");
  EXPECT_EQ(authorizations(), 2u);
  EXPECT_EQ(balance(shop), 1'500);
}

TEST_F(X402Purse, ASellerThatTakesNothingIsNotPaidAndAskedAgain) {
  broken = 500;
  EXPECT_EQ(bought(1), "unavailable");
  broken = 402;
  open_purse();
  EXPECT_EQ(bought(1), "unavailable");  // whatever it says: it has the authorization
  EXPECT_EQ(authorizations(), 1u);
  EXPECT_EQ(state(1), "open");
  EXPECT_EQ(*purse->purchases().spent(0), 400);
  // Until it cannot be used any more. Then nothing is owed, and another may be signed.
  pass_time(700);
  ASSERT_TRUE(purse->look());
  EXPECT_EQ(state(1), "void");
  EXPECT_EQ(*purse->purchases().spent(0), 0);
  EXPECT_EQ(bought(1), "unavailable");
  EXPECT_EQ(authorizations(), 2u);
  EXPECT_EQ(balance(shop), 0);
}

TEST_F(X402Purse, ASellerThatTakesTheMoneyAndIsSilentIsPaidOnce) {
  silent = true;
  EXPECT_EQ(bought(1), "unavailable");
  ASSERT_TRUE(purse->look());
  EXPECT_EQ(state(1), "paid");
  EXPECT_EQ(bought(1), "unavailable");
  pass_time(700);
  ASSERT_TRUE(purse->look());
  EXPECT_EQ(bought(1), "unavailable");
  silent = false;
  EXPECT_EQ(bought(1), "{\"answer\":1}");
  EXPECT_EQ(authorizations(), 1u);
  EXPECT_EQ(balance(shop), 400);
}

}  // namespace
}  // namespace assay::settle::x402
