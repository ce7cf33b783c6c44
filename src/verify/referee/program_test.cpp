#include "verify/referee/program.hpp"

#include <gtest/gtest.h>

#include "base/hex.hpp"
#include "verify/referee/world_testutil.hpp"

namespace assay::verify::test {
namespace {

const Shape kShapes[] = {{},
                         {.architecture = "qwen2", .layers = 3, .tied = true},
                         {.architecture = "qwen3", .layers = 2, .head_dim = 64}};

bool same(const Program& a, const Program& b) { return program_bytes(a) == program_bytes(b); }

TEST(Program, ReadsWhatItWrites) {
  for (const Shape& shape : kShapes) {
    Program p = program_of(shape);
    p.rope_root.fill(3);
    p.tokenizer.fill(4);
    for (const bool chat : {false, true}) {
      p.has_template = chat;
      if (chat) p.chat_template.fill(5);
      const Bytes bytes = program_bytes(p);
      const auto back = parse_program(bytes);
      ASSERT_TRUE(back) << back.error().message;
      EXPECT_TRUE(same(p, *back));
      EXPECT_EQ(back->rope_halves, p.rope_halves);
      EXPECT_EQ(back->qkv_bias, p.qkv_bias);
      EXPECT_EQ(back->qk_norm, p.qk_norm);
      EXPECT_EQ(program_hash(*back), program_hash(p));
    }
  }
}

// Every tensor of the canonical order has one role and layer.
TEST(Program, TensorsHaveOnePlaceEach) {
  for (const Shape& shape : kShapes) {
    const Program p = program_of(shape);
    std::vector<int> seen(p.formats.size());
    for (int role = 0; role <= static_cast<int>(TensorRole::output); ++role) {
      const auto r = static_cast<TensorRole>(role);
      const bool layered = r != TensorRole::token_embd && r < TensorRole::output_norm;
      const bool bias = r >= TensorRole::q_bias && r <= TensorRole::v_bias;
      const bool norm = r == TensorRole::q_norm || r == TensorRole::k_norm;
      if ((bias && !p.qkv_bias) || (norm && !p.qk_norm)) continue;
      for (std::uint32_t l = 0; l < (layered ? p.layers : 1); ++l) {
        const TensorShape t = tensor_shape(p, r, l);
        ++seen[t.index];
        EXPECT_EQ(t.format, p.formats[t.index]);
      }
    }
    for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], i == 0 && p.tied ? 2 : 1);
    EXPECT_EQ(tensor_shape(p, TensorRole::ffn_down, 0).cols, p.ffn);
    EXPECT_EQ(tensor_shape(p, TensorRole::attn_k, 0).rows, p.kv_dim());
  }
}

// Any bytes: what is taken is written back as it was.
TEST(Program, HostileBytesAreRefusedOrMeanOneProgram) {
  const Bytes good = program_bytes(program_of(kShapes[1]));
  for (std::size_t n = 0; n < good.size(); ++n)
    EXPECT_FALSE(parse_program(ByteView(good).first(n)));
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(parse_program(longer));
  std::size_t taken = 0;
  for (std::size_t i = 0; i < good.size(); ++i)
    for (const int change : {0x01, 0x80, 0xff}) {
      Bytes bytes = good;
      bytes[i] = static_cast<std::uint8_t>(bytes[i] ^ change);
      const auto p = parse_program(bytes);
      if (!p) continue;
      ++taken;
      EXPECT_EQ(program_bytes(*p), bytes);
    }
  EXPECT_GT(taken, 64u * 3);  // both hashes at least
}

TEST(Program, RefusesWhatNoDisputeCanBeAbout) {
  const auto refused = [](auto change) {
    Program p = program_of({});
    change(p);
    return !parse_program(program_bytes(p)).has_value();
  };
  EXPECT_FALSE(refused([](Program&) {}));
  EXPECT_TRUE(refused([](Program& p) { p.architecture = "gemma"; }));
  EXPECT_TRUE(refused([](Program& p) { p.vocab = (1u << 18) + 1; }));
  EXPECT_TRUE(refused([](Program& p) { p.vocab = 0; }));
  EXPECT_TRUE(refused([](Program& p) { p.head_dim = 47; }));
  EXPECT_TRUE(refused([](Program& p) { p.head_dim = 1026; }));
  EXPECT_TRUE(refused([](Program& p) { p.kv_heads = 0; }));
  EXPECT_TRUE(refused([](Program& p) { p.heads = 3, p.kv_heads = 2; }));
  EXPECT_TRUE(refused([](Program& p) { p.heads = p.kv_heads = 1u << 13, p.head_dim = 2; }));
  EXPECT_TRUE(refused([](Program& p) { p.context = (1u << 24) + 1; }));
  EXPECT_TRUE(refused([](Program& p) { p.rms_epsilon = 0.0f; }));
  EXPECT_TRUE(refused([](Program& p) { p.rope_base = canon::test::kNan; }));
  EXPECT_TRUE(refused([](Program& p) { p.layers = 2; }));
  EXPECT_TRUE(refused([](Program& p) { p.formats.push_back(canon::Format::f32); }));
  EXPECT_TRUE(refused([](Program& p) { p.dim = 250; }));                        // no whole blocks
  EXPECT_TRUE(refused([](Program& p) { p.formats[1] = canon::Format::f16; }));  // a norm
  EXPECT_TRUE(refused([](Program& p) { p.formats[2] = static_cast<canon::Format>(3); }));
  EXPECT_TRUE(refused([](Program& p) {
    p.layers = 500;
    p.formats.resize(500 * 9 + 3, canon::Format::f32);
  }));
}

}  // namespace
}  // namespace assay::verify::test
