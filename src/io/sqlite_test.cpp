#include "io/sqlite.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "io/files.hpp"
#include "io/random.hpp"

namespace assay::io {
namespace {

class Sqlite : public testing::Test {
 protected:
  void SetUp() override {
    auto made = TempDirectory::create("assay-sqlite-test");
    ASSERT_TRUE(made) << made.error().message;
    dir = std::make_unique<TempDirectory>(std::move(*made));
    path = dir->file("db");
  }
  std::unique_ptr<Database> open(OpenMode mode = OpenMode::create) {
    auto db = Database::open(path, mode);
    EXPECT_TRUE(db) << db.error().message;
    return db ? std::move(*db) : nullptr;
  }
  static std::int64_t number(Database& db, std::string_view sql) {
    const auto n = db.query_int64(sql);
    EXPECT_TRUE(n) << n.error().message;
    return n && *n ? **n : -1;
  }
  std::unique_ptr<TempDirectory> dir;
  std::string path;
};

TEST_F(Sqlite, RoundTrip) {
  const auto db = open();
  ASSERT_TRUE(db->exec("CREATE TABLE t(i INTEGER, s TEXT, b BLOB) STRICT"));
  const Hash hash = random_hash();
  auto insert = db->prepare("INSERT INTO t VALUES(?,?,?)");
  ASSERT_TRUE(insert);
  ASSERT_TRUE(insert->bind_all(std::int64_t{-5}, std::string_view("žluť"), ByteView(hash)).run());
  ASSERT_TRUE(insert->bind_all(INT64_MIN, std::string_view(), ByteView()).run());
  ASSERT_TRUE(insert->bind_null(1).bind_null(2).bind_null(3).run());
  EXPECT_EQ(db->last_insert_rowid(), 3);
  EXPECT_EQ(db->changes(), 1);

  auto select = db->prepare("SELECT i, s, b FROM t ORDER BY rowid");
  ASSERT_TRUE(select);
  ASSERT_TRUE(*select->step());
  EXPECT_EQ(select->column_int64(0), -5);
  EXPECT_EQ(select->column_text(1), "žluť");
  EXPECT_EQ(*select->column_hash(2), hash);
  ASSERT_TRUE(*select->step());
  EXPECT_EQ(select->column_int64(0), INT64_MIN);
  EXPECT_FALSE(select->column_is_null(1));
  EXPECT_EQ(select->column_text(1), "");
  EXPECT_FALSE(select->column_is_null(2));
  EXPECT_EQ(select->column_hash(2).error().code, Errc::mismatch);
  ASSERT_TRUE(*select->step());
  EXPECT_TRUE(select->column_is_null(0));
  EXPECT_FALSE(*select->step());
  select->reset();
  EXPECT_TRUE(*select->step());
}

TEST_F(Sqlite, SettingsAreDurable) {
  const auto db = open();
  EXPECT_EQ(number(*db, "PRAGMA synchronous"), 2);  // FULL
  EXPECT_EQ(number(*db, "PRAGMA foreign_keys"), 1);
  EXPECT_EQ(number(*db, "PRAGMA busy_timeout"), 5000);
  auto mode = db->prepare("PRAGMA journal_mode");
  ASSERT_TRUE(*mode->step());
  EXPECT_EQ(mode->column_text(0), "wal");
}

TEST_F(Sqlite, TransactionsCommitOrVanish) {
  const auto db = open();
  ASSERT_TRUE(db->exec("CREATE TABLE t(i INTEGER) STRICT"));
  {
    auto transaction = Transaction::begin(*db);
    ASSERT_TRUE(transaction);
    ASSERT_TRUE(db->exec("INSERT INTO t VALUES(1)"));
  }
  EXPECT_EQ(number(*db, "SELECT count(*) FROM t"), 0);
  {
    auto transaction = Transaction::begin(*db);
    ASSERT_TRUE(transaction);
    ASSERT_TRUE(db->exec("INSERT INTO t VALUES(2)"));
    ASSERT_TRUE(transaction->commit());
  }
  EXPECT_EQ(number(*db, "SELECT count(*) FROM t"), 1);
  EXPECT_FALSE(db->in_transaction());
}

TEST_F(Sqlite, StatementsAreReusedAndBindingsForgotten) {
  const auto db = open();
  ASSERT_TRUE(db->exec("CREATE TABLE t(i INTEGER) STRICT"));
  {
    ASSERT_TRUE(db->prepare("INSERT INTO t VALUES(?)")->bind(1, std::int64_t{7}).run());
  }
  {
    ASSERT_TRUE(db->prepare("INSERT INTO t VALUES(?)")->run());
  }
  EXPECT_EQ(number(*db, "SELECT count(*) FROM t WHERE i IS NULL"), 1);
  // Two of the same text at once are two statements.
  auto a = db->prepare("SELECT i FROM t"), b = db->prepare("SELECT i FROM t");
  ASSERT_TRUE(*a->step());
  ASSERT_TRUE(*a->step());
  ASSERT_TRUE(*b->step());
  EXPECT_FALSE(*a->step());
  EXPECT_TRUE(*b->step());
}

TEST_F(Sqlite, ErrorsAreValues) {
  EXPECT_EQ(Database::open(dir->file("none"), OpenMode::read_write).error().message,
            "no such database: " + dir->file("none"));
  EXPECT_EQ(Database::open(dir->file("none"), OpenMode::read_only).error().code, Errc::not_found);
  EXPECT_EQ(Database::open(dir->file("no/folder"), OpenMode::create).error().code, Errc::io);
  const auto db = open();
  ASSERT_TRUE(
      db->exec("CREATE TABLE p(i INTEGER PRIMARY KEY) STRICT;"
               "CREATE TABLE c(i INTEGER REFERENCES p(i)) STRICT;"
               "INSERT INTO p VALUES(1)"));
  EXPECT_EQ(db->exec("INSERT INTO p VALUES(1)").error().code, Errc::conflict);
  EXPECT_EQ(db->exec("INSERT INTO c VALUES(9)").error().code, Errc::conflict);
  EXPECT_EQ(db->exec("INSERT INTO p VALUES('x')").error().code, Errc::invalid);
  EXPECT_EQ(db->exec("NOT SQL").error().code, Errc::internal);
  EXPECT_EQ(db->prepare("SELECT * FROM nothing").error().code, Errc::internal);
  // A statement that failed works again.
  auto insert = db->prepare("INSERT INTO p VALUES(?)");
  EXPECT_FALSE(insert->bind(1, std::int64_t{1}).run());
  EXPECT_TRUE(insert->bind(1, std::int64_t{2}).run());
  const auto reader = open(OpenMode::read_only);
  EXPECT_EQ(reader->exec("INSERT INTO p VALUES(3)").error().message,
            "database " + path + " is read-only");
}

TEST_F(Sqlite, DiskFullIsAnErrorAndRollsBack) {
  const auto db = open();
  ASSERT_TRUE(db->exec("CREATE TABLE t(b BLOB) STRICT; PRAGMA max_page_count=50"));
  auto transaction = Transaction::begin(*db);
  ASSERT_TRUE(transaction);
  ASSERT_TRUE(db->exec("INSERT INTO t VALUES(x'00')"));
  const Bytes big(1u << 20);
  {
    auto insert = db->prepare("INSERT INTO t VALUES(?)");
    const auto full = insert->bind(1, ByteView(big)).run();
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code, Errc::unavailable);
    EXPECT_EQ(full.error().message,
              "no space left for the database " + path + ": free some and try again");
  }
  transaction->rollback();
  EXPECT_EQ(number(*db, "SELECT count(*) FROM t"), 0);
  EXPECT_TRUE(db->exec("INSERT INTO t VALUES(x'01')"));
}

TEST_F(Sqlite, NotADatabaseAndDamageAreNamed) {
  ASSERT_TRUE(write_file_atomic(path, view(std::string(8192, 'x'))));
  const auto wrong = Database::open(path, OpenMode::read_write);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Errc::mismatch);
  EXPECT_EQ(wrong.error().message, "not a database: " + path);

  path = dir->file("damaged");
  {
    const auto db = open();
    ASSERT_TRUE(
        db->exec("CREATE TABLE t(i INTEGER PRIMARY KEY, s TEXT) STRICT;"
                 "CREATE INDEX by_s ON t(s)"));
    auto insert = db->prepare("INSERT INTO t(s) VALUES(?)");
    auto transaction = Transaction::begin(*db);
    for (int i = 0; i < 2000; ++i)
      ASSERT_TRUE(insert->bind(1, std::to_string(i * 7919) + std::string(20, 's')).run());
    ASSERT_TRUE(transaction->commit());
    ASSERT_TRUE(db->check_integrity());
    ASSERT_TRUE(db->checkpoint());
  }
  std::string bytes = *read_file(path);
  ASSERT_GT(bytes.size(), 40'000u);
  for (std::size_t i = 20'000; i < 30'000; ++i) bytes[i] = static_cast<char>(0xa5);
  ASSERT_TRUE(write_file_atomic(path, view(bytes)));
  const auto db = open();
  const auto checked = db->check_integrity();
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Errc::mismatch);
  EXPECT_NE(checked.error().message.find("is damaged"), std::string::npos);
}

TEST_F(Sqlite, SecondWriterWaits) {
  const auto a = open();
  ASSERT_TRUE(a->exec("CREATE TABLE t(i INTEGER) STRICT"));
  auto held = Transaction::begin(*a);
  ASSERT_TRUE(held);
  std::thread other([&] {
    const auto b = open();
    auto waited = Transaction::begin(*b);  // within the busy timeout
    ASSERT_TRUE(waited) << waited.error().message;
    ASSERT_TRUE(b->exec("INSERT INTO t VALUES(1)"));
    ASSERT_TRUE(waited->commit());
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(number(*a, "SELECT count(*) FROM t"), 0);
  ASSERT_TRUE(held->commit());
  other.join();
  EXPECT_EQ(number(*a, "SELECT count(*) FROM t"), 1);
}

// A child commits rows and reports each one only after commit returned; it is killed at a random
// moment. Every reported row must be there, and no half transaction.
TEST_F(Sqlite, AcknowledgedRowsSurviveKill9) {
  {
    const auto db = open();
    ASSERT_TRUE(db->exec("CREATE TABLE t(n INTEGER, half INTEGER) STRICT"));
  }
  std::int64_t last = 0;
  for (int round = 0; round < 8; ++round) {
    int acks[2];
    ASSERT_EQ(::pipe(acks), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto db = Database::open(path, OpenMode::read_write);
      if (!db) ::_exit(1);
      auto insert = (*db)->prepare("INSERT INTO t VALUES(?,?)");
      if (!insert) ::_exit(1);
      for (std::int64_t n = last + 1;; ++n) {
        auto transaction = Transaction::begin(**db);
        if (!transaction || !insert->bind_all(n, std::int64_t{1}).run() ||
            !insert->bind_all(n, std::int64_t{2}).run() || !transaction->commit() ||
            ::write(acks[1], &n, sizeof n) != sizeof n)
          ::_exit(1);
      }
    }
    ::close(acks[1]);
    std::int64_t acknowledged = last;
    // At least one row, then a random number of milliseconds more.
    ASSERT_EQ(::read(acks[0], &acknowledged, sizeof acknowledged), 8);
    std::this_thread::sleep_for(std::chrono::microseconds(random_u64() % 60'000));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child failed by itself";
    for (std::int64_t n = 0; ::read(acks[0], &n, sizeof n) == sizeof n;) acknowledged = n;
    ::close(acks[0]);

    const auto db = open(OpenMode::read_write);
    ASSERT_TRUE(db);
    ASSERT_TRUE(db->check_integrity());
    last = number(*db, "SELECT max(n) FROM t");
    EXPECT_GE(last, acknowledged);
    EXPECT_LE(last, acknowledged + 1);  // committed, killed before it could say so
    EXPECT_EQ(number(*db, "SELECT count(*) FROM t"), 2 * last);
    EXPECT_EQ(number(*db, "SELECT count(DISTINCT n) FROM t"), last);
  }
}

}  // namespace
}  // namespace assay::io
