// Receipts and voids on their way to the log, over crashes and a lost database.
#include <filesystem>
#include <gtest/gtest.h>

#include "services/provider/provider_testutil.hpp"
#include "settle/log_testutil.hpp"

namespace assay::services {
namespace {

struct ReceiptPublisherTest : testing::Test {
  World world;
  settle::LogInMemory log;
  ProviderOptions options = world.options();

  void SetUp() override {
    options.log_url = log.url();
    options.log_delay_ms = 50;
  }
  std::vector<tlog::LogEntry> mine() const {
    return log.entries(crypto::address_of(world.provider));
  }
  bool wait_for(std::size_t count) {
    return eventually([&] { return mine().size() >= count; });
  }
  bool is_receipt(const tlog::LogEntry& entry, const protocol::InferenceCall& call,
                  const Reply& reply) const {
    if (!reply.receipt) return false;
    const Hash digest = protocol::digest(world.info.domain, reply.receipt->message);
    return entry.ledger == world.info.domain.separator() &&
           entry.number == reply.receipt->message.key_sequence &&
           entry.commitment ==
               tlog::receipt_commitment(tlog::receipt_salt(call.salt_secret, digest), digest);
  }
  bool published(const protocol::InferenceCall& call, const Reply& reply) const {
    return eventually([&] {
      return std::ranges::any_of(
          mine(), [&](const tlog::LogEntry& entry) { return is_receipt(entry, call, reply); });
    });
  }
};

TEST_F(ReceiptPublisherTest, EveryNumberIsPublishedInOrderAndPadded) {
  const Hash lease = world.open_lease();
  auto service = *world.start(options);
  std::vector<std::pair<protocol::InferenceCall, Reply>> done;
  for (std::uint64_t sequence = 1; sequence <= 2; ++sequence) {
    const auto call = world.call(lease, sequence, 4);
    done.emplace_back(call, World::infer(service->url(), call));
  }
  ASSERT_TRUE(published(done[1].first, done[1].second));
  service.reset();
  // After a stop, with numbers of the voids behind: the next receipt has the next number.
  service = *world.start(options);
  const auto call = world.call(lease, 3, 4);
  done.emplace_back(call, World::infer(service->url(), call));
  ASSERT_TRUE(published(call, done[2].second));
  service.reset();
  const auto entries = mine();
  EXPECT_EQ(entries.size() % options.log_pad, 0u);
  for (std::size_t i = 0; i < entries.size(); ++i) EXPECT_EQ(entries[i].number, i + 1);
  for (const auto& [asked, reply] : done) {
    ASSERT_TRUE(reply.receipt) << reply.error;
    EXPECT_TRUE(is_receipt(entries[reply.receipt->message.key_sequence - 1], asked, reply));
  }
  EXPECT_GT(done[2].second.receipt->message.key_sequence, 3u) << "a void took a number";
}

TEST_F(ReceiptPublisherTest, ALostDatabaseUsesNoNumberAgain) {
  const Hash lease = world.open_lease();
  auto service = *world.start(options);
  const auto first = World::infer(service->url(), world.call(lease, 1, 4));
  ASSERT_TRUE(first.receipt);
  ASSERT_TRUE(wait_for(4));
  const std::size_t published = mine().size();
  service.reset();
  std::filesystem::remove_all(options.data_dir);
  // Its offers count from 1 again as well: the last one has to go first.
  world.clock.advance_s(5);
  ASSERT_TRUE(world.ledger->prune_offers());
  auto started = world.start(options);
  ASSERT_TRUE(started) << started.error().message;
  service = std::move(*started);
  const auto call = world.call(lease, 2, 4);
  const auto second = World::infer(service->url(), call);
  ASSERT_TRUE(second.receipt);
  EXPECT_EQ(second.receipt->message.key_sequence, published + 1);
  ASSERT_TRUE(wait_for(published + 1));
  EXPECT_TRUE(is_receipt(mine()[published], call, second));
}

TEST_F(ReceiptPublisherTest, ReceiptsWaitForALogThatIsAway) {
  const Hash lease = world.open_lease();
  const std::string url = options.log_url;
  options.log_url = "http://127.0.0.1:1";
  auto service = *world.start(options);
  const auto call = world.call(lease, 1, 4);
  const auto reply = World::infer(service->url(), call);
  ASSERT_TRUE(reply.receipt) << "the market works without its log";
  service.reset();
  options.log_url = url;
  service = *world.start(options);
  ASSERT_TRUE(wait_for(4));
  EXPECT_TRUE(is_receipt(mine()[0], call, reply));
}

}  // namespace
}  // namespace assay::services
