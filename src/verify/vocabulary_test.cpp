#include "verify/vocabulary.hpp"

#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "engine/tokenizer/bpe_testutil.hpp"
#include "verify/identity.hpp"

namespace assay::verify {
namespace {

Result<Vocabulary> open(ByteView file) {
  TRY(const engine::Gguf gguf, engine::Gguf::parse(file));
  EXPECT_TRUE(is_vocabulary(gguf));
  return open_vocabulary(gguf);
}

void expect_same_bytes(const engine::Tokenizer& a, const engine::Tokenizer& b) {
  EXPECT_EQ(a.canonical(), b.canonical());
  ASSERT_EQ(a.size(), b.size());
  for (engine::Token id = 0; id < a.size(); ++id) EXPECT_EQ(a.piece(id, true), b.piece(id, true));
}

TEST(Vocabulary, OfARealModel) {
  std::ifstream in(ASSAY_SOURCE_DIR "/models/tern-q8_0.gguf", std::ios::binary);
  const std::string file{std::istreambuf_iterator<char>(in), {}};
  const auto model = *engine::Model::load(view(file));
  const auto tokenizer = *engine::Tokenizer::from(model->gguf());
  const auto chat = engine::ChatTemplate::from(model->gguf());
  ThreadPool pool(1);
  const Program program = program_of(*model, tokenizer, chat ? &*chat : nullptr, pool);
  const Bytes made = vocabulary_file(model->gguf(), program);
  EXPECT_LT(made.size(), file.size() / 20);
  const auto opened = open(made);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->program_hash, program_hash(program));
  expect_same_bytes(opened->tokenizer, tokenizer);
  EXPECT_FALSE(is_vocabulary(model->gguf()));
  EXPECT_FALSE(open_vocabulary(model->gguf()));

  // Any other vocabulary, and any other program, is noticed.
  const std::string_view text(reinterpret_cast<const char*>(made.data()), made.size());
  const std::size_t word = text.find("Veloria");
  ASSERT_NE(word, std::string_view::npos);
  Bytes other = made;
  other[word] = 'v';
  EXPECT_EQ(open(other).error().code, Errc::mismatch);
  Program changed = program;
  changed.tokenizer[0] ^= 1;
  EXPECT_EQ(open(vocabulary_file(model->gguf(), changed)).error().code, Errc::mismatch);
  for (std::size_t size = 0; size < made.size(); size += 997)
    EXPECT_FALSE(engine::Gguf::parse(ByteView(made).first(size)));
}

// Byte-level entries, merges and every flag survive.
TEST(Vocabulary, OfByteLevelPairs) {
  engine::BpeVocabulary vocabulary;
  vocabulary.name = "phi-3";  // swallows white space
  vocabulary.add_bos = true;
  vocabulary.merge("a", "b").merge("ab", "c");
  const Bytes file = vocabulary.file();
  const auto gguf = *engine::Gguf::parse(file);
  const auto tokenizer = *engine::Tokenizer::from(gguf);
  const Bytes made = vocabulary_file(gguf, Program());
  const auto found = *engine::Tokenizer::from(*engine::Gguf::parse(made));
  expect_same_bytes(found, tokenizer);
}

}  // namespace
}  // namespace assay::verify
