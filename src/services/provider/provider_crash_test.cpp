// kill -9 at any moment: nothing is charged twice, nothing signed is contradicted, what is owed is
// still collected.
#include <csignal>
#include <gtest/gtest.h>
#include <set>
#include <sys/wait.h>
#include <unistd.h>

#include "services/provider/provider_testutil.hpp"

namespace assay::services {
namespace {

// A provider in a process of its own, with the ledger in it: the parent has neither open.
class Child {
 public:
  explicit Child(World& world) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_ = fork();
    if (pid_ == 0) {
      world.open_ledger();
      auto service = world.start();
      const std::string url = service ? (*service)->url() : "";
      if (write(ends[1], url.data(), url.size()) < 0) _exit(1);
      close(ends[1]);
      for (;;) pause();
    }
    close(ends[1]);
    char buffer[256];
    const auto n = read(ends[0], buffer, sizeof buffer);
    close(ends[0]);
    if (n > 0) url_.assign(buffer, static_cast<std::size_t>(n));
  }
  ~Child() { kill9(); }
  void kill9() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  const std::string& url() const { return url_; }

 private:
  pid_t pid_ = 0;
  std::string url_;
};

TEST(ProviderCrash, NothingTwiceNothingLost) {
  World world;
  const Hash lease = world.open_lease(1'000'000, 100'000);
  world.ledger.reset();
  const auto call = world.call(lease, 1, 600);

  // Killed while it streams; every progress it ever signed for one count is the same message.
  std::map<std::uint32_t, crypto::Signature> signed_for;
  std::vector<std::uint32_t> longest;
  for (const std::size_t tokens : {1u, 40u, 17u, 200u, 90u}) {
    Child child(world);
    ASSERT_FALSE(child.url().empty());
    const auto cut = World::infer(child.url(), call, tokens, [&] { child.kill9(); });
    EXPECT_FALSE(cut.receipt);
    EXPECT_GE(cut.tokens.size(), tokens);
    for (const auto& p : cut.progress) {
      const auto [it, fresh] = signed_for.emplace(p.message.count, p.signature);
      EXPECT_EQ(it->second, p.signature) << p.message.count;
    }
    const auto common = std::min(longest.size(), cut.tokens.size());
    EXPECT_TRUE(std::equal(longest.begin(), longest.begin() + static_cast<long>(common),
                           cut.tokens.begin()));
    if (cut.tokens.size() > longest.size()) longest = cut.tokens;
  }
  EXPECT_GT(signed_for.size(), 5u);

  // Answered from scratch; killed at once, it still has given that one receipt.
  Reply whole;
  {
    Child child(world);
    whole = World::infer(child.url(), call);
    child.kill9();
  }
  world.expect_sound(call, whole);
  EXPECT_TRUE(std::equal(longest.begin(), longest.end(), whole.tokens.begin()));
  EXPECT_EQ(whole.receipt->message.key_sequence, 1u);
  const auto next = world.call(lease, 2);
  Reply second;
  {
    Child child(world);
    const auto again = World::infer(child.url(), call);
    EXPECT_EQ(again.receipt->signature, whole.receipt->signature);
    EXPECT_EQ(again.tokens, whole.tokens);
    second = World::infer(child.url(), next);
    world.expect_sound(next, second);
    EXPECT_EQ(second.receipt->message.key_sequence, 2u);
  }

  // Collected once, though it is killed while it collects.
  const auto owed = whole.receipt->message.amount + second.receipt->message.amount;
  world.clock.advance_s(100'001);
  bool waited = false, closed = false;
  for (int i = 0; i < 40 && !closed; ++i) {
    Child child(world);
    std::this_thread::sleep_for(std::chrono::milliseconds(10 * i));
    child.kill9();
    world.open_ledger();
    closed = world.lease(lease).state == market::LeaseState::closed;
    if (!waited && world.lease(lease).claim) {
      waited = true;
      world.clock.advance_s(21);  // its window passes
    }
    if (!closed) world.ledger.reset();
  }
  ASSERT_NE(world.ledger, nullptr) << "never closed";
  EXPECT_EQ(world.lease(lease).paid, owed);
  EXPECT_TRUE(world.ledger->totals()->conserved());
  const auto service = *world.start();
  EXPECT_EQ(service->totals()->receipts, 2u);
  EXPECT_EQ(service->totals()->receipted, owed);
}

// Given is given: a rebate whose acceptance was perhaps never heard of is the same one afterwards,
// and is not claimed.
TEST(ProviderCrash, ARebateIsGivenOnce) {
  World world;
  world.per_token_ms = 1;
  world.rebate_ppm = 400'000;
  const Hash lease = world.open_lease(1'000'000, 100'000);
  world.ledger.reset();
  const auto call = world.call(lease, 1, 40);
  Reply reply;
  std::set<std::string> acceptances;
  protocol::RebateCall rebate;
  for (int i = 0; i < 8; ++i) {
    Child child(world);
    if (i == 0) {
      reply = World::infer(child.url(), call);
      world.expect_sound(call, reply);
      rebate = world.rebate(call, reply.receipt->message, 0, 60'000);
    }
    // Killed around the moment it decides.
    std::thread killer([&] {
      std::this_thread::sleep_for(std::chrono::microseconds(300 * i));
      if (i < 7) child.kill9();
    });
    const auto answer = World::post_rebate(child.url(), rebate);
    killer.join();
    if (answer && answer->status == 200) acceptances.insert(answer->body);
    if (i == 7) {
      ASSERT_TRUE(answer);
      EXPECT_EQ(answer->status, 200) << answer->body;
    }
  }
  EXPECT_EQ(acceptances.size(), 1u);
  world.open_ledger();
  const auto service = *world.start();
  const protocol::Micros given = rebate.rebate.message.amount;
  EXPECT_EQ(service->totals()->rebated, given);
  world.clock.advance_s(100'001);
  ASSERT_TRUE(eventually([&] { return world.lease(lease).claim.has_value(); }));
  EXPECT_EQ(world.lease(lease).claim->total, reply.receipt->message.amount - given);
}

}  // namespace
}  // namespace assay::services
