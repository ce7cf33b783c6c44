#include <gtest/gtest.h>

#include "engine/tokenizer.hpp"
#include "engine/tokenizer/bpe_testutil.hpp"
#include "engine/tokenizer/pretokenizer.hpp"

namespace assay::engine {
namespace {

using Texts = std::vector<std::string>;
constexpr Tokenizer::Options kPlain{.add_bos = false, .parse_special = false};
constexpr Tokenizer::Options kSpecial{.add_bos = false, .parse_special = true};

Result<Tokenizer> load(const BpeVocabulary& vocabulary) {
  const Bytes file = vocabulary.file();
  TRY(const Gguf gguf, Gguf::parse(file));
  return Tokenizer::from(gguf);
}

Texts texts(const Tokenizer& t, std::span<const Token> ids) {
  Texts out;
  for (const Token id : ids) out.emplace_back(t.text(id));
  return out;
}
Texts texts(const Tokenizer& t, std::string_view text, Tokenizer::Options options = kPlain) {
  return texts(t, t.encode(text, options));
}

std::string error(const BpeVocabulary& vocabulary) {
  const auto t = load(vocabulary);
  return t ? std::string("accepted") : t.error().message;
}

TEST(Bpe, EarliestMergeFirstTiesLeftmost) {
  const auto t = *load(BpeVocabulary().merge("b", "a").merge("a", "b").merge("a", "a"));
  EXPECT_EQ(texts(t, "aba"), (Texts{"a", "ba"}));
  EXPECT_EQ(texts(t, "abab"), (Texts{"a", "ba", "b"}));
  EXPECT_EQ(texts(t, "aaa"), (Texts{"aa", "a"}));
  EXPECT_EQ(texts(t, "aaaa"), (Texts{"aa", "aa"}));
}

TEST(Bpe, TheFirstOfTwoEqualMergesCounts) {
  BpeVocabulary v;
  v.merge("a", "b").merge("b", "c").merge("a", "b");
  EXPECT_EQ(texts(*load(v), "abc"), (Texts{"ab", "c"}));
}

TEST(Bpe, MergesStayInsideWords) {
  BpeVocabulary v;
  v.merge("1", "2").merge("12", "3").merge("123", "4").merge("3", "4").merge("a", "Ġ");
  EXPECT_EQ(texts(*load(v), "1234"), (Texts{"123", "4"}));
  v.pre = "qwen2";
  EXPECT_EQ(texts(*load(v), "1234"), (Texts{"1", "2", "3", "4"}));
  v.pre = "gpt-2";
  EXPECT_EQ(texts(*load(v), "1234"), (Texts{"1234"}));
  EXPECT_EQ(texts(*load(v), "a b"), (Texts{"a", "Ġ", "b"}));
}

TEST(Bpe, AWholeWordIsNotMergedWhereTheRuleSaysSo) {
  BpeVocabulary v;
  v.merge("a", "b").add("abc");
  EXPECT_EQ(texts(*load(v), "abc"), (Texts{"abc"}));
  v.pre = "dbrx";
  EXPECT_EQ(texts(*load(v), "abc"), (Texts{"ab", "c"}));
}

TEST(Bpe, EveryByteComesBack) {
  BpeVocabulary v;
  v.merge("Ġ", "a").merge("Ã", "©");
  const auto t = *load(v);
  std::string all;
  for (std::uint32_t code = 0; code < 0x30000; code += code < 0x300 ? 1 : 97)
    if (code < 0xd800 || code > 0xdfff) append_utf8(all, code);
  all += " a\xc3\xa9 \t\r\n";
  EXPECT_EQ(t.decode(t.encode(all, kPlain)), all);
  EXPECT_EQ(texts(t, " a\xc3\xa9"), (Texts{"Ġa", "Ã©"}));
}

TEST(Bpe, BrokenUtf8BecomesReplacementCharacters) {
  const auto t = *load(BpeVocabulary());
  const auto back = [&](std::string_view text) { return t.decode(t.encode(text, kPlain)); };
  EXPECT_EQ(back("a\xff\xc3"), "a\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(back("\xe4\xb8"), "\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(back("\xf4\x90\x80\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  // As llama.cpp: overlong forms are the character, surrogates pass.
  EXPECT_EQ(back("\xc1\x81"), "A");
  EXPECT_EQ(back("\xed\xa0\x80"), "\xed\xa0\x80");
}

TEST(Bpe, AByteWithoutAnEntryBecomesNothing) {
  BpeVocabulary v;
  v.tokens.erase(v.tokens.begin() + 6 + 7);  // the bell
  v.kinds.erase(v.kinds.begin() + 6 + 7);
  EXPECT_EQ(texts(*load(v), "a\x07z"), (Texts{"a", "z"}));
}

TEST(Bpe, PlainTextNeverBecomesAControlToken) {
  BpeVocabulary v;
  v.add("ab", 3).merge("a", "b").merge("c", "d");
  const auto t = *load(v);
  EXPECT_EQ(texts(t, "ab"), (Texts{"a", "b"}));
  EXPECT_EQ(texts(t, "abcd", kSpecial), (Texts{"ab", "cd"}));
  EXPECT_EQ(t.encode("<|user|>", kPlain).size(), 8u);
  EXPECT_EQ(texts(t, "xownx"), (Texts{"x", "own", "x"}));
}

TEST(Bpe, RunsAreOneTextButSpecialsKeepToTheirOwn) {
  BpeVocabulary v;
  v.merge("a", "b").merge("Ġ", "a");
  const auto t = *load(v);
  const auto run = [&](std::vector<TextRun> runs) { return texts(t, t.encode(runs)); };
  EXPECT_EQ(run({{"a", true}, {"b", false}}), (Texts{"<s>", "ab"}));
  EXPECT_EQ(run({{"<|user|>", true}, {"<|end|>", false}, {"<|end|>", true}}),
            (Texts{"<s>", "<|user|>", "<", "|", "e", "n", "d", "|", ">", "<|end|>"}));
  EXPECT_EQ(run({{"<|us", true}, {"er|>", true}}).size(), 9u);
  EXPECT_EQ(run({{"o", false}, {"wn", true}}), (Texts{"<s>", "own"}));
  EXPECT_EQ(run({{"<s>", true}, {"a", false}}), (Texts{"<s>", "a"}));
  EXPECT_EQ(run({{"<s>", false}, {"", true}}), (Texts{"<s>", "<", "s", ">"}));
  EXPECT_EQ(run({}), (Texts{"<s>"}));
  // What a user writes across a border is no special either.
  EXPECT_EQ(run({{"<|us", false}, {"er|>", true}}).size(), 9u);
}

TEST(Bpe, LongestSpecialFirstAndWhiteSpaceSwallowed) {
  BpeVocabulary v;
  v.add("<|user|>x", 3);
  EXPECT_EQ(texts(*load(v), "<|user|>x <|user|> a", kSpecial),
            (Texts{"<|user|>x", "Ġ", "<|user|>", "Ġ", "a"}));
  v.name = "Phi-3 mini";
  EXPECT_EQ(texts(*load(v), "<|user|>x <|user|> \n a<s> ", kSpecial),
            (Texts{"<|user|>x", "<|user|>", "a", "<s>", "Ġ"}));
}

TEST(Bpe, BosAndEosAsTheFileOrTheNameSays) {
  BpeVocabulary v;
  const auto ids = [&] { return texts(*load(v), "a", {}); };
  EXPECT_EQ(ids(), (Texts{"<s>", "a"}));
  v.add_bos = false;
  v.add_eos = true;
  EXPECT_EQ(ids(), (Texts{"a", "</s>"}));
  v = BpeVocabulary();
  v.pre = "qwen2";
  EXPECT_EQ(ids(), (Texts{"a"}));
  v.add_bos = true;
  EXPECT_EQ(ids(), (Texts{"<s>", "a"}));
}

TEST(Bpe, CanonicalBytesCoverEveryRuleAndNotTheAlias) {
  BpeVocabulary base;
  base.merge("a", "b").merge("b", "c");
  const Bytes bytes = load(base)->canonical();
  BpeVocabulary alias = base;
  alias.pre = "llama-v3";
  EXPECT_EQ(load(alias)->canonical(), bytes);
  std::vector<BpeVocabulary> changed(7, base);
  changed[0].pre = "qwen2";
  changed[1].pre = "smaug-bpe";  // the same cuts, but no whole words
  changed[1].add_bos = true;
  std::swap(changed[2].merges[0], changed[2].merges[1]);
  changed[3].add_bos = false;
  changed[4].add_eos = true;
  changed[5].name = "phi3";
  changed[6].kinds[5] = 1;
  for (std::size_t i = 0; i < changed.size(); ++i)
    EXPECT_NE(load(changed[i])->canonical(), bytes) << i;
}

TEST(Bpe, AMillionBytesOfOneWordAreMergedInTime) {
  BpeVocabulary v;
  std::string piece = "a";
  for (int i = 0; i < 8; ++i) {
    v.merge(piece, piece);
    piece += piece;
  }
  v.pre = "gpt-2";
  EXPECT_EQ(load(v)->encode(std::string(1 << 20, 'a'), kPlain).size(), (1u << 20) / 256);
}

TEST(Bpe, StreamsOnlyWholeCharacters) {
  const auto t = *load(BpeVocabulary().merge("Ã", "©").merge("©", "a"));
  Detokenizer d(t);
  EXPECT_EQ(d.push(*t.find("Ã")), "");
  EXPECT_EQ(d.push(*t.find("©a")), "\xc3\xa9\x61");
  EXPECT_EQ(d.push(*t.find("<s>")), "");
  EXPECT_EQ(d.push(*t.find("ð")), "");
  EXPECT_EQ(d.finish(), "\xef\xbf\xbd");
}

TEST(Bpe, RefusesByName) {
  BpeVocabulary v;
  v.pre = "from-the-future";
  EXPECT_EQ(
      error(v),
      "pre-tokenizer 'from-the-future' (tokenizer.ggml.pre) is not supported; supported are "
      "gpt-2, llama-bpe, qwen2, qwen35, seed-coder, starcoder, falcon, default, deepseek-llm, "
      "deepseek-coder, deepseek-v3 and their other names");
  v = BpeVocabulary();
  v.merges = {"a"};
  EXPECT_EQ(error(v), "merge 0 is 'a', not two parts and a space between");
  v.merges = {"a b c"};
  EXPECT_EQ(error(v), "merge 0 is 'a b c', not two parts and a space between");
  v.merges = {"a b"};
  EXPECT_EQ(error(v), "merge 0 ('a b') gives no entry of the vocabulary");
  const auto nameless = GgufBuilder().string("tokenizer.ggml.model", "gpt2").build();
  EXPECT_EQ(
      Tokenizer::from(*Gguf::parse(nameless)).error().message,
      "the GGUF does not name its pre-tokenizer (tokenizer.ggml.pre); convert the model again "
      "with a current converter");
  const auto other = GgufBuilder().string("tokenizer.ggml.model", "bert").build();
  EXPECT_EQ(
      Tokenizer::from(*Gguf::parse(other)).error().message,
      "tokenizer 'bert' is not supported; canon 0 supports 'llama' (SentencePiece) and 'gpt2' "
      "(byte-level BPE)");
}

}  // namespace
}  // namespace assay::engine
