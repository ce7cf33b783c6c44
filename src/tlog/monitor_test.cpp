#include "tlog/monitor.hpp"

#include <gtest/gtest.h>

#include "tlog/tlog_testutil.hpp"

namespace assay::tlog {
namespace {

crypto::SecretKey secret(std::uint8_t byte) { return *crypto::secret_key(Hash{byte}); }

Bytes entry(std::uint8_t issuer, std::uint64_t number, std::uint8_t what = 0) {
  return sign_entry(Hash{9}, number, Hash{what}, secret(issuer)).to_bytes();
}

std::vector<std::string> kinds(const Result<std::vector<Alarm>>& alarms) {
  std::vector<std::string> out;
  if (!alarms) return {alarms.error().message};
  for (const auto& alarm : *alarms) out.emplace_back(to_string(alarm.kind));
  return out;
}
using Kinds = std::vector<std::string>;

TEST(LogEntry, RoundTripAndSignature) {
  const LogEntry e = sign_entry(Hash{9}, 7, Hash{1}, secret(3));
  const Bytes bytes = e.to_bytes();
  ASSERT_EQ(bytes.size(), LogEntry::kBytes);
  const auto parsed = LogEntry::parse(bytes);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, e);
  EXPECT_TRUE(parsed->check_signature());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Bytes changed = bytes;
    changed[i] ^= 1;
    const auto other = LogEntry::parse(changed);
    EXPECT_TRUE(!other || !other->check_signature()) << "byte " << i;
  }
  // Of an auction: the same form, signed as what it is, and numbered apart.
  const LogEntry auction = sign_entry(Hash{9}, 7, Hash{1}, secret(3), EntryKind::auction);
  EXPECT_TRUE(auction.check_signature());
  EXPECT_EQ(*LogEntry::parse(auction.to_bytes()), auction);
  EXPECT_NE(auction.series(), e.series());
  Bytes other_kind = bytes;
  other_kind[0] = 2;
  EXPECT_FALSE(LogEntry::parse(other_kind)->check_signature());
  other_kind[0] = 3;
  EXPECT_FALSE(LogEntry::parse(other_kind));
  EXPECT_FALSE(LogEntry::parse(ByteView(bytes).first(157)));
  Bytes zero = bytes;
  std::fill_n(zero.begin() + 53, 8, std::uint8_t{0});
  EXPECT_FALSE(LogEntry::parse(zero)) << "numbers begin at 1";
  std::fill_n(zero.begin() + 53, 8, std::uint8_t{0xff});
  EXPECT_FALSE(LogEntry::parse(zero));
}

TEST(LogEntry, CommitmentsHideAndBind) {
  const Hash salt = receipt_salt(Hash{1}, Hash{2});
  EXPECT_NE(salt, receipt_salt(Hash{1}, Hash{3}));
  EXPECT_NE(salt, receipt_salt(Hash{2}, Hash{2}));
  EXPECT_NE(receipt_commitment(salt, Hash{2}), receipt_commitment(salt, Hash{3}));
  EXPECT_NE(receipt_commitment(salt, Hash{2}), receipt_commitment(Hash{}, Hash{2}));
  EXPECT_NE(void_commitment(salt, 1), void_commitment(salt, 2));
  EXPECT_NE(row_commitment(Hash{1}), row_commitment(Hash{2}));
}

struct MonitorTest : testing::Test {
  MemoryLog log;
  Monitor monitor;
  Kinds follow() { return kinds(monitor.follow(log.checkpoint(), log.policy(), log.tiles)); }
};

TEST_F(MonitorTest, FollowsAnHonestLogAndItsStateSurvives) {
  std::vector<std::uint64_t> next{1, 1};
  for (const std::size_t step : {0u, 1u, 3u, 300u, 255u, 0u, 40u}) {
    std::vector<Bytes> batch;
    for (std::size_t i = 0; i < step; ++i) batch.push_back(entry(1 + i % 2, next[i % 2]++));
    log.append(batch);
    EXPECT_EQ(follow(), Kinds{});
    EXPECT_EQ(monitor.size(), log.leaves.size());
    const auto again = Monitor::from_json(monitor.to_json());
    ASSERT_TRUE(again) << again.error().message;
    monitor = *again;
  }
  EXPECT_EQ(monitor.issuers(), 2u);
  json::object damaged = monitor.to_json();
  damaged["edge"] = "AAAAAAAAAAA=";
  EXPECT_FALSE(Monitor::from_json(damaged)) << "a state that is not of its checkpoint";
  damaged.erase("edge");
  EXPECT_FALSE(Monitor::from_json(damaged));
}

TEST_F(MonitorTest, CountsNumbersOfEachIssuer) {
  log.append({entry(1, 1), entry(2, 1), entry(1, 2)});
  EXPECT_EQ(follow(), Kinds{});
  log.append({entry(1, 4), entry(2, 2)});
  EXPECT_EQ(follow(), Kinds{"gap"});
  log.append({entry(1, 5), entry(1, 2, 1), entry(1, 6)});
  EXPECT_EQ(follow(), Kinds{"twice"}) << "two receipts for one number";
  // Of somebody without the key, or of nobody: an alarm, and no number of the issuer's.
  LogEntry forged = sign_entry(Hash{9}, 7, Hash{}, secret(2));
  forged.issuer = crypto::address_of(secret(1));
  log.append({forged.to_bytes(), bytes_of("garbage"), entry(1, 7)});
  EXPECT_EQ(follow(), (Kinds{"malformed", "malformed"}));
  const auto auction = [](std::uint64_t number) {
    return sign_entry(Hash{9}, number, Hash{}, secret(1), EntryKind::auction).to_bytes();
  };
  log.append({auction(1), auction(3)});
  EXPECT_EQ(follow(), Kinds{"gap"});
  // An issuer seen for the first time begins at 1.
  log.append({entry(3, 2)});
  EXPECT_EQ(follow(), Kinds{"gap"});
  Monitor plain(false);
  EXPECT_EQ(kinds(plain.follow(log.checkpoint(), log.policy(), log.tiles)), Kinds{});
}

TEST_F(MonitorTest, AlarmsOnForkRollbackAndBrokenTiles) {
  log.append({entry(1, 1), entry(1, 2), entry(1, 3)});
  const MemoryLog before = log;
  ASSERT_EQ(follow(), Kinds{});
  log.append({entry(1, 4)});
  ASSERT_EQ(follow(), Kinds{});
  const std::string seen = log.checkpoint();
  const MemoryLog honest = log;

  // Shorter, by the log's own signature.
  const auto rollback = monitor.follow(before.checkpoint(), log.policy(), log.tiles);
  ASSERT_EQ(kinds(rollback), Kinds{"rollback"});
  EXPECT_EQ(rollback->front().first, seen);
  EXPECT_EQ(rollback->front().second, before.checkpoint());

  // As long, another root; then longer, on another history with its own tiles.
  log = before;
  log.append({entry(1, 4, 1)});
  EXPECT_EQ(follow(), Kinds{"fork"});
  log.append({entry(1, 5)});
  EXPECT_EQ(follow(), Kinds{"fork"});
  EXPECT_EQ(monitor.size(), 4u) << "stays on what it has seen";

  // The signed root is right, an entry is not.
  log = honest;
  log.append({entry(1, 5)});
  auto& bundle = log.tiles.files[tile_path({true, 0, 0, 5})];
  bundle.back() ^= 1;
  EXPECT_EQ(follow(), Kinds{"broken"});
  bundle.pop_back();
  EXPECT_EQ(follow(), Kinds{"broken"});
  log.tiles.files.erase(tile_path({true, 0, 0, 5}));
  EXPECT_FALSE(monitor.follow(log.checkpoint(), log.policy(), log.tiles)) << "try again: no alarm";
  EXPECT_FALSE(monitor.follow("nonsense", log.policy(), log.tiles));

  log = honest;
  log.append({entry(1, 5)});
  EXPECT_EQ(follow(), Kinds{});
}

TEST_F(MonitorTest, ComparesWithWhatOthersWereShown) {
  log.append({entry(1, 1), entry(1, 2), entry(1, 3)});
  const std::string early = log.checkpoint();
  MemoryLog fork = log;
  log.append({entry(1, 4)});
  fork.append({entry(1, 4, 1)});
  ASSERT_EQ(follow(), Kinds{});
  const auto compare = [&](const std::string& note) {
    return kinds(monitor.compare(note, log.policy(), log.tiles));
  };
  EXPECT_EQ(compare(early), Kinds{});
  EXPECT_EQ(compare(log.checkpoint()), Kinds{});
  EXPECT_EQ(compare(fork.checkpoint()), Kinds{"fork"});
  fork.append({entry(1, 5)});
  EXPECT_EQ(compare(fork.checkpoint()), Kinds{}) << "longer: followed first";
  EXPECT_FALSE(monitor.compare("nonsense", log.policy(), log.tiles));
}

}  // namespace
}  // namespace assay::tlog
