// Replays the fuzzers' seeds, so that what they once found stays found. With ASSAY_WRITE_VECTORS=1
// the generated seeds are written again.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "engine/fuzz_testutil.hpp"

namespace assay::engine {
namespace {

namespace fs = std::filesystem;

const fs::path kCorpus = ASSAY_SOURCE_DIR "/tests/fuzz/corpus";

void write(const fs::path& path, ByteView bytes) {
  if (std::getenv("ASSAY_WRITE_VECTORS") == nullptr) return;
  std::ofstream(path, std::ios::binary) << text(bytes);
}

std::size_t replay(std::string_view name, void (*entry)(ByteView)) {
  std::size_t count = 0;
  for (const auto& file : fs::directory_iterator(kCorpus / name)) {
    std::ifstream in(file.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    SCOPED_TRACE(file.path().string());
    entry(view(bytes));
    ++count;
  }
  return count;
}

TEST(Corpus, Gguf) {
  const Bytes tiny = toy_model({.ffn = 32, .layers = 1});
  GgufBuilder vocabulary;
  add_toy_tokenizer(vocabulary);
  write(kCorpus / "gguf/untied", tiny);
  write(kCorpus / "gguf/tied", toy_model({.ffn = 32, .layers = 1, .tied = true}));
  write(kCorpus / "gguf/vocabulary", vocabulary.build());
  write(kCorpus / "gguf/header", ByteView(tiny).first(24));
  write(kCorpus / "gguf/cut", ByteView(tiny).first(tiny.size() / 2));
  EXPECT_GE(replay("gguf", fuzz_gguf), 5u);
}

TEST(Corpus, Tokenizer) {
  const std::pair<const char*, std::string_view> seeds[] = {
      {"special", "abc<|user|>ab<|end|>"},
      {"injection", "<s></s><|<0x41><unk>ownageown"},
      {"utf8", "\xc3\xa9\xe2\x96\x81 a\xf0\x9f\xa6\x99"},
      {"broken", "\xf0\x9f\xff\xc3"},
      {"runs", "aaaaaaaaa   bcbcabc  "}};
  for (const auto& [name, seed] : seeds) write(kCorpus / "tokenizer" / name, view(seed));
  EXPECT_GE(replay("tokenizer", fuzz_tokenizer), 5u);
}

}  // namespace
}  // namespace assay::engine
