// A provider's bids: one for each call, sealed, at its discount, and raised when asked.
#include "services/provider/bid_desk.hpp"

#include "crypto/sha256.hpp"
#include "io/http_client.hpp"
#include "services/provider/provider_testutil.hpp"

namespace assay::services {
namespace {

struct BidDeskTest : testing::Test {
  World world;
  std::unique_ptr<ProviderService> service;
  crypto::X25519SecretKey key;
  io::HttpClient client;

  void SetUp() override {
    auto options = world.options();
    options.bid_discount_bps = 2'000;
    service = *world.start(options);
    key.bytes[3] = 5;
  }
  protocol::Signed<protocol::BidCall> call(std::uint64_t nonce = 1) {
    const auto& m = world.toy.offered;
    return protocol::sign(
        world.info.domain,
        protocol::BidCall{.buyer = crypto::address_of(world.buyer),
                          .execution = protocol::struct_hash(
                              protocol::ExecutionId{m.weights_root, m.program_hash, m.canon}),
                          .prompt_tokens = 10,
                          .max_tokens = 10,
                          .pricing = 1,
                          .seal_key = crypto::x25519_public_key(key),
                          .deadline = static_cast<std::uint64_t>(world.clock.now_s()) + 5,
                          .nonce = nonce},
        world.buyer);
  }
  io::HttpReply post(const std::string& path, const json::object& body) {
    return *client.post_json(service->url() + path, json::dump(body));
  }
  template <class T, class F>
  T read(const io::HttpReply& reply, F&& from) {
    EXPECT_EQ(reply.status, 200) << reply.body;
    auto out = from(json::parse(reply.body)->get_object());
    EXPECT_TRUE(out) << out.error().message;
    return out ? *out : T{};
  }
  protocol::BidReply bid(const protocol::Signed<protocol::BidCall>& asked) {
    return read<protocol::BidReply>(post("/v1/bid", protocol::to_json(asked)),
                                    protocol::bid_reply_from_json);
  }
};

TEST_F(BidDeskTest, BidsItsDiscountOnceForEachCall) {
  const auto asked = call();
  const Hash id = protocol::digest(world.info.domain, asked.message);
  const auto reply = bid(asked);
  EXPECT_TRUE(protocol::check_signature(world.info.domain, reply.bid, service->address()));
  EXPECT_EQ(reply.bid.message.call, id);
  EXPECT_EQ(reply.bid.message.sealed, crypto::sha256(reply.sealed));
  const auto offer = protocol::open_bid(id, key, reply.sealed);
  ASSERT_TRUE(offer) << offer.error().message;
  EXPECT_TRUE(protocol::check_signature(world.info.domain, *offer, service->address()));
  ASSERT_EQ(offer->message.models.size(), 1u);
  EXPECT_EQ(offer->message.models[0].price_in, 240'000);
  EXPECT_EQ(offer->message.models[0].price_out, 960'000);
  EXPECT_EQ(offer->message.expires, asked.message.deadline + kBidGrace);
  EXPECT_EQ(bid(asked).sealed, reply.sealed);
  EXPECT_NE(bid(call(2)).sealed, reply.sealed);

  const auto award = [&](protocol::Micros price_out) {
    return post("/v1/award", protocol::to_json(protocol::AwardCall{*offer, price_out}));
  };
  const auto raised = read<protocol::Signed<protocol::Offer>>(
      award(1'100'000),
      [](const json::object& o) { return protocol::signed_from_json<protocol::Offer>(o); });
  EXPECT_TRUE(protocol::check_signature(world.info.domain, raised, service->address()));
  EXPECT_EQ(raised.message.models[0].price_out, 1'100'000);
  EXPECT_EQ(raised.message.models[0].price_in, 240'000);
  EXPECT_NE(award(959'999).status, 200);
  auto foreign = *offer;
  foreign.message.models[0].price_out = 1;
  EXPECT_NE(post("/v1/award", protocol::to_json(protocol::AwardCall{foreign, 960'000})).status,
            200);
}

TEST_F(BidDeskTest, RefusesCallsThatAreNone) {
  auto asked = call();
  asked.message.max_tokens += 1;
  EXPECT_NE(post("/v1/bid", protocol::to_json(asked)).status, 200);  // not what was signed
  const auto resigned = [&](auto change) {
    auto m = call().message;
    change(m);
    return post("/v1/bid", protocol::to_json(protocol::sign(world.info.domain, m, world.buyer)));
  };
  EXPECT_EQ(resigned([](auto& m) { m.execution[0] ^= 1; }).status, 404);
  EXPECT_NE(resigned([](auto& m) { m.deadline -= 6; }).status, 200);
  EXPECT_NE(resigned([](auto& m) { m.deadline += kBidAhead; }).status, 200);
  EXPECT_NE(resigned([](auto& m) { m.seal_key = {}; }).status, 200);
  EXPECT_EQ(post("/v1/bid", {}).status, 400);
  EXPECT_EQ(post("/v1/award", {}).status, 400);
}

}  // namespace
}  // namespace assay::services
