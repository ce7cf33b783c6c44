// Replays the fuzzer's seeds (tests/fuzz/corpus/dispute), whole and damaged.
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>

#include "base/corpus_testutil.hpp"
#include "verify/dispute/fuzz_testutil.hpp"

namespace assay::verify {
namespace {

const std::filesystem::path kCorpus = ASSAY_SOURCE_DIR "/tests/fuzz/corpus/dispute";
const std::filesystem::path kGames = ASSAY_SOURCE_DIR "/spec/vectors/dispute";

TEST(DisputeCorpus, ReplaysWholeAndDamaged) {
  if (std::getenv("ASSAY_WRITE_VECTORS") != nullptr) {
    std::filesystem::create_directories(kCorpus);
    for (const char* name : {"lie-score", "lie-token", "lie-embedding", "honest-salt"})
      std::filesystem::copy_file(kGames / (std::string(name) + ".json"), kCorpus / name,
                                 std::filesystem::copy_options::overwrite_existing);
  }
  const auto files = replay_corpus(kCorpus, [](ByteView bytes, const std::string&) {
    fuzz_dispute(bytes);
    // One hex digit or decimal in every 23.
    const std::string good(text(bytes));
    for (std::size_t i = good.find("\"program\""); i < good.size(); i += 23) {
      std::string bad = good;
      bad[i] = bad[i] == '0' ? '7' : '0';
      fuzz_dispute(view(bad));
    }
  });
  EXPECT_GE(files, 4u);
}

}  // namespace
}  // namespace assay::verify
