// The search for the receipts that a claim counts and its buyer does not know of.
#include "services/gateway/contests.hpp"

#include <gtest/gtest.h>
#include <random>

#include "services/gateway/gateway_testutil.hpp"

namespace assay::services {
namespace {

constexpr std::uint32_t kPerBlock = 32;

// What a provider claims with: sequences and amounts, and what the buyer knows each to come to.
struct Claimed {
  struct Leaf {
    std::uint64_t sequence = 0;
    Micros amount = 0, known = 0;
  };
  std::vector<Leaf> leaves;

  std::uint32_t blocks() const {
    return static_cast<std::uint32_t>((leaves.size() + kPerBlock - 1) / kPerBlock);
  }
  ShownBlock show(std::uint32_t number) const {
    ShownBlock out{.number = number};
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      if (i / kPerBlock < number) out.before += leaves[i].amount;
      if (i / kPerBlock != number) continue;
      out.sum += leaves[i].amount;
      if (out.first_sequence == 0) out.first_sequence = leaves[i].sequence;
      out.last_sequence = leaves[i].sequence;
    }
    return out;
  }
  Micros known(std::uint64_t sequence) const {
    Micros sum = 0;
    for (const Leaf& leaf : leaves)
      if (leaf.sequence <= sequence) sum += leaf.known;
    return sum;
  }
  // Blocks asked for until the excess is in one of them.
  std::vector<std::uint32_t> search() const {
    std::vector<std::uint32_t> asked;
    std::vector<ShownBlock> shown;
    const auto by = [&](std::uint64_t sequence) { return known(sequence); };
    while (const auto next = next_block(blocks(), shown, by)) {
      asked.push_back(*next);
      shown.push_back(show(*next));
    }
    return asked;
  }
};

TEST(Contests, TheBlockWithTheExcessIsFoundInHalves) {
  std::mt19937_64 random(20);
  for (int round = 0; round < 300; ++round) {
    Claimed claim;
    const std::size_t count = 1 + random() % 4096;
    for (std::size_t i = 0; i < count; ++i) {
      const auto amount = static_cast<Micros>(random() % 1000);
      claim.leaves.push_back(
          {.sequence = 1 + 2 * i + random() % 2, .amount = amount, .known = amount});
    }
    // Some it never got a receipt of; some it holds and the provider does not claim with.
    for (std::size_t lacks = 1 + random() % 3; lacks > 0; --lacks) {
      auto& leaf = claim.leaves[random() % count];
      leaf.amount += 1'000'000;
      leaf.known = 0;
    }
    for (std::size_t spared = random() % 3; spared > 0; --spared)
      claim.leaves[random() % count].known += 5;
    const auto asked = claim.search();
    ASSERT_FALSE(asked.empty());
    EXPECT_LE(asked.size(), 8u) << "of " << claim.blocks();
    const ShownBlock last = claim.show(asked.back());
    EXPECT_GT(last.sum, claim.known(last.last_sequence) - claim.known(last.first_sequence - 1));
  }
}

// What is made up cannot be shown, so the search has only to ask for it.
TEST(Contests, AnInventedBlockIsAskedFor) {
  for (const std::uint32_t blocks : {2u, 3u, 64u, 128u})
    for (std::uint32_t bad = 0; bad < blocks; ++bad) {
      Claimed claim;
      for (std::uint64_t i = 0; i < std::uint64_t{blocks} * kPerBlock; ++i) {
        const bool invented = i / kPerBlock == bad;
        claim.leaves.push_back({.sequence = i + 1, .amount = 10, .known = invented ? 0 : 10});
      }
      const auto asked = claim.search();
      EXPECT_EQ(asked.back(), bad);
      EXPECT_LE(asked.size(), 8u);
    }
}

TEST(Contests, ABlockOfAClaimOfOneIsAskedForOnce) {
  Claimed claim{{{.sequence = 1, .amount = 5, .known = 0}}};
  EXPECT_EQ(claim.search(), (std::vector<std::uint32_t>{0}));
}

// A ledger that shows a claim's receipts one by one, as a chain does by blocks: of a claim of four
// the first two are genuine, the others made up.
struct OneByOneLedger : FarLedger {
  using FarLedger::FarLedger;
  Result<market::LeaseView> lease(const Hash& id) override {
    auto view = inner.lease(id);
    const std::lock_guard lock(mutex);
    if (!view || genuine.empty()) return view;
    view->claim = market::PendingClaim{.id = Hash{7},
                                       .total = 500'000,
                                       .count = 4,
                                       .due = over ? 0 : UINT64_MAX,
                                       .contest = contests.empty() ? Hash{} : contests.back(),
                                       .opened = !asked.empty() && asked.back() < genuine.size(),
                                       .block = 1,
                                       .contests = contests};
    return view;
  }
  Result<market::Applied> submit(const market::Operation& operation) override {
    const std::lock_guard lock(mutex);
    if (const auto* contest = std::get_if<market::ContestClaim>(&operation)) {
      asked.push_back(contest->dispute.message.nonce);
      contests.push_back(protocol::digest(inner.info()->domain, contest->dispute.message));
      return market::Applied{};
    }
    if (const auto* end = std::get_if<protocol::Signed<protocol::Finalize>>(&operation)) {
      finalized.push_back(end->message.claim);
      return market::Applied{};
    }
    return inner.submit(operation);
  }
  Result<market::DisputeView> dispute(const Hash& id) override {
    if (std::ranges::find(contests, id) == contests.end()) return inner.dispute(id);
    market::DisputeView view;
    view.game = id;
    return view;
  }
  Result<market::Operation> operation(const Hash& id) override {
    const std::lock_guard lock(mutex);
    const auto at = std::ranges::find(contests, id);
    if (at == contests.end()) return inner.operation(id);
    const std::uint64_t block = asked[static_cast<std::size_t>(at - contests.begin())];
    market::OpenClaim out;
    out.leaves = {genuine.at(block)};
    out.first = static_cast<std::uint32_t>(block);
    for (std::size_t i = 0; i < block; ++i) out.before += genuine[i].receipt.message.amount;
    return out;
  }
  std::mutex mutex;
  std::vector<market::ClaimLeaf> genuine;
  std::vector<Hash> contests, finalized;
  std::vector<std::uint64_t> asked;
  bool over = false;
};

TEST_F(GatewayTest, AClaimOfManyReceiptsIsSearchedForThoseMadeUp) {
  ScriptedProvider& provider = add_provider({});
  OneByOneLedger far(*ledger);
  start(&far);
  for (int i = 0; i < 2; ++i) ASSERT_EQ(post(chat_body()).status, 200);
  {
    const std::lock_guard lock(far.mutex);
    for (const auto& outcome : provider.outcomes())
      far.genuine.push_back({outcome.call.request, outcome.receipt});
  }
  start(&far);  // a gateway that starts looks at claims at once
  ASSERT_TRUE(soon([&] {
    const std::lock_guard lock(far.mutex);
    return far.asked.size() >= 2;
  }));
  {
    const std::lock_guard lock(far.mutex);
    EXPECT_EQ(far.asked, (std::vector<std::uint64_t>{1, 2}));
    EXPECT_TRUE(far.finalized.empty());
    far.over = true;
  }
  start(&far);  // and goes on where it was
  EXPECT_TRUE(soon([&] {
    const std::lock_guard lock(far.mutex);
    return !far.finalized.empty();
  }));
  gateway.reset();
  EXPECT_EQ(far.finalized[0], Hash{7});
  EXPECT_EQ(far.asked.size(), 2u);
}

}  // namespace
}  // namespace assay::services
