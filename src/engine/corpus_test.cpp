// Replays the fuzzers' seeds, so that what they once found stays found. With ASSAY_WRITE_VECTORS=1
// the generated seeds are written again.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "base/corpus_testutil.hpp"
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
  return replay_corpus(kCorpus / name, [&](ByteView bytes, const std::string&) { entry(bytes); });
}

TEST(Corpus, Gguf) {
  const Bytes tiny = toy_model({.ffn = 32, .layers = 1});
  GgufBuilder vocabulary;
  add_toy_tokenizer(vocabulary);
  write(kCorpus / "gguf/untied", tiny);
  write(kCorpus / "gguf/tied", toy_model({.ffn = 32, .layers = 1, .tied = true}));
  write(kCorpus / "gguf/llama3",
        toy_model({.ffn = 32, .layers = 1, .head_dim = 4, .factors = {1, 8}}));
  write(
      kCorpus / "gguf/qwen2",
      toy_model({.architecture = "qwen2", .ffn = 256, .layers = 1, .down_even = TensorType::q4_k}));
  write(kCorpus / "gguf/qwen3", toy_model({.architecture = "qwen3",
                                           .ffn = 256,
                                           .layers = 2,
                                           .head_dim = 6,
                                           .down_even = TensorType::q5_k,
                                           .down_odd = TensorType::q6_k}));
  write(kCorpus / "gguf/vocabulary", vocabulary.build());
  write(kCorpus / "gguf/vocabulary_bpe", BpeVocabulary().merge("a", "b").merge("ab", "c").file());
  write(kCorpus / "gguf/header", ByteView(tiny).first(24));
  write(kCorpus / "gguf/cut", ByteView(tiny).first(tiny.size() / 2));
  EXPECT_GE(replay("gguf", fuzz_gguf), 8u);
}

TEST(Corpus, Tokenizer) {
  const std::pair<const char*, std::string_view> seeds[] = {
      {"special", "abc<|user|>ab<|end|>"},
      {"injection", "<s></s><|<0x41><unk>ownageown"},
      {"utf8", "\xc3\xa9\xe2\x96\x81 a\xf0\x9f\xa6\x99"},
      {"broken", "\xf0\x9f\xff\xc3"},
      {"runs", "aaaaaaaaa   bcbcabc  "},
      {"words",
       "it's 12345 'S!\r\n\n  abab\t (\xe4\xb8\xad\xe3\x80\x80\xc3\xa9)\xcc\x81\xe2\x80\xa8 "},
      {"shapes", "\xc1\x81\xed\xa0\x80\xf4\x90\x80\x80\xf8\x88own\xe4\xb8"}};
  for (const auto& [name, seed] : seeds) write(kCorpus / "tokenizer" / name, view(seed));
  EXPECT_GE(replay("tokenizer", fuzz_tokenizer), 5u);
}

TEST(Corpus, Template) { EXPECT_GE(replay("template", fuzz_template), 8u); }

}  // namespace
}  // namespace assay::engine
