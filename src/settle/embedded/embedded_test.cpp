// The hosted ledger: durable, idempotent, safe under kill -9, a full disk and a changed log.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <gtest/gtest.h>
#include <random>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "base/clock.hpp"
#include "io/files.hpp"
#include "io/unique_fd.hpp"
#include "settle/embedded/embedded_ledger.hpp"

namespace assay::settle {
namespace {

using namespace protocol;

struct Party {
  crypto::SecretKey key;
  Address address;
};
Party party(std::uint8_t number) {
  Hash bytes;
  bytes.fill(number);
  const auto key = *crypto::secret_key(bytes);
  return {key, crypto::address_of(key)};
}
const Party& host() {
  static const Party p = party(1);
  return p;
}
const Party& alice() {
  static const Party p = party(2);
  return p;
}

market::LedgerInfo fresh() {
  market::LedgerInfo info;
  info.domain.ledger.fill(7);
  info.host = host().address;
  return info;
}

template <class M>
Signed<M> sign(M message, const Party& by) {
  return protocol::sign(fresh().domain, std::move(message), by.key);
}
market::Operation deposit(std::uint64_t nonce, Micros amount = 1'000) {
  return sign(Deposit{alice().address, amount, nonce}, host());
}

struct EmbeddedTest : testing::Test {
  io::TempDirectory folder = *io::TempDirectory::create("assay-ledger");
  std::string path = folder.file("ledger.db");
  ManualClock clock;
  std::unique_ptr<EmbeddedLedger> open() {
    auto ledger = EmbeddedLedger::open(path, fresh(), clock);
    EXPECT_TRUE(ledger) << ledger.error().message;
    return ledger ? std::move(*ledger) : nullptr;
  }
  void sql(const std::string& text) {
    auto database = *io::Database::open(path, io::OpenMode::read_write);
    const auto done = database->exec(text);
    ASSERT_TRUE(done) << done.error().message;
  }
};

TEST_F(EmbeddedTest, SurvivesReopeningAndRepeats) {
  Hash state;
  {
    const auto ledger = open();
    const auto first = ledger->submit(deposit(1));
    ASSERT_TRUE(first);
    EXPECT_EQ(first->sequence, 1u);
    EXPECT_FALSE(first->already);
    ASSERT_TRUE(ledger->submit(sign(Withdraw{alice().address, 400, 1}, alice())));
    EXPECT_EQ(ledger->submit(sign(Withdraw{alice().address, 601, 2}, alice())).error().code,
              Errc::refused);
    EXPECT_TRUE(ledger->submit(deposit(1))->already);
    state = ledger->totals()->state;
  }
  const auto ledger = open();
  EXPECT_EQ(ledger->totals()->state, state);
  EXPECT_EQ(ledger->totals()->operations, 2u);
  EXPECT_EQ(ledger->account(alice().address)->available, 600);
  const auto again = ledger->submit(deposit(1));
  EXPECT_TRUE(again->already);
  EXPECT_EQ(again->sequence, 1u);
  EXPECT_TRUE(verify_log(path)->ok);
}

TEST_F(EmbeddedTest, AnotherHostsKeyDoesNotOpenIt) {
  open();
  auto other = fresh();
  other.host = alice().address;
  EXPECT_EQ(EmbeddedLedger::open(path, other, clock).error().code, Errc::conflict);
}

// Ledgers from before a part of every passed audit's fee was burned.
TEST_F(EmbeddedTest, AnEarlierFormatIsRefusedByName) {
  open();
  sql("UPDATE meta SET value = 'assay-ledger/1' WHERE key = 'format'");
  const auto opened = EmbeddedLedger::open(path, fresh(), clock);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::unsupported);
  EXPECT_NE(opened.error().message.find("format assay-ledger/1"), std::string::npos)
      << opened.error().message;
}

TEST_F(EmbeddedTest, TheMachinesClockMayGoBack) {
  const auto ledger = open();
  ASSERT_TRUE(ledger->submit(deposit(1)));
  clock.ms -= 86'400'000;
  EXPECT_TRUE(ledger->submit(deposit(2)));
}

TEST_F(EmbeddedTest, ManyWritersShareCommits) {
  const auto ledger = open();
  constexpr int kThreads = 8, kEach = 25;
  std::vector<std::thread> threads;
  std::atomic<int> ok{0};
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      // Every operation is sent by two threads.
      for (int i = 0; i < kEach; ++i)
        if (ledger->submit(deposit(static_cast<std::uint64_t>(t / 2 * kEach + i)))) ++ok;
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(ok, kThreads * kEach);
  EXPECT_EQ(ledger->totals()->operations, static_cast<std::uint64_t>(kThreads / 2 * kEach));
  const auto report = verify_log(path);
  EXPECT_TRUE(report->ok) << report->problem;
}

TEST_F(EmbeddedTest, AForgedOperationIsRefusedAndLeavesNoRow) {
  auto ledger = open();
  const market::Operation forged = sign(Deposit{alice().address, 1'000, 1}, alice());
  const auto refused = ledger->submit(forged);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::mismatch);
  auto lent = std::get<Signed<Deposit>>(deposit(2));
  lent.message.amount = 2'000;  // the host signed another amount
  EXPECT_FALSE(ledger->submit(lent));
  EXPECT_TRUE(ledger->submit(deposit(1)));
  EXPECT_EQ(ledger->totals()->operations, 1u);
  ledger.reset();
  EXPECT_EQ(open()->totals()->operations, 1u);
}

TEST_F(EmbeddedTest, ChangedLogsAreDetected) {
  {
    const auto ledger = open();
    for (std::uint64_t i = 1; i <= 5; ++i) ASSERT_TRUE(ledger->submit(deposit(i)));
    ASSERT_TRUE(ledger->submit(sign(Withdraw{alice().address, 400, 1}, alice())));
  }
  const auto good = *io::read_file(path);
  const auto expect_bad = [&](std::uint64_t row, const std::string& change) {
    ASSERT_TRUE(io::write_file_atomic(path, view(good)));
    sql(change);
    const auto report = *verify_log(path);
    EXPECT_FALSE(report.ok) << change;
    EXPECT_EQ(report.bad_row, row) << change << ": " << report.problem;
    EXPECT_FALSE(EmbeddedLedger::open(path, fresh(), clock)) << change;
  };
  expect_bad(3, "UPDATE operations SET body = replace(body, '1000', '9000') WHERE sequence = 3");
  expect_bad(3, "DELETE FROM operations WHERE sequence = 2");
  expect_bad(2, "UPDATE operations SET time = time + 1 WHERE sequence = 2");
  expect_bad(4, "UPDATE operations SET state = zeroblob(32) WHERE sequence = 4");
  expect_bad(5, "UPDATE operations SET hash = zeroblob(32) WHERE sequence = 5");
  expect_bad(1, "UPDATE operations SET previous = zeroblob(32) WHERE sequence = 1");
  expect_bad(6, "UPDATE operations SET id = zeroblob(32) WHERE sequence = 6");
  expect_bad(1,
             "UPDATE meta SET value = replace(value, '\"reward_max\":\"1000000\"', "
             "'\"reward_max\":\"1000001\"') WHERE key = 'info'");
  // A host that rewrites everything after its change still cannot sign for alice.
  ASSERT_TRUE(io::write_file_atomic(path, view(good)));
  EXPECT_TRUE(verify_log(path)->ok);
}

TEST_F(EmbeddedTest, AForgedOperationWithARepairedChainIsDetected) {
  {
    const auto ledger = open();
    ASSERT_TRUE(ledger->submit(deposit(1)));
  }
  auto forged = sign(Withdraw{alice().address, 400, 1}, alice());
  forged.message.amount = 900;
  LogRow last;
  auto database = *io::Database::open(path, io::OpenMode::read_write);
  ASSERT_TRUE(each_row(*database, 1, [&](const LogRow& row) -> Status {
    last = row;
    return {};
  }));
  LogRow row;
  row.sequence = 2;
  row.time = last.time;
  row.id = market::operation_id(fresh().domain, forged);
  row.previous = last.hash;
  row.state = last.state;
  row.body = json::dump(market::to_json(market::Operation(forged)));
  row.hash = row_hash(row);
  ASSERT_TRUE(insert_row(*database, row));
  const auto report = *verify_log(path);
  EXPECT_FALSE(report.ok);
  EXPECT_EQ(report.bad_row, 2u);
  EXPECT_NE(report.problem.find("signature"), std::string::npos) << report.problem;
}

TEST_F(EmbeddedTest, LogLinesReplayElsewhere) {
  const auto ledger = open();
  for (std::uint64_t i = 1; i <= 3; ++i) ASSERT_TRUE(ledger->submit(deposit(i)));
  auto replay = *LogReplay::start(fresh());
  ASSERT_TRUE(ledger->read_log(1, [&](const LogRow& row) -> Status {
    TRY(const auto back, log_row_from_line(to_line(row)));
    return replay.add(back);
  }));
  EXPECT_EQ(replay.state().totals.state, ledger->totals()->state);
}

TEST_F(EmbeddedTest, AFullDiskLosesNothing) {
  {
    open();
  }
  std::uint64_t accepted = 0;
  {
    // The writer's own connection must be the one that is limited, so it is made here.
    auto database = *io::Database::open(path, io::OpenMode::read_write);
    ASSERT_TRUE(database->exec("PRAGMA max_page_count = 24"));
    std::shared_mutex guard;
    auto replay = *LogReplay::start(fresh());
    auto state = replay.take_state();
    Hash head = state.totals.state;
    GroupWriter writer(std::move(database), guard);
    bool full = false;
    for (std::uint64_t i = 1; i <= 200; ++i) {
      market::Undo undo;
      const auto operation = deposit(i);
      const auto status =
          writer.run({[&](io::Database& db) -> Status {
                        TRY(const auto applied, market::apply(state, operation, 5, &undo));
                        LogRow row{applied.sequence,
                                   5,
                                   applied.id,
                                   head,
                                   {},
                                   state.totals.state,
                                   json::dump(market::to_json(operation))};
                        row.hash = row_hash(row);
                        CHECK_OK(insert_row(db, row));
                        head = row.hash;
                        return {};
                      },
                      [&] { market::revert(state, undo); }});
      if (status)
        ++accepted;
      else
        full = true;
      if (!status) {
        EXPECT_EQ(status.error().code, Errc::unavailable) << status.error().message;
      }
      EXPECT_EQ(state.totals.operations, accepted);
    }
    EXPECT_TRUE(full);
  }
  EXPECT_GT(accepted, 0u);
  const auto report = *verify_log(path);
  EXPECT_TRUE(report.ok) << report.problem;
  EXPECT_EQ(report.totals.operations, accepted);
  // With space again it goes on where it was.
  const auto ledger = open();
  EXPECT_EQ(ledger->totals()->operations, accepted);
  EXPECT_TRUE(ledger->submit(deposit(1'000)));
}

// The child submits as fast as it can and reports each acknowledged operation through a pipe.
[[noreturn]] void child(const std::string& path, int out, std::uint64_t from) {
  ManualClock clock;
  auto ledger = EmbeddedLedger::open(path, fresh(), clock);
  if (!ledger) _exit(1);
  std::vector<std::thread> threads;
  std::atomic<std::uint64_t> next{from};
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      for (;;) {
        const std::uint64_t n = next++;
        if (!(*ledger)->submit(deposit(n))) _exit(2);
        if (write(out, &n, sizeof n) != sizeof n) _exit(3);
      }
    });
  for (auto& t : threads) t.join();
  _exit(0);
}

TEST_F(EmbeddedTest, KilledAtRandomMomentsItHoldsEveryAcknowledgedOperationOnce) {
  std::random_device seed;
  const auto first = seed();
  std::mt19937 random(first);
  std::vector<std::uint64_t> acknowledged;
  std::uint64_t from = 1;
  for (int round = 0; round < 6; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t pid = fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      close(ends[0]);
      child(path, ends[1], from);
    }
    close(ends[1]);
    const io::UniqueFd in(ends[0]);
    // The first answer says that it runs; then a random moment.
    std::uint64_t n = 0;
    if (read(in.get(), &n, sizeof n) == sizeof n) acknowledged.push_back(n);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 60'000));
    kill(pid, SIGKILL);
    while (read(in.get(), &n, sizeof n) == sizeof n) acknowledged.push_back(n);
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    for (const auto a : acknowledged) from = std::max(from, a + 1);

    const auto ledger = open();
    ASSERT_TRUE(ledger) << "seed " << first;
    const auto rows = ledger->totals()->operations;
    for (const auto a : acknowledged) {
      const auto again = ledger->submit(deposit(a));
      EXPECT_TRUE(again && again->already) << "seed " << first << " lost " << a;
    }
    EXPECT_EQ(ledger->totals()->operations, rows);
    EXPECT_EQ(ledger->account(alice().address)->available, static_cast<Micros>(rows) * 1'000);
  }
  EXPECT_GE(acknowledged.size(), 6u);
  const auto report = *verify_log(path);
  EXPECT_TRUE(report.ok) << report.problem;
  fmt::print("6 kills, {} acknowledged, {} in the log\n", acknowledged.size(),
             report.totals.operations);
}

TEST_F(EmbeddedTest, OffersSurviveAndExpire) {
  Offer offer;
  offer.provider = offer.payout = alice().address;
  offer.sequence = 1;
  offer.endpoint = "http://127.0.0.1:1";
  offer.expires = static_cast<std::uint64_t>(clock.now_s()) + 100;
  auto& model = offer.models.emplace_back();
  model.name = "tern";
  model.context = 10;
  {
    const auto ledger = open();
    EXPECT_EQ(ledger->publish(sign(offer, alice())).error().code, Errc::refused) << "no stake";
    ASSERT_TRUE(ledger->submit(deposit(90, 2'000'000)));
    ASSERT_TRUE(ledger->submit(sign(protocol::Stake{alice().address, 1'000'000, 91}, alice())));
    ASSERT_TRUE(ledger->publish(sign(offer, alice())));
    offer.sequence = 0;
    EXPECT_EQ(ledger->publish(sign(offer, alice())).error().code, Errc::conflict);
  }
  const auto ledger = open();
  EXPECT_EQ(ledger->offers()->size(), 1u);
  clock.ms += 100'000;
  EXPECT_TRUE(ledger->offers()->empty());
  ASSERT_TRUE(ledger->prune_offers());
  EXPECT_EQ((*io::Database::open(path, io::OpenMode::read_only))
                ->query_int64("SELECT count(*) FROM offers")
                ->value(),
            0);
}

}  // namespace
}  // namespace assay::settle
