// Replays the fuzzer's seeds (tests/fuzz/corpus/dispute), whole and damaged.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "verify/dispute/fuzz_testutil.hpp"

namespace assay::verify {
namespace {

const std::filesystem::path kCorpus = ASSAY_SOURCE_DIR "/tests/fuzz/corpus/dispute";
const std::filesystem::path kGames = ASSAY_SOURCE_DIR "/spec/vectors/dispute";

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(DisputeCorpus, ReplaysWholeAndDamaged) {
  if (std::getenv("ASSAY_WRITE_VECTORS") != nullptr) {
    std::filesystem::create_directories(kCorpus);
    for (const char* name : {"lie-score", "lie-token", "lie-embedding", "honest-salt"})
      std::filesystem::copy_file(kGames / (std::string(name) + ".json"), kCorpus / name,
                                 std::filesystem::copy_options::overwrite_existing);
  }
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kCorpus)) {
    const std::string good = read(entry.path());
    SCOPED_TRACE(entry.path().string());
    fuzz_dispute(view(good));
    // One hex digit or decimal in every 23.
    for (std::size_t i = good.find("\"program\""); i < good.size(); i += 23) {
      std::string bad = good;
      bad[i] = bad[i] == '0' ? '7' : '0';
      fuzz_dispute(view(bad));
    }
    ++files;
  }
  EXPECT_GE(files, 4);
}

}  // namespace
}  // namespace assay::verify
