#include "io/files.hpp"

#include <bit>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "io/random.hpp"
#include "io/system_clock.hpp"

namespace assay::io {
namespace {

class Files : public testing::Test {
 protected:
  void SetUp() override {
    auto made = TempDirectory::create("assay-files-test");
    ASSERT_TRUE(made) << made.error().message;
    dir = std::make_unique<TempDirectory>(std::move(*made));
  }
  std::unique_ptr<TempDirectory> dir;
};

TEST_F(Files, WriteReadMap) {
  const std::string path = dir->file("a");
  ASSERT_TRUE(write_file_atomic(path, view("hello"), 0600));
  EXPECT_EQ(*read_file(path), "hello");
  const auto mapped = MappedFile::open(path);
  ASSERT_TRUE(mapped);
  EXPECT_EQ(text(mapped->bytes()), "hello");
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_TRUE(write_file_atomic(path, view("")));
  EXPECT_EQ(*read_file(path), "");
  // No temporary is left behind.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir->path()), {}), 1);
  // The mapping still shows what was opened.
  EXPECT_EQ(text(mapped->bytes()), "hello");
}

TEST_F(Files, MappedFileMoves) {
  const std::string path = dir->file("a");
  ASSERT_TRUE(write_file_atomic(path, view("hello")));
  auto first = MappedFile::open(path);
  MappedFile second = std::move(*first);
  EXPECT_TRUE(first->bytes().empty());
  EXPECT_EQ(text(second.bytes()), "hello");
}

TEST_F(Files, ErrorsSayWhatIsWrong) {
  const std::string missing = dir->file("missing");
  EXPECT_EQ(MappedFile::open(missing).error().message, "no such file: " + missing);
  EXPECT_EQ(MappedFile::open(missing).error().code, Errc::not_found);
  EXPECT_EQ(read_file(missing).error().message, "no such file: " + missing);
  EXPECT_EQ(MappedFile::open(dir->path()).error().message, "is a directory: " + dir->path());
  EXPECT_EQ(read_file(dir->path()).error().message, "is a directory: " + dir->path());
  EXPECT_EQ(write_file_atomic(dir->path(), view("x")).error().message,
            "is a directory: " + dir->path());
  const std::string lost = dir->file("no/such/folder/f");
  EXPECT_EQ(write_file_atomic(lost, view("x")).error().message, "no such folder for: " + lost);
  const std::string empty = dir->file("empty");
  ASSERT_TRUE(write_file_atomic(empty, {}));
  EXPECT_EQ(MappedFile::open(empty).error().message, "file is empty: " + empty);
  ASSERT_TRUE(write_file_atomic(empty, view("12345")));
  EXPECT_EQ(read_file(empty, 4).error().message, "file is larger than 4 bytes: " + empty);
  EXPECT_TRUE(read_file(empty, 5));
  const std::string fifo = dir->file("fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(read_file(fifo).error().message, "not a regular file: " + fifo);
  EXPECT_EQ(MappedFile::open(empty + "/x").error().message,
            "part of the path is not a folder: " + empty + "/x");
}

TEST_F(Files, PermissionDeniedAndDiskFullAreNamed) {
  EXPECT_EQ(errno_error(EACCES, "open", "/x").message, "permission denied: /x");
  EXPECT_EQ(errno_error(ENOSPC, "write", "/x").message,
            "no space left on the disk of /x: free some and try again");
  EXPECT_EQ(errno_error(ENOSPC, "write", "/x").code, Errc::unavailable);
}

TEST_F(Files, MakeDirectories) {
  const std::string path = dir->file("a/b/c");
  ASSERT_TRUE(make_directories(path));
  ASSERT_TRUE(make_directories(path));
  ASSERT_TRUE(make_directories(path + "/"));
  EXPECT_TRUE(std::filesystem::is_directory(path));
  ASSERT_TRUE(write_file_atomic(dir->file("f"), view("x")));
  EXPECT_EQ(make_directories(dir->file("f")).error().message,
            "exists but is not a folder: " + dir->file("f"));
  EXPECT_FALSE(make_directories(dir->file("f/g")));
}

TEST_F(Files, TempDirectoryIsRemoved) {
  std::string path;
  {
    const auto temp = TempDirectory::create();
    ASSERT_TRUE(temp);
    path = temp->path();
    ASSERT_TRUE(make_directories(temp->file("x/y")));
    ASSERT_TRUE(write_file_atomic(temp->file("x/y/z"), view("z")));
    EXPECT_TRUE(path_exists(path));
  }
  EXPECT_FALSE(path_exists(path));
}

TEST_F(Files, LockExcludesAndIsReleased) {
  {
    const auto lock = FileLock::acquire(dir->path());
    ASSERT_TRUE(lock) << lock.error().message;
    const auto second = FileLock::acquire(dir->path());
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::conflict);
    EXPECT_EQ(second.error().message,
              fmt::format("data directory {} is in use by another assay process (pid {})",
                          dir->path(), ::getpid()));
  }
  EXPECT_TRUE(FileLock::acquire(dir->path()));
}

TEST_F(Files, LockOfAKilledProcessIsFree) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto lock = FileLock::acquire(dir->path());
    if (::write(ready[1], lock ? "y" : "n", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  EXPECT_EQ(FileLock::acquire(dir->path()).error().message,
            fmt::format("data directory {} is in use by another assay process (pid {})",
                        dir->path(), child));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(FileLock::acquire(dir->path()));
  ::close(ready[0]);
  ::close(ready[1]);
}

// A child rewrites one file over and over; whenever it dies, the file is one of the versions whole.
TEST_F(Files, AtomicWriteUnderKill9) {
  const std::string path = dir->file("state");
  const auto version = [](int n) {
    return std::string(static_cast<std::size_t>(200'000 + n % 7 * 1000),
                       static_cast<char>('a' + n % 26));
  };
  ASSERT_TRUE(write_file_atomic(path, view(version(0))));
  int changes = 0;
  for (int round = 0; round < 8; ++round) {
    const std::string before = *read_file(path);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (int n = round * 5 + 1;; ++n)
        if (!write_file_atomic(path, view(version(n)))) ::_exit(1);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(5'000 + random_u64() % 40'000));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    const auto after = read_file(path);
    ASSERT_TRUE(after) << after.error().message;
    ASSERT_FALSE(after->empty());
    EXPECT_EQ(after->find_first_not_of(after->front()), std::string::npos) << "mixed versions";
    EXPECT_GE(after->size(), 200'000u);
    EXPECT_EQ(after->size() % 1000, 0u);
    if (*after != before) ++changes;
  }
  EXPECT_GT(changes, 0) << "no write was ever completed: the test shows nothing";
}

TEST(Random, BytesDiffer) {
  EXPECT_NE(random_hash(), random_hash());
  std::array<std::uint8_t, 1000> bytes{};
  random_bytes(bytes);
  int ones = 0;
  for (const std::uint8_t b : bytes) ones += std::popcount(b);
  EXPECT_GT(ones, 3500);
  EXPECT_LT(ones, 4500);
}

TEST(SystemClock, NowIsNow) {
  const SystemClock clock;
  EXPECT_GT(clock.now_ms(), 1'700'000'000'000);
  EXPECT_NEAR(static_cast<double>(clock.now_s()), static_cast<double>(::time(nullptr)), 1.0);
  const std::int64_t start = steady_ms();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_GE(steady_ms() - start, 20);
}

TEST(AppendFile, AddsToTheEndAndMakesTheFile) {
  const auto dir = *TempDirectory::create();
  const std::string path = dir.file("journal");
  ASSERT_TRUE(append_file(path, view("one "), 0600));
  ASSERT_TRUE(append_file(path, view("two"), 0600));
  EXPECT_EQ(*read_file(path), "one two");
  const auto refused = append_file(dir.file("none/journal"), view("x"));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("no such file"), std::string::npos)
      << refused.error().message;
}

TEST(WriteFiles, ManyAtOnceWithTheirFolders) {
  const TempDirectory folder = *TempDirectory::create();
  const mode_t before = ::umask(077);
  std::vector<NewFile> files;
  for (int i = 0; i < 300; ++i)
    files.push_back({fmt::format("a/b{}/f{}", i % 3, i), Bytes(static_cast<std::size_t>(i), 'x')});
  EXPECT_TRUE(write_files(folder.path(), files));
  files.resize(1);
  files[0].content = {'y'};
  EXPECT_TRUE(write_files(folder.path(), files)) << "again, other bytes";
  ::umask(before);
  EXPECT_EQ(read_file(folder.file("a/b0/f0")), "y");
  EXPECT_EQ(read_file(folder.file("a/b2/f299"))->size(), 299u);
  struct stat info{};
  ASSERT_EQ(::stat(folder.file("a/b1").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0755u);
  ASSERT_EQ(::stat(folder.file("a/b1/f1").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0644u);
  files[0].path = "a/b0/f0/under-a-file";
  EXPECT_FALSE(write_files(folder.path(), files));
  EXPECT_TRUE(write_files(folder.path(), {}));
}

}  // namespace
}  // namespace assay::io
