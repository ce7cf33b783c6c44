#include "services/log/log_store.hpp"

#include <gtest/gtest.h>
#include <random>

#include "services/log/log_testutil.hpp"
#include "tlog/monitor.hpp"

namespace assay::services {
namespace {

constexpr LogStoreOptions kAtOnce{.batch_ms = 0};

struct LogStoreTest : testing::Test {
  io::TempDirectory folder = *io::TempDirectory::create("assay-log");
  std::unique_ptr<FileDisk> disk = *FileDisk::open(folder.path());
  std::unique_ptr<LogStore> store;

  void SetUp() override { open(); }
  void open() {
    store.reset();
    auto opened = LogStore::open(*disk, log_policy(), kAtOnce);
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
  }
  std::string checkpoint() {
    const TreeState state = store->committed();
    return tlog::to_string(
        tlog::sign_checkpoint({log_key().name, state.size, state.root}, log_key()));
  }
  // Everything on disk, read as a monitor does: the entries make the root, no number is left out or
  // used twice.
  void expect_sound() {
    tlog::Monitor monitor;
    const auto alarms = monitor.follow(checkpoint(), log_policy(), *disk);
    ASSERT_TRUE(alarms) << alarms.error().message;
    for (const auto& alarm : *alarms) ADD_FAILURE() << alarm.text;
    EXPECT_EQ(monitor.size(), store->committed().size);
  }
};

using Indexes = std::vector<std::uint64_t>;

TEST_F(LogStoreTest, NumbersAreGapFreeAndIdempotent) {
  EXPECT_EQ(*store->append(entries_of(1, 1, 3)), (Indexes{0, 1, 2}));
  EXPECT_EQ(*store->append(entries_of(2, 1, 1)), (Indexes{3}));
  EXPECT_EQ(*store->append(entries_of(1, 4, 2)), (Indexes{4, 5}));
  // Again, whole or in part, also across calls: the same entries.
  EXPECT_EQ(*store->append(entries_of(1, 3, 2)), (Indexes{2, 4}));
  EXPECT_EQ(*store->append(entries_of(1, 1, 5)), (Indexes{0, 1, 2, 4, 5}));
  const auto gap = store->append(entries_of(1, 7, 1));
  ASSERT_FALSE(gap);
  EXPECT_EQ(gap.error().code, Errc::refused);
  EXPECT_NE(gap.error().message.find("is 6"), std::string::npos) << gap.error().message;
  EXPECT_EQ(store->append(entries_of(1, 5, 2)).error().code, Errc::refused)
      << "known and new mixed";
  const auto other = store->append({entry_of(1, 2, 5)});
  ASSERT_FALSE(other) << "two receipts for one number";
  EXPECT_EQ(other.error().code, Errc::conflict);
  EXPECT_FALSE(store->append({}));
  EXPECT_FALSE(store->append({entry_of(1, 6), entry_of(1, 8)}));
  EXPECT_FALSE(store->append({entry_of(1, 6), entry_of(2, 7)}));
  EXPECT_EQ(store->committed().size, 6u);
  expect_sound();
  open();
  EXPECT_EQ(*store->append(entries_of(1, 1, 5)), (Indexes{0, 1, 2, 4, 5}));
  EXPECT_EQ(*disk->next_number({Hash{9}, crypto::address_of(issuer_key(1))}), 6u);
  EXPECT_EQ(*disk->next_number({Hash{8}, crypto::address_of(issuer_key(1))}), 1u) << "per ledger";
  EXPECT_FALSE(disk->index_of({Hash{9}, crypto::address_of(issuer_key(1))}, 6));
}

// Several writers, some asking twice at once: one batch holds the same call more than once.
TEST_F(LogStoreTest, ManyWritersShareBatches) {
  store.reset();
  store = *LogStore::open(*disk, log_policy(), {.batch_ms = 20});
  std::vector<std::thread> writers;
  std::atomic<int> wrong = 0;
  for (std::uint8_t issuer = 1; issuer <= 4; ++issuer)
    for (int twice = 0; twice < 2; ++twice)
      writers.emplace_back([&, issuer] {
        for (std::uint64_t number = 1; number <= 20; number += 4)
          for (;;) {
            const auto done = store->append(entries_of(issuer, number, 4));
            if (done && done->size() == 4) break;
            // The twin is behind by a batch: its number comes.
            if (!done && done.error().code == Errc::refused) continue;
            ++wrong;
            break;
          }
      });
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(store->committed().size, 80u);
  expect_sound();
}

TEST_F(LogStoreTest, LargeBatchesAcrossTiles) {
  std::uint64_t next = 1;
  for (const std::uint64_t count : {200u, 56u, 1u, 700u, 4096u, 3u}) {
    ASSERT_TRUE(store->append(entries_of(1, next, count)));
    next += count;
    open();
  }
  expect_sound();
}

TEST_F(LogStoreTest, RefusesFilesThatAreNotItsTree) {
  ASSERT_TRUE(store->append(entries_of(1, 1, 10)));
  ASSERT_TRUE(disk->publish(checkpoint()));
  const TreeState ten = store->committed();
  open();
  ASSERT_TRUE(store->append(entries_of(1, 11, 5)));
  ASSERT_TRUE(disk->publish(checkpoint()));
  store.reset();
  // An old copy of the database comes back: the checkpoint that was published says more.
  ASSERT_TRUE(disk->commit(ten, {}, {}));
  auto opened = LogStore::open(*disk, log_policy());
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message.find("old copy"), std::string::npos) << opened.error().message;
  // Another tree of that length.
  ASSERT_TRUE(disk->commit({15, Hash{1}}, {}, {}));
  EXPECT_EQ(LogStore::open(*disk, log_policy()).error().code, Errc::mismatch);
  // Another log's key.
  ASSERT_TRUE(disk->commit(ten, {}, {}));
  tlog::SignerKey other = log_key();
  other.seed.bytes[0] ^= 1;
  EXPECT_FALSE(LogStore::open(*disk, tlog::LogPolicy::of(other.verifier())));
  ASSERT_TRUE(io::write_file_atomic(folder.file("tile/0/000.p/10"), Bytes(320)));
  EXPECT_FALSE(LogStore::open(*disk, log_policy()));
}

// Death, error, and torn writes between any two steps of a batch, with a published checkpoint
// before: whatever was acknowledged is there once, what was not may be asked for again, and every
// checkpoint published before is of the same tree.
struct Story {
  std::set<std::pair<int, std::uint64_t>> acknowledged;  // issuer, number
  int steps = 0;
};

Story tell(const std::string& folder, FaultyDisk::Fault fault, int at, double torn) {
  Story story;
  auto disk = *FileDisk::open(folder);
  std::vector<std::string> published;
  {
    FaultyDisk faulty(*disk);
    faulty.fault = fault;
    faulty.at = at;
    faulty.torn = torn;
    auto store = *LogStore::open(faulty, log_policy(), kAtOnce);
    const auto append = [&](std::uint8_t issuer, std::uint64_t first, std::uint64_t count) {
      if (!store->append(entries_of(issuer, first, count))) return;
      for (std::uint64_t i = 0; i < count; ++i) story.acknowledged.insert({issuer, first + i});
    };
    const auto publish = [&] {
      const TreeState state = store->committed();
      const std::string note = tlog::to_string(
          tlog::sign_checkpoint({log_key().name, state.size, state.root}, log_key()));
      if (faulty.publish(note)) published.push_back(note);
    };
    append(1, 1, 250);
    publish();
    append(2, 1, 20);  // fills the first tile
    publish();
    append(1, 251, 3);
    append(2, 21, 300);
    publish();
    story.steps = faulty.steps;
  }
  // The ordinary start.
  auto opened = LogStore::open(*disk, log_policy(), kAtOnce);
  EXPECT_TRUE(opened) << opened.error().message;
  if (!opened) return story;
  auto& store = *opened;
  // Everybody asks again for everything that comes next, as after a lost answer.
  EXPECT_TRUE(store->append(entries_of(1, 1, 250)));
  EXPECT_TRUE(store->append(entries_of(2, 1, 20)));
  EXPECT_TRUE(store->append(entries_of(1, 251, 3)));
  EXPECT_TRUE(store->append(entries_of(2, 21, 300)));
  const TreeState state = store->committed();
  EXPECT_EQ(state.size, 573u) << "each entry once";
  tlog::Monitor monitor;
  const auto alarms = monitor.follow(
      tlog::to_string(tlog::sign_checkpoint({log_key().name, state.size, state.root}, log_key())),
      log_policy(), *disk);
  EXPECT_TRUE(alarms) << alarms.error().message;
  if (alarms)
    for (const auto& alarm : *alarms) ADD_FAILURE() << alarm.text;
  for (const auto& note : published) {
    const auto compared = monitor.compare(note, log_policy(), *disk);
    EXPECT_TRUE(compared && compared->empty()) << "a published checkpoint is of another history";
  }
  // Each acknowledged entry is where the log says, once: numbers are unique, so their indexes are.
  std::set<std::uint64_t> indexes;
  for (const auto& [issuer, number] : story.acknowledged) {
    const auto index = disk->index_of(
        {Hash{9}, crypto::address_of(issuer_key(static_cast<std::uint8_t>(issuer)))}, number);
    EXPECT_TRUE(index && indexes.insert(*index).second);
  }
  return story;
}

void every_step(FaultyDisk::Fault fault, double torn) {
  // What is tested is the order of steps; no need to wait for a disk a thousand times.
  if (io::path_exists("/dev/shm")) ::setenv("TMPDIR", "/dev/shm", 1);
  const auto untouched = *io::TempDirectory::create("assay-log");
  const int steps = tell(untouched.path(), FaultyDisk::Fault::none, -1, 0).steps;
  ASSERT_GE(steps, 25);
  for (int at = 0; at < steps; ++at) {
    SCOPED_TRACE(at);
    const auto folder = *io::TempDirectory::create("assay-log");
    tell(folder.path(), fault, at, torn);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(LogStoreFaults, DeathBetweenAnyTwoWrites) { every_step(FaultyDisk::Fault::death, 0); }
TEST(LogStoreFaults, DeathWithinAnyWrite) { every_step(FaultyDisk::Fault::death, 0.6); }
TEST(LogStoreFaults, DiskFullAtAnyStepAndThenNot) { every_step(FaultyDisk::Fault::error, 0); }
TEST(LogStoreFaults, DiskFullWithinAnyWriteAndThenNot) {
  every_step(FaultyDisk::Fault::error, 0.3);
}

TEST(LogStoreFaults, AFolderThatCannotBeWrittenSaysSoAndLosesNothing) {
  const auto folder = *io::TempDirectory::create("assay-log");
  auto disk = *FileDisk::open(folder.path());
  auto store = *LogStore::open(*disk, log_policy(), kAtOnce);
  ASSERT_TRUE(store->append(entries_of(1, 1, 3)));
  // The operating system's own refusal (mode bits mean nothing to root): a file where tiles go.
  ASSERT_EQ(std::rename(folder.file("tile").c_str(), folder.file("aside").c_str()), 0);
  ASSERT_TRUE(io::write_file_atomic(folder.file("tile"), {}));
  const auto refused = store->append(entries_of(1, 4, 3));
  ASSERT_FALSE(refused);
  EXPECT_EQ(store->committed().size, 3u);
  ASSERT_EQ(std::remove(folder.file("tile").c_str()), 0);
  ASSERT_EQ(std::rename(folder.file("aside").c_str(), folder.file("tile").c_str()), 0);
  EXPECT_EQ(*store->append(entries_of(1, 4, 3)), (Indexes{3, 4, 5}));
}

}  // namespace
}  // namespace assay::services
