#include "io/schema.hpp"

#include <gtest/gtest.h>

#include "io/files.hpp"

namespace assay::io {
namespace {

Schema first() {
  return {.owner = "shop",
          .steps = {"CREATE TABLE IF NOT EXISTS goods(name TEXT PRIMARY KEY) STRICT"}};
}

Schema second() {
  Schema out = first();
  out.steps.emplace_back("ALTER TABLE goods ADD COLUMN price INTEGER NOT NULL DEFAULT 7");
  out.readable_from = 2;
  return out;
}

struct SchemaTest : testing::Test {
  TempDirectory folder = *TempDirectory::create("assay-schema");
  std::string path = folder.file("shop.db");
  std::string copy(int version) { return fmt::format("{}.v{}.backup", path, version); }
};

TEST_F(SchemaTest, ANewFileIsOfTheNewestVersionAndHasNoCopy) {
  auto db = open_versioned(path, OpenMode::create, second());
  ASSERT_TRUE(db) << db.error().message;
  EXPECT_EQ(*user_version(**db), 2u);
  EXPECT_EQ(*(*db)->query_int64("SELECT count(price) FROM goods"), 0);
  EXPECT_FALSE(path_exists(copy(0)));
}

TEST_F(SchemaTest, AFileFromBeforeVersionsIsCopiedAndTakenAlong) {
  {
    auto old = *Database::open(path, OpenMode::create);
    ASSERT_TRUE(
        old->exec("CREATE TABLE goods(name TEXT PRIMARY KEY) STRICT;"
                  "INSERT INTO goods VALUES('hat')"));
  }
  {
    auto db = open_versioned(path, OpenMode::create, second());
    ASSERT_TRUE(db) << db.error().message;
    EXPECT_EQ(*(*db)->query_int64("SELECT price FROM goods WHERE name = 'hat'"), 7);
  }
  auto kept = open_versioned(copy(0), OpenMode::read_only, first());
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_EQ(*(*kept)->query_int64("SELECT count(*) FROM goods"), 1);
  EXPECT_FALSE((*kept)->query_int64("SELECT price FROM goods"));
}

TEST_F(SchemaTest, RowsStillInTheWriteAheadLogAreInTheCopy) {
  auto writer = *open_versioned(path, OpenMode::create, first());
  ASSERT_TRUE(writer->exec("INSERT INTO goods VALUES('hat')"));
  ASSERT_TRUE(open_versioned(path, OpenMode::create, second()));  // while another has it open
  auto kept = *Database::open(copy(1), OpenMode::read_only);
  EXPECT_EQ(*kept->query_int64("SELECT count(*) FROM goods"), 1);
}

TEST_F(SchemaTest, ALaterVersionIsRefusedUnchanged) {
  ASSERT_TRUE(open_versioned(path, OpenMode::create, second()));
  const std::string before = *read_file(path);
  for (const OpenMode mode : {OpenMode::create, OpenMode::read_write, OpenMode::read_only}) {
    const auto db = open_versioned(path, mode, first());
    ASSERT_FALSE(db);
    EXPECT_EQ(db.error().code, Errc::unsupported);
    EXPECT_NE(db.error().message.find("is of version 2"), std::string::npos) << db.error().message;
  }
  EXPECT_EQ(*read_file(path), before);
}

TEST_F(SchemaTest, AReaderDoesNotMigrate) {
  ASSERT_TRUE(open_versioned(path, OpenMode::create, first()));
  const auto refused = open_versioned(path, OpenMode::read_only, second());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("start the shop once"), std::string::npos);
  Schema lenient = second();
  lenient.readable_from = 1;
  EXPECT_TRUE(open_versioned(path, OpenMode::read_only, lenient));
}

TEST_F(SchemaTest, AStepThatFailsLeavesTheFileAsItWas) {
  {
    auto db = *open_versioned(path, OpenMode::create, first());
    ASSERT_TRUE(db->exec("INSERT INTO goods VALUES('hat')"));
  }
  Schema broken = second();
  broken.steps.emplace_back("ALTER TABLE no_such_table ADD COLUMN x");
  const auto failed = open_versioned(path, OpenMode::create, broken);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("stays at version 1"), std::string::npos);
  auto db = open_versioned(path, OpenMode::create, first());
  ASSERT_TRUE(db) << db.error().message;
  EXPECT_FALSE((*db)->query_int64("SELECT price FROM goods"));
  EXPECT_EQ(*(*db)->query_int64("SELECT count(*) FROM goods"), 1);
  // A copy whose making was cut off does not stand in the way of the next.
  ASSERT_TRUE(write_file_atomic(copy(1) + ".part", view("half")));
  EXPECT_TRUE(open_versioned(path, OpenMode::create, second()));
}

TEST_F(SchemaTest, AFullDiskIsSaidBeforeAnythingChanges) {
  {
    auto db = *open_versioned(path, OpenMode::create, first());
  }
  // What the copy would be called is a folder: it cannot be put there.
  ASSERT_TRUE(make_directories(copy(1) + "/in-the-way"));
  ASSERT_FALSE(open_versioned(path, OpenMode::create, second()));
  EXPECT_EQ(*user_version(**Database::open(path, OpenMode::read_only)), 1u);
}

}  // namespace
}  // namespace assay::io
