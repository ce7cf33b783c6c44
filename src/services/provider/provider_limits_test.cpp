// What one buyer, a stranger or the provider's own end may cost the others.
#include <future>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

#include "engine/kv_cache.hpp"
#include "io/system_clock.hpp"
#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"
#include "services/provider/openings.hpp"
#include "services/provider/provider_testutil.hpp"

namespace assay::services {
namespace {

using testing::HasSubstr;

// Answers so long that a test has time, and the operating system no room, for them.
constexpr std::uint32_t kLong = 60'000;
engine::ToyShape long_shape() {
  return {.dim = 64, .heads = 4, .kv_heads = 2, .ffn = 256, .layers = 4, .context = 1u << 16};
}

// A request whose client reads one token and then waits for the test: it keeps its slot.
class Held {
 public:
  Held(const std::string& url, const protocol::InferenceCall& call)
      : thread_([this, url, call] {
          reply_ = World::infer(url, call, 1, [this] {
            started_.set_value();
            released_.get_future().wait();
          });
        }) {
    started_.get_future().wait();
  }
  void release() {
    if (!thread_.joinable()) return;
    released_.set_value();
    thread_.join();
  }
  ~Held() { release(); }

 private:
  Reply reply_;
  std::promise<void> started_, released_;
  std::thread thread_;
};

Result<io::HttpReply> ask_trace(const std::string& url, const World& world,
                                const protocol::InferenceCall& call) {
  io::HttpClient client;
  const protocol::Recall recall{world.id(call), call.salt_secret, {0}};
  return client.post_json(url + "/v1/trace", json::dump(protocol::to_json(recall)));
}

protocol::InferenceCall with_prompt(const World& world, protocol::InferenceCall call,
                                    std::size_t size, std::uint32_t continuation) {
  call.prompt.resize(size, 5);
  auto& r = call.request.message;
  r.continuation = continuation;
  r.prompt_count = static_cast<std::uint32_t>(size);
  r.prompt_root = protocol::prompt_root(call.salt_secret, call.prompt);
  r.cap = *protocol::cap_for(call.lease.message, r.prompt_count, r.max_tokens);
  world.sign(call);
  return call;
}

TEST(ProviderLimits, OneWaitsForARunningRequestAndNobodyWithoutItsLease) {
  World world(long_shape());
  const auto service = *world.start();
  const auto call = world.call(world.open_lease(10'000'000), 1, kLong);
  Held first(service->url(), call);
  // Of two, whichever comes first waits, and the other is answered at once, like all after it.
  std::array<Reply, 2> two;
  std::array<std::atomic<bool>, 2> answered{};
  std::vector<std::thread> waiters;
  for (std::size_t i = 0; i < two.size(); ++i)
    waiters.emplace_back([&, i] {
      two[i] = World::infer(service->url(), call);
      answered[i] = true;
    });
  const auto one_waits = [&] { return answered[0] != answered[1]; };
  const bool waiting = eventually(one_waits);
  std::vector<Reply> refused;
  for (int i = 0; i < 40 && one_waits(); ++i) refused.push_back(World::infer(service->url(), call));
  EXPECT_TRUE(waiting && one_waits());
  const std::size_t waiter = answered[0] ? 1 : 0;
  if (one_waits()) refused.push_back(two[1 - waiter]);
  EXPECT_EQ(refused.size(), 41u);
  for (const Reply& reply : refused) {
    EXPECT_EQ(reply.status, 409);
    EXPECT_THAT(reply.error, HasSubstr("somebody waits for it already"));
  }
  // Neither do those wait whose call does not hold.
  auto forged = call;
  forged.request.signature.bytes[4] ^= 1;
  EXPECT_EQ(World::infer(service->url(), forged).status, 422);
  auto stranger = call;
  stranger.salt_secret[0] ^= 1;
  EXPECT_EQ(World::infer(service->url(), stranger).status, 422);
  first.release();
  for (std::thread& thread : waiters) thread.join();
  world.expect_sound(call, two[waiter]);
  EXPECT_EQ(service->totals()->receipts, 1u);
}

TEST(ProviderLimits, OpeningsComeBehindPayingRequests) {
  World world(long_shape());
  auto options = world.options();
  options.slots = 1;
  options.queue = 0;
  options.trace_queue = 0;
  // Slower than its client reads: while that is behind, the engine is free for others.
  options.isa = engine::Isa::scalar;
  const auto service = *world.start(options);
  const Hash lease = world.open_lease(10'000'000), other = world.open_lease(10'000'000);
  const auto done = world.call(lease, 1, 8), theirs = world.call(other, 1, 8);
  world.expect_sound(done, World::infer(service->url(), done));
  world.expect_sound(theirs, World::infer(service->url(), theirs));

  constexpr std::uint32_t kSlow = 800;  // seconds
  const auto slow = world.call(lease, 2, kSlow);
  std::atomic<int> answers = 0;
  std::vector<int> statuses;
  std::mutex mutex;
  std::vector<std::thread> threads;
  std::atomic<bool> paid = false;
  Reply long_reply;
  std::promise<void> started;  // its first token: until then the engine is free
  std::thread paying([&] {
    long_reply = World::infer(service->url(), slow, 0, [&] { started.set_value(); });
    paid = true;
  });
  started.get_future().wait();
  for (int i = 0; i < 5; ++i)
    threads.emplace_back([&, i] {
      const auto reply = ask_trace(service->url(), world, i % 2 == 0 ? done : theirs);
      ++answers;
      const std::lock_guard lock(mutex);
      statuses.push_back(reply->status);
      if (reply->status == 429) {
        EXPECT_EQ(reply->headers.count("Retry-After"), 1u);
        EXPECT_THAT(reply->body, HasSubstr("ask again later"));
      }
    });
  // All but one are told to come back; that one waits for the answer that is paid for.
  EXPECT_TRUE(eventually([&] { return answers >= 4 || paid; }));
  EXPECT_FALSE(paid) << "it was too fast to tell";
  for (auto& thread : threads) thread.join();
  paying.join();
  world.expect_sound(slow, long_reply);
  EXPECT_EQ(long_reply.tokens.size(), kSlow);
  EXPECT_EQ(std::ranges::count(statuses, 429), 4);
  EXPECT_EQ(std::ranges::count(statuses, 200), 1);
  EXPECT_EQ(ask_trace(service->url(), world, done)->status, 200);
}

TEST(ProviderLimits, OpeningsQueueInOrderOneOfALease) {
  Openings openings(1);
  const Hash a{1}, b{2}, c{3};
  const auto stay = [] { return false; };
  auto first = std::make_optional(*openings.enter(a, stay));
  EXPECT_EQ(openings.enter(a, stay).error().code, Errc::unavailable);
  EXPECT_EQ(openings.enter(b, [] { return true; }).error().code, Errc::cancelled);
  std::atomic<bool> had_turn = false;
  std::thread second([&] {
    while (!had_turn) had_turn = openings.enter(b, stay).has_value();
  });
  ASSERT_TRUE(eventually([&] {
    const auto full = openings.enter(c, [] { return true; });
    return full.error().code == Errc::unavailable;  // b waits, and one may
  }));
  EXPECT_FALSE(had_turn);
  first.reset();
  second.join();
  EXPECT_TRUE(had_turn);
  EXPECT_TRUE(openings.enter(a, stay));
}

TEST(ProviderLimits, WrongContinuationsAreNotFreeForEver) {
  World world;
  const auto service = *world.start();  // a context of 4096
  const Hash lease = world.open_lease(10'000'000);
  std::uint64_t sequence = 0;
  const auto wrong = [&] {
    auto call = with_prompt(world, world.call(lease, ++sequence, 4), 1500, 1400);
    return World::infer(service->url(), call);
  };
  for (int i = 0; i < 3; ++i) {
    const Reply reply = wrong();
    EXPECT_EQ(reply.status, 200);
    EXPECT_THAT(reply.error, HasSubstr("the continuation is not this model's"));
  }
  const Reply refused = wrong();
  EXPECT_EQ(refused.status, 403);
  EXPECT_THAT(refused.error, HasSubstr("have cost 4500 prompt tokens nobody paid for"));
  // Others are not concerned, nor is a prompt without a continuation; and paying for one helps.
  const Hash other = world.open_lease(10'000'000);
  EXPECT_EQ(
      World::infer(service->url(), with_prompt(world, world.call(other, 1, 4), 50, 40)).status,
      200);
  const auto plain = with_prompt(world, world.call(lease, ++sequence, 4), 1500, 0);
  world.expect_sound(plain, World::infer(service->url(), plain));
  EXPECT_EQ(wrong().status, 200);
  EXPECT_EQ(wrong().status, 403);
}

TEST(ProviderLimits, TheOfferPromisesNoContextThatTheMemoryCannotHold) {
  World world;
  auto options = world.options();
  options.kv_bytes = std::size_t{1} << 20;
  options.prefix_cache = false;
  const auto service = *world.start(options);
  const std::size_t page =
      engine::PageLayout::of(world.toy.model->hyper(), *engine::find_kernels(options.isa))
          .page_bytes();
  const auto context = world.ledger->offers()->at(0).message.models.at(0).context;
  EXPECT_EQ(context, options.kv_bytes / page * engine::kPagePositions);
  EXPECT_LT(context, world.toy.model->hyper().context);
  // What it promises it can do; one page more it refuses before any work.
  const Hash lease = world.open_lease(10'000'000);
  const auto most = with_prompt(world, world.call(lease, 1, 2), context - 1, 0);
  world.expect_sound(most, World::infer(service->url(), most));
  const auto beyond = with_prompt(world, world.call(lease, 2, 2), context, 0);
  EXPECT_EQ(World::infer(service->url(), beyond).status, 403);
}

TEST(ProviderLimits, StoppingEndsWhatIsQueuedWithoutABillAndWhatHasBegunWithOne) {
  World world(long_shape());
  auto options = world.options();
  options.slots = 1;
  options.queue = 4;
  auto service = *world.start(options);
  const Hash lease = world.open_lease(10'000'000);
  const auto begun = world.call(lease, 1, kLong);
  std::vector<Reply> replies(4);
  std::vector<std::thread> clients;
  clients.emplace_back([&] {
    // It reads on, so that it also sees the end.
    replies[0] = World::infer(service->url(), begun);
  });
  ASSERT_TRUE(eventually([&] { return service->totals()->requests == 1u; }));
  for (std::uint64_t i = 1; i < 4; ++i)
    clients.emplace_back(
        [&, i] { replies[i] = World::infer(service->url(), world.call(lease, i + 1, 4000)); });
  ASSERT_TRUE(eventually([&] { return service->totals()->requests == 4u; }));
  const std::int64_t before = io::steady_ms();
  service->stop();
  EXPECT_LT(io::steady_ms() - before, 4'000);
  for (auto& client : clients) client.join();
  for (std::size_t i = 1; i < 4; ++i) {
    EXPECT_FALSE(replies[i].receipt);
    EXPECT_TRUE(replies[i].tokens.empty());
    EXPECT_THAT(replies[i].error, HasSubstr("shutting down"));
  }
  if (!replies[0].tokens.empty()) {
    world.expect_sound(begun, replies[0]);
    EXPECT_EQ(replies[0].receipt->message.finish,
              static_cast<std::uint32_t>(protocol::Finish::cancelled));
  }
  EXPECT_EQ(service->totals()->receipts, replies[0].tokens.empty() ? 0u : 1u);
  service.reset();
  // What was not billed can be asked again.
  service = *world.start(options);
  const auto again = world.call(lease, 2, 40);
  EXPECT_EQ(World::infer(service->url(), again).status, 409);  // another request had its sequence
  const auto same = world.call(lease, 3, 4000);
  world.expect_sound(same, World::infer(service->url(), same));
}

// Half the list price for who waits: served by an idle machine, told to come back by a busy one.
TEST(ProviderLimits, BatchesAreCheaperAndWait) {
  World world(long_shape());
  auto options = world.options();
  options.slots = 2;
  options.batch_discount_bps = 5'000;
  options.isa = engine::Isa::scalar;
  const auto service = *world.start(options);
  const auto offers = *world.ledger->offers();
  ASSERT_EQ(offers.size(), 1u);
  ASSERT_EQ(offers[0].message.models.size(), 2u);
  const protocol::OfferModel& batch = offers[0].message.models[1];
  EXPECT_EQ(batch.name, world.toy.offered.name + "@batch");
  EXPECT_EQ(batch.price_out, world.toy.offered.price_out / 2);

  const Hash listed = world.open_lease(10'000'000),
             cheap = world.open_lease(batch, 1'000'000, 3600);
  EXPECT_FALSE(protocol::for_batches(world.leases.at(listed).message, offers[0].message));
  EXPECT_TRUE(protocol::for_batches(world.leases.at(cheap).message, offers[0].message));
  const auto first = world.call(cheap, 1, 4);
  const Reply idle = World::infer(service->url(), first);
  world.expect_sound(first, idle);
  EXPECT_LE(idle.receipt->message.amount * 2,
            *protocol::amount_of(world.leases.at(listed).message, first.request.message, 4) + 2);

  Held paying(service->url(), world.call(listed, 1, kLong));
  const Reply busy = World::infer(service->url(), world.call(cheap, 2, 4));
  EXPECT_EQ(busy.status, 429);
  EXPECT_THAT(busy.error, HasSubstr("for batches, which wait"));
  const auto beside = world.call(listed, 2, 4);  // who pays the list price has the second slot
  world.expect_sound(beside, World::infer(service->url(), beside));
  paying.release();
  const auto later = world.call(cheap, 3, 4);
  EXPECT_TRUE(eventually([&] { return World::infer(service->url(), later).status == 200; }));
}

}  // namespace
}  // namespace assay::services
