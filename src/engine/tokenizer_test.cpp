#include "engine/tokenizer.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <sstream>

#include "engine/gguf_testutil.hpp"

namespace assay::engine {
namespace {

std::string read_vector(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Vocabulary {
  std::vector<std::string> tokens{"<unk>", "<s>", "</s>"};
  std::vector<float> scores{0, 0, 0};
  std::vector<std::int32_t> kinds{2, 3, 3};
  bool space_prefix = false;

  Vocabulary& add(std::string text, float score, std::int32_t kind = 1) {
    tokens.push_back(std::move(text));
    scores.push_back(score);
    kinds.push_back(kind);
    return *this;
  }
  Vocabulary& add_bytes() {
    for (int b = 0; b < 256; ++b) add(fmt::format("<0x{:02X}>", b), 0, 6);
    return *this;
  }
  Bytes file() const {
    GgufBuilder b;
    b.string("tokenizer.ggml.model", "llama")
        .strings("tokenizer.ggml.tokens", tokens)
        .f32s("tokenizer.ggml.scores", scores)
        .i32s("tokenizer.ggml.token_type", kinds)
        .boolean("tokenizer.ggml.add_space_prefix", space_prefix);
    return b.build();
  }
};

Result<Tokenizer> load_tokenizer(const Bytes& file) {
  TRY(const Gguf gguf, Gguf::parse(file));
  return Tokenizer::from(gguf);
}

std::vector<std::string> piece_texts(const Tokenizer& t, std::string_view text,
                                     Tokenizer::Options options) {
  std::vector<std::string> out;
  for (const Token id : t.encode(text, options)) out.emplace_back(t.text(id));
  return out;
}

using Texts = std::vector<std::string>;
constexpr Tokenizer::Options kPlainText{.add_bos = false, .parse_special = false};
constexpr Tokenizer::Options kSpecialTokens{.add_bos = false, .parse_special = true};

// Every vocabulary of ../shared/vectors/vocab: texts, and the ids llama.cpp publishes for them.
TEST(Tokenizer, LlamaCppVectors) {
  const std::filesystem::path folder = ASSAY_SOURCE_DIR "/../shared/vectors/vocab";
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << "llama.cpp's vocabularies are not here: " << folder;
  std::size_t vocabularies = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().extension() != ".gguf") continue;
    SCOPED_TRACE(file.path().string());
    ++vocabularies;
    const std::string bytes = read_vector(file.path());
    const auto gguf = Gguf::parse(view(bytes));
    ASSERT_TRUE(gguf) << gguf.error().message;
    const auto tokenizer = Tokenizer::from(*gguf);
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    const bool spm = *gguf->string("tokenizer.ggml.model") == "llama";

    const std::string inputs = read_vector(file.path().string() + ".inp");
    std::istringstream outputs(read_vector(file.path().string() + ".out"));
    constexpr std::string_view separator = "\n__ggml_vocab_test__\n";
    std::size_t cases = 0;
    for (std::size_t at = 0; at < inputs.size(); ++cases) {
      const auto end = std::min(inputs.find(separator, at), inputs.size());
      const std::string input = inputs.substr(at, end - at);
      at = end + separator.size();
      std::string line;
      ASSERT_TRUE(std::getline(outputs, line));
      std::istringstream ids(line);
      const std::vector<Token> want{std::istream_iterator<Token>(ids), {}};
      EXPECT_EQ(tokenizer->encode(input, kPlainText), want) << '"' << input << '"';
      EXPECT_EQ(tokenizer->decode(want), input);
      Detokenizer stream(*tokenizer);
      std::string streamed;
      for (const Token id : want) streamed += stream.push(id);
      streamed += stream.finish();
      EXPECT_EQ(streamed, spm && !want.empty() ? " " + input : input);
    }
    EXPECT_GE(cases, 40u);
  }
  EXPECT_GE(vocabularies, 3u);
}

TEST(Tokenizer, HighestScoreMergesFirstTiesLeftmost) {
  const auto t = *load_tokenizer(
      Vocabulary().add("a", -9).add("b", -9).add("ab", -2).add("ba", -1).add("aa", -3).file());
  EXPECT_EQ(piece_texts(t, "aba", kPlainText), (Texts{"a", "ba"}));
  EXPECT_EQ(piece_texts(t, "aaa", kPlainText), (Texts{"aa", "a"}));
  EXPECT_EQ(piece_texts(t, "aaaa", kPlainText), (Texts{"aa", "aa"}));
  EXPECT_EQ(piece_texts(t, "abab", kPlainText), (Texts{"a", "ba", "b"}));
}

TEST(Tokenizer, BytesWhereTheVocabularyHasNoCharacter) {
  const auto t = *load_tokenizer(Vocabulary().add_bytes().add("a", -1).file());
  EXPECT_EQ(piece_texts(t, "a\xc3\xa9\xff", kPlainText),
            (Texts{"a", "<0xC3>", "<0xA9>", "<0xFF>"}));
  EXPECT_EQ(t.decode(t.encode("a\xc3\xa9", kPlainText)), "a\xc3\xa9");
  const auto poor = *load_tokenizer(Vocabulary().add("a", -1).file());
  EXPECT_EQ(piece_texts(poor, "ab", kPlainText), (Texts{"a", "<unk>"}));
}

TEST(Tokenizer, SpecialTokensAreCutOutLongestFirst) {
  const auto t = *load_tokenizer(Vocabulary()
                                     .add_bytes()
                                     .add("<|a|>", 0, 3)
                                     .add("<|a|><|b|>", 0, 3)
                                     .add("own", 0, 4)
                                     .add("x", -1)
                                     .file());
  EXPECT_EQ(piece_texts(t, "x<|a|>x", kSpecialTokens), (Texts{"x", "<|a|>", "x"}));
  EXPECT_EQ(piece_texts(t, "<|a|><|a|><|b|>", kSpecialTokens), (Texts{"<|a|>", "<|a|><|b|>"}));
  EXPECT_EQ(t.encode("<|a|>", kPlainText).size(), 5u);  // bytes, not the control token
  EXPECT_EQ(piece_texts(t, "xownx", kPlainText), (Texts{"x", "own", "x"}));
}

// Merges must not reassemble a control token out of its characters.
TEST(Tokenizer, PlainTextNeverBecomesControlUnknownOrByteTokens) {
  Vocabulary v;
  v.add_bytes();
  for (const char* s : {"<", "s", ">", "<s", "u", "n", "k", "un", "unk", "<unk", "0", "x", "4", "1",
                        "<0", "<0x", "<0x4", "<0x41"})
    v.add(s, -1);
  const auto t = *load_tokenizer(v.file());
  EXPECT_EQ(piece_texts(t, "<s>", kPlainText), (Texts{"<s", ">"}));
  EXPECT_EQ(piece_texts(t, "<unk>", kPlainText), (Texts{"<unk", ">"}));
  EXPECT_EQ(piece_texts(t, "<0x41>", kPlainText), (Texts{"<0x41", ">"}));
  EXPECT_EQ(piece_texts(t, "<s>", kSpecialTokens), (Texts{"<s>"}));
}

TEST(Tokenizer, SpacePrefixAtTheStartAndAfterSpecialTokens) {
  Vocabulary v;
  v.add_bytes().add("\xe2\x96\x81", -1).add("x", -1);
  v.space_prefix = true;
  const auto t = *load_tokenizer(v.file());
  EXPECT_EQ(piece_texts(t, "x</s>x", kSpecialTokens),
            (Texts{"\xe2\x96\x81", "x", "</s>", "\xe2\x96\x81", "x"}));
  EXPECT_EQ(t.encode(""), (std::vector<Token>{1}));
  EXPECT_EQ(t.decode(t.encode(" x")), " x");
}

TEST(Tokenizer, StopTokensAreEosAndTurnEnds) {
  const auto t = *load_tokenizer(Vocabulary().add("<|end|>", 0).add("a", -1).file());
  EXPECT_EQ(t.stop_tokens(), (std::vector<Token>{2, 3}));
  EXPECT_EQ(piece_texts(t, "<|end|>", kSpecialTokens),
            (Texts{"<|end|>"}));  // control, whatever its type says
  EXPECT_EQ(t.piece(3), "");
  EXPECT_EQ(t.piece(3, true), "<|end|>");
}

TEST(Tokenizer, CanonicalBytesCoverEveryRule) {
  Vocabulary v;
  v.add("a", -1).add("b", -2);
  const Bytes base = load_tokenizer(v.file())->canonical();
  EXPECT_EQ(base, load_tokenizer(v.file())->canonical());
  Vocabulary score = v, kind = v, prefix = v, text = v;
  score.scores[4] = -2.5f;
  kind.kinds[4] = 4;
  prefix.space_prefix = true;
  text.tokens[4] = "c";
  for (const Vocabulary& changed : {score, kind, prefix, text})
    EXPECT_NE(load_tokenizer(changed.file())->canonical(), base);
}

TEST(Detokenizer, NeverEmitsHalfACharacter) {
  const auto t = *load_tokenizer(Vocabulary().add_bytes().add("a", -1).file());
  const auto byte = [&](int b) { return *t.find(fmt::format("<0x{:02X}>", b)); };
  Detokenizer d(t);
  EXPECT_EQ(d.push(byte(0xf0)), "");
  EXPECT_EQ(d.push(byte(0x9f)), "");
  EXPECT_EQ(d.push(byte(0xa6)), "");
  EXPECT_EQ(d.push(byte(0x99)), "\xf0\x9f\xa6\x99");
  EXPECT_EQ(d.push(byte(0xc3)), "");
  EXPECT_EQ(d.push(*t.find("a")),
            "\xef\xbf\xbd"
            "a");
  EXPECT_EQ(d.push(byte(0x80)), "\xef\xbf\xbd");
  EXPECT_EQ(d.push(byte(0xe2)), "");
  EXPECT_EQ(d.finish(), "\xef\xbf\xbd");
  EXPECT_EQ(d.finish(), "");
}

TEST(Tokenizer, RefusesByName) {
  const auto error = [](const GgufBuilder& b) {
    const auto t = load_tokenizer(b.build());
    return t ? std::string("accepted") : t.error().message;
  };
  EXPECT_EQ(error(GgufBuilder()),
            "the GGUF has no metadata 'tokenizer.ggml.model', which is needed");
  EXPECT_EQ(load_tokenizer(Vocabulary().add("a", 0).add("a", 0).file()).error().message,
            "tokens 3 and 4 have the same text 'a'");
  EXPECT_EQ(load_tokenizer(Vocabulary().add("a", 0, 7).file()).error().message,
            "token 3 has unknown type 7");
  EXPECT_EQ(load_tokenizer(Vocabulary().add("0x4a", 0, 6).file()).error().message,
            "byte token 3 is written '0x4a', not like <0x4A>");
  Vocabulary infinite;
  infinite.add("a", std::numeric_limits<float>::infinity());
  EXPECT_EQ(load_tokenizer(infinite.file()).error().message,
            "token 3 has a score that is not finite");
}

}  // namespace
}  // namespace assay::engine
