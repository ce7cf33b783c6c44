#include "services/provider/provider_service.hpp"

#include <future>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"
#include "services/provider/provider_testutil.hpp"
#include "verify/audit.hpp"

namespace assay::services {
namespace {

using testing::HasSubstr;

template <class Reply>
Result<Reply> post(const std::string& url, const protocol::Recall& recall,
                   Result<Reply> (*read)(const json::object&)) {
  io::HttpClient client;
  TRY(const auto http, client.post_json(url, json::dump(protocol::to_json(recall))));
  if (http.status != 200) return fail(Errc::refused, "{} {}", http.status, http.body);
  TRY(const json::value body, json::parse(http.body));
  return read(body.get_object());
}

protocol::Opening opening_of(const World& world, const protocol::InferenceCall& call,
                             const Reply& reply) {
  protocol::Opening opening;
  opening.request = world.id(call);
  opening.salt_secret = call.salt_secret;
  opening.prompt = call.prompt;
  opening.stop_ids = call.stop_ids;
  opening.answer = reply.tokens;
  opening.logprobs = reply.logprobs;
  return opening;
}

bool audit_matches(const World& world, const protocol::InferenceCall& call, const Reply& reply) {
  ThreadPool pool(2);
  const auto report =
      verify::replay_audit(call.request.message, reply.receipt->message,
                           opening_of(world, call, reply), world.toy.model, pool, {}, world.clock);
  return report && report->match;
}

// As that of a relay, which reads a chain of its own accord.
struct LateBoard : market::Board {
  market::Board& board;
  int refusals;
  LateBoard(market::Board& b, int n) : board(b), refusals(n) {}
  Result<std::vector<protocol::Signed<protocol::Offer>>> offers() override {
    return board.offers();
  }
  Status publish(const protocol::Signed<protocol::Offer>& offer) override {
    if (refusals-- > 0) return fail(Errc::refused, "stake at least 1.00 first");
    return board.publish(offer);
  }
};

TEST(Provider, ABoardThatSeesItsStakeLaterIsAskedAgain) {
  World world;
  LateBoard board(*world.ledger, 2);
  const auto service =
      ProviderService::start(world.options(), {{world.toy.model, world.toy.offered}},
                             world.provider, *world.ledger, board, world.clock);
  ASSERT_TRUE(service) << service.error().message;
  EXPECT_EQ(world.ledger->offers()->size(), 1u);
}

TEST(Provider, WithoutAStakeItIsToldAtOnce) {
  World world;
  LateBoard board(*world.ledger, 1'000);
  const auto service =
      ProviderService::start(world.options(), {{world.toy.model, world.toy.offered}}, test_key(99),
                             *world.ledger, board, world.clock);
  ASSERT_FALSE(service);
  EXPECT_THAT(service.error().message, HasSubstr("stake at least"));
  EXPECT_EQ(board.refusals, 999);
}

TEST(Provider, AnswersAndIsAuditable) {
  World world;
  const auto service = *world.start();
  const auto offers = *world.ledger->offers();
  ASSERT_EQ(offers.size(), 1u);
  EXPECT_EQ(offers[0].message.endpoint, service->url());
  EXPECT_GT(offers[0].message.first_token_ms, 0u);

  const auto call = world.call(world.open_lease(), 1);
  const auto reply = world.infer(service->url(), call);
  world.expect_sound(call, reply);
  EXPECT_EQ(reply.tokens.size(), 40u);
  EXPECT_EQ(reply.receipt->message.key_sequence, 1u);
  ASSERT_EQ(reply.progress.size(), 2u);
  for (const auto& p : reply.progress) {
    const auto so_far = std::span(reply.tokens).first(p.message.count);
    EXPECT_TRUE(protocol::check_progress(world.info.domain, call.lease.message,
                                         call.request.message, call.salt_secret, so_far, Hash{},
                                         p));
  }
  EXPECT_TRUE(audit_matches(world, call, reply));
}

TEST(Provider, SameRequestIsAnsweredOnceAndChargedOnce) {
  World world;
  auto service = *world.start();
  const auto call = world.call(world.open_lease(), 1);
  const auto first = world.infer(service->url(), call);
  const auto again = world.infer(service->url(), call);
  EXPECT_EQ(first.tokens, again.tokens);
  EXPECT_EQ(first.receipt->signature, again.receipt->signature);
  // Also when both come at once, and after a restart, and when it has expired meanwhile.
  const auto second = world.call(call.request.message.lease, 2, 2000);
  Reply a, b;
  std::thread other([&] { a = world.infer(service->url(), second); });
  b = world.infer(service->url(), second);
  other.join();
  ASSERT_TRUE(a.receipt && b.receipt) << a.error << b.error;
  EXPECT_EQ(a.receipt->signature, b.receipt->signature);
  EXPECT_EQ(a.tokens, b.tokens);
  service.reset();
  service = *world.start();
  world.clock.advance_s(4000);
  EXPECT_EQ(world.infer(service->url(), call).receipt->signature, first.receipt->signature);
  EXPECT_EQ(service->totals()->receipts, 2u);
  // Only for those who know its secret.
  auto stranger = call;
  stranger.salt_secret[0] ^= 1;
  EXPECT_THAT(world.infer(service->url(), stranger).error, HasSubstr("salt"));
}

TEST(Provider, ClientThatLeavesPaysForWhatItGot) {
  World world;
  const auto service = *world.start();
  const auto call = world.call(world.open_lease(), 1, 4000);
  const auto cut = world.infer(service->url(), call, 3);
  EXPECT_FALSE(cut.receipt);
  const protocol::Recall recall{world.id(call), call.salt_secret, {}};
  std::optional<protocol::ReceiptReply> picked;
  ASSERT_TRUE(eventually([&] {
    auto reply = post(service->url() + "/v1/receipt", recall, protocol::receipt_reply_from_json);
    if (reply) picked = *reply;
    return reply.has_value();
  }));
  EXPECT_EQ(picked->receipt.message.finish,
            static_cast<std::uint32_t>(protocol::Finish::cancelled));
  EXPECT_GE(picked->answer.size(), 3u);
  EXPECT_LT(picked->answer.size(), 4000u);
  Reply whole{200, "", picked->answer, picked->logprobs, {}, picked->receipt};
  world.expect_sound(call, whole);
  EXPECT_TRUE(audit_matches(world, call, whole));
  // The outcome stands: asked again, the same.
  EXPECT_EQ(world.infer(service->url(), call).receipt->signature, picked->receipt.signature);
}

TEST(Provider, RefusalsNameTheReason) {
  World world;
  const auto service = *world.start();
  const Hash lease = world.open_lease(1'000'000);
  const auto expect = [&](int status, std::string_view text, auto change) {
    auto call = world.call(lease, 9);
    change(call);
    const auto reply = world.infer(service->url(), call);
    EXPECT_EQ(reply.status, status) << text << " " << reply.error;
    EXPECT_THAT(reply.error, HasSubstr(std::string(text)));
    EXPECT_FALSE(reply.receipt);
  };
  const auto request = [&](auto change) {
    return [&world, change](protocol::InferenceCall& c) {
      change(c.request.message);
      world.sign(c);
    };
  };
  expect(403, "cap", request([](auto& r) { r.cap -= 1; }));
  expect(403, "expire",
         request([&](auto& r) { r.expires = static_cast<std::uint64_t>(world.clock.now_s()); }));
  expect(403, "expires", request([](auto& r) { r.expires += 1; }));
  expect(422, "execution", request([](auto& r) { r.execution[0] ^= 1; }));
  expect(400, "continuation", request([](auto& r) { r.continuation = 7; }));
  expect(400, "context", [&](auto& c) { c = world.call(lease, 9, 4096); });
  expect(422, "salt", [](auto& c) { c.salt_secret[0] ^= 1; });
  expect(422, "prompt", [](auto& c) { c.prompt[3] ^= 1; });
  expect(422, "signature", [](auto& c) { c.request.signature.bytes[4] ^= 1; });
  expect(400, "vocabulary", [&](auto& c) {
    c.prompt[2] = 99;
    c.request.message.prompt_root = protocol::prompt_root(c.salt_secret, c.prompt);
    world.sign(c);
  });
  expect(403, "not on the ledger", [&](auto& c) {
    c.lease.message.nonce += 1000;
    c.lease = protocol::sign(world.info.domain, c.lease.message, world.buyer);
    c.request.message.lease = protocol::digest(world.info.domain, c.lease.message);
    world.sign(c);
  });
  EXPECT_EQ(service->totals()->requests, 0u);  // nothing of it was kept
  // A sequence is used once.
  world.expect_sound(world.call(lease, 1), world.infer(service->url(), world.call(lease, 1)));
  auto other = world.call(lease, 1);
  other.request.message.seed = 77;
  world.sign(other);
  EXPECT_EQ(world.infer(service->url(), other).status, 409);
  const auto close = protocol::Close{crypto::address_of(world.provider), lease};
  ASSERT_TRUE(world.ledger->submit(protocol::sign(world.info.domain, close, world.provider)));
  expect(403, "closed", [](auto&) {});
}

TEST(Provider, OpenCapsNeverExceedTheEscrow) {
  World world;
  const auto service = *world.start();
  const auto probe = world.call(world.open_lease(), 1);
  const protocol::Micros cap = probe.request.message.cap;
  const Hash lease = world.open_lease(2 * cap + 1);
  world.expect_sound(world.call(lease, 1), world.infer(service->url(), world.call(lease, 1)));
  world.expect_sound(world.call(lease, 2), world.infer(service->url(), world.call(lease, 2)));
  EXPECT_THAT(world.infer(service->url(), world.call(lease, 3)).error,
              HasSubstr("escrow too small"));
  // Paying does not make room (the escrow shrinks as much), topping up does.
  const auto pay = protocol::Settlement{lease, 2 * cap};
  ASSERT_TRUE(world.ledger->submit(protocol::sign(world.info.domain, pay, world.buyer)));
  EXPECT_EQ(world.infer(service->url(), world.call(lease, 3)).status, 403);
  const auto more = protocol::TopUp{crypto::address_of(world.buyer), lease, cap, 99};
  ASSERT_TRUE(world.ledger->submit(protocol::sign(world.info.domain, more, world.buyer)));
  world.expect_sound(world.call(lease, 3), world.infer(service->url(), world.call(lease, 3)));
}

TEST(Provider, ContinuationIsFreeToCheckAndReported) {
  World world;
  const auto service = *world.start();
  const Hash lease = world.open_lease();
  const auto whole_call = world.call(lease, 1);
  const auto whole = world.infer(service->url(), whole_call);
  const auto continued = [&](std::uint64_t sequence, bool bent) {
    auto call = world.call(lease, sequence, 20);
    call.prompt.insert(call.prompt.end(), whole.tokens.begin(), whole.tokens.begin() + 20);
    if (bent) call.prompt[10] = (call.prompt[10] + 1) % engine::kToyVocab;
    auto& r = call.request.message;
    r.continuation = 20;
    r.seed = whole_call.request.message.seed;
    r.prompt_count = static_cast<std::uint32_t>(call.prompt.size());
    r.prompt_root = protocol::prompt_root(call.salt_secret, call.prompt);
    r.cap = *protocol::cap_for(call.lease.message, r.prompt_count, r.max_tokens);
    world.sign(call);
    return call;
  };
  const auto rest_call = continued(2, false);
  const auto rest = world.infer(service->url(), rest_call);
  world.expect_sound(rest_call, rest);
  EXPECT_TRUE(std::ranges::equal(rest.tokens, std::span(whole.tokens).subspan(20)));
  EXPECT_TRUE(audit_matches(world, rest_call, rest));
  const auto bent = world.infer(service->url(), continued(3, true));
  EXPECT_FALSE(bent.receipt);
  EXPECT_THAT(bent.error, HasSubstr("at position 9 it chooses token"));
  EXPECT_EQ(service->totals()->receipts, 2u);
}

TEST(Provider, BusyBeyondTheQueue) {
  World world;
  auto options = world.options();
  options.slots = 1;
  options.queue = 0;
  const auto service = *world.start(options);
  const Hash lease = world.open_lease(10'000'000);
  const auto slow = world.call(lease, 1, 4000);
  std::promise<void> started, tested;
  std::thread first([&] {
    World::infer(service->url(), slow, 1, [&] {
      started.set_value();
      tested.get_future().wait();
    });
  });
  started.get_future().wait();
  const auto reply = World::infer(service->url(), world.call(lease, 2, 1));
  tested.set_value();
  first.join();
  EXPECT_EQ(reply.status, 429);
  EXPECT_THAT(reply.error, HasSubstr("busy"));
}

TEST(Provider, ServesItsTraceOnDemand) {
  World world;
  const auto service = *world.start();
  const auto call = world.call(world.open_lease(), 1);
  const auto reply = world.infer(service->url(), call);
  const protocol::Recall recall{world.id(call), call.salt_secret, {0, 17}};
  const auto trace = post(service->url() + "/v1/trace", recall, protocol::trace_reply_from_json);
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(verify::trace_root(trace->position_roots, 4), reply.receipt->message.trace_root);
  ASSERT_EQ(trace->positions.size(), 2u);
  EXPECT_EQ(verify::position_root(trace->positions[1].leaves), trace->position_roots[17]);
  EXPECT_EQ(trace->positions[0].leaves.size(), 4u);  // in the prompt: no head
  EXPECT_EQ(trace->positions[1].leaves.size(), 5u);
  for (auto bad : {protocol::Recall{world.id(call), Hash{}, {}},
                   protocol::Recall{Hash{}, call.salt_secret, {}},
                   protocol::Recall{world.id(call), call.salt_secret, {46}}})
    EXPECT_FALSE(post(service->url() + "/v1/trace", bad, protocol::trace_reply_from_json));
}

TEST(Provider, IsPaidWithoutTheBuyer) {
  World world;
  const auto service = *world.start();
  const Hash lease = world.open_lease(1'000'000, 100);
  protocol::Micros owed = 0;
  for (std::uint64_t s = 1; s <= 3; ++s)
    owed += world.infer(service->url(), world.call(lease, s)).receipt->message.amount;
  // One of the three was settled; the buyer is gone for the rest.
  const auto pay = protocol::Settlement{lease, owed / 3};
  ASSERT_TRUE(world.ledger->submit(protocol::sign(world.info.domain, pay, world.buyer)));
  const auto address = crypto::address_of(world.provider);
  const auto before = world.ledger->account(address)->available;
  world.clock.advance_s(101);
  ASSERT_TRUE(eventually([&] { return world.lease(lease).claim.has_value(); }));
  EXPECT_EQ(world.lease(lease).claim->total, owed);
  EXPECT_EQ(world.lease(lease).claim->count, 3u);
  world.clock.advance_s(21);
  ASSERT_TRUE(eventually([&] { return world.lease(lease).state == market::LeaseState::closed; }));
  EXPECT_EQ(world.lease(lease).paid, owed);
  EXPECT_EQ(world.ledger->account(address)->available - before, owed - owed / 3);
  EXPECT_TRUE(world.ledger->totals()->conserved());
  EXPECT_TRUE(eventually([&] { return service->totals()->open_leases == 0; }));
}

TEST(Provider, OpensAContestedClaim) {
  World world;
  auto service = *world.start();
  const Hash lease = world.open_lease(1'000'000, 100);
  protocol::Micros owed = 0;
  for (const std::uint64_t s : {2u, 1u, 5u})  // as they came, not in order
    owed += world.infer(service->url(), world.call(lease, s)).receipt->message.amount;
  world.clock.advance_s(101);
  ASSERT_TRUE(eventually([&] { return world.lease(lease).claim.has_value(); }));
  service.reset();  // and the answer comes from disk
  const protocol::Dispute dispute{crypto::address_of(world.buyer), lease,
                                  world.lease(lease).claim->id, 100'000, 5};
  ASSERT_TRUE(world.ledger->submit(
      market::ContestClaim{protocol::sign(world.info.domain, dispute, world.buyer)}));
  service = *world.start();
  ASSERT_TRUE(eventually([&] { return world.lease(lease).claim->opened; }));
  world.clock.advance_s(60);
  ASSERT_TRUE(eventually([&] { return world.lease(lease).state == market::LeaseState::closed; }));
  EXPECT_EQ(world.lease(lease).paid, owed);
}

TEST(Provider, OffersAreRenewedAndWithdrawn) {
  World world;
  auto options = world.options();
  options.offer_lifetime_s = 100;
  auto service = *world.start(options);
  const auto first = world.ledger->offers()->at(0).message;
  world.clock.advance_s(51);
  ASSERT_TRUE(
      eventually([&] { return world.ledger->offers()->at(0).message.sequence > first.sequence; }));
  service->stop();
  world.clock.advance_s(2);
  EXPECT_TRUE(world.ledger->offers()->empty());
  service.reset();
  service = *world.start(options);
  EXPECT_GT(world.ledger->offers()->at(0).message.sequence, first.sequence + 1);
}

TEST(Provider, OneProcessAndOneKeyPerDirectory) {
  World world;
  auto service = *world.start();
  EXPECT_THAT(world.start().error().message, HasSubstr("in use"));
  service.reset();
  world.provider = test_key(9);
  const auto other = world.start();
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("another key"));
}

TEST(Provider, NonsenseIsRefusedInJson) {
  World world;
  const auto service = *world.start();
  io::HttpClient client;
  for (const std::string path : {"/v1/infer", "/v1/receipt", "/v1/trace"})
    for (const std::string body : {"", "{", "[]", "{}", "{\"lease\":1}", "null"}) {
      const auto reply = client.post_json(service->url() + path, body);
      ASSERT_TRUE(reply) << reply.error().message;
      EXPECT_EQ(reply->status, 400) << path << " " << body;
      EXPECT_TRUE(json::parse(reply->body)->is_object());
    }
  EXPECT_EQ(client.get(service->url() + "/health")->body,
            R"({"status":"ok","service":"provider","wire":"1"})");
}

}  // namespace
}  // namespace assay::services
