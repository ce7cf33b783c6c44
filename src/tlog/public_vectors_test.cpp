// The log of transparency-dev/tessera (../shared/vectors/tlog): its checkpoints, tiles and entry
// bundles, made again from the entries alone, byte for byte.
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "tlog/tlog_testutil.hpp"

namespace assay::tlog {
namespace {

const std::filesystem::path kLog = ASSAY_SOURCE_DIR "/../shared/vectors/tlog/testdata/log";
constexpr const char* kPublic =
    "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx";
constexpr const char* kPrivate =
    "PRIVATE+KEY+example.com/log/testdata+33d7b496+AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg";

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(PublicVectors, TesseraLogByteForByte) {
  if (!std::filesystem::exists(kLog))
    GTEST_SKIP() << "Tessera's log is not here: " << kLog.string();
  const auto verifier = VerifierKey::parse(kPublic);
  const auto signer = SignerKey::parse(kPrivate);
  ASSERT_TRUE(verifier && signer);
  EXPECT_EQ(signer->verifier(), *verifier);
  EXPECT_EQ(verifier->to_string(), kPublic);
  EXPECT_EQ(signer->to_string(), kPrivate);

  const std::string all = read(kLog / "tile/entries/000.p/15");
  const auto entries = parse_bundle(view(all), 15);
  ASSERT_TRUE(entries) << entries.error().message;
  MemoryLog log;
  log.key = *signer;
  for (std::size_t size = 0; size <= 15; ++size) {
    SCOPED_TRACE(size);
    if (size > 0) {
      log.tiles.files.clear();
      log.append({Bytes((*entries)[size - 1].begin(), (*entries)[size - 1].end())});
      EXPECT_EQ(log.tiles.files.size(), 2u);
      for (const auto& [path, bytes] : log.tiles.files)
        EXPECT_EQ(text(bytes), read(kLog / path)) << path;
    }
    const std::string theirs = read(kLog / fmt::format("checkpoint.{}", size));
    EXPECT_EQ(log.checkpoint(), theirs);
    const auto opened = open_checkpoint(theirs, LogPolicy::of(*verifier));
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(opened->checkpoint.size, size);
    EXPECT_EQ(opened->checkpoint.root, log.root(size));
  }
  EXPECT_EQ(read(kLog / "checkpoint"), log.checkpoint());
}

}  // namespace
}  // namespace assay::tlog
