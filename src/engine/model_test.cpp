#include "engine/model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "canon/rope.hpp"
#include "engine/gguf_testutil.hpp"

namespace assay::engine {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string error_of(const Bytes& file) {
  const auto model = Model::load(file);
  return model ? "accepted" : model.error().message;
}

// The toy model with more metadata or tensors behind it.
template <class Change>
Bytes with(Change change, const ToyShape& shape = {}) {
  GgufBuilder b;
  add_toy_hyper(b, shape);
  add_toy_tokenizer(b);
  change(b);
  add_toy_tensors(b, shape);
  return b.build();
}

TEST(Model, LoadsTheToy) {
  const Bytes file = toy_model();
  const auto model = *Model::load(file);
  const Hyper& h = model->hyper();
  EXPECT_EQ(h.dim, 4u);
  EXPECT_EQ(h.head_dim, 2u);
  EXPECT_EQ(h.kv_dim(), 2u);
  EXPECT_EQ(h.vocab, kToyVocab);
  EXPECT_EQ(h.rope_base, 10000.0f);  // llama.cpp's default
  EXPECT_EQ(h.rms_epsilon, 1e-5f);
  EXPECT_FALSE(model->tied());
  ASSERT_EQ(model->layers().size(), 2u);
  EXPECT_EQ(model->layers()[1].down.type, TensorType::q4_0);
  std::vector<float> table(std::size_t{h.context} * h.head_dim);
  canon::rope_table(h.context, h.head_dim, h.rope_base, table);
  ASSERT_EQ(model->rope_table().size(), table.size());
  EXPECT_TRUE(std::ranges::equal(model->rope_table(), table));
}

TEST(Model, WeightsInCanonicalOrder) {
  const auto names = [](const Bytes& file) {
    std::vector<std::string> out;
    const auto model = *Model::load(file);
    for (const Tensor* t : model->weights()) out.push_back(t->name);
    return out;
  };
  const auto untied = names(toy_model({.layers = 1}));
  EXPECT_EQ(untied, (std::vector<std::string>{
                        "token_embd.weight", "blk.0.attn_norm.weight", "blk.0.attn_q.weight",
                        "blk.0.attn_k.weight", "blk.0.attn_v.weight", "blk.0.attn_output.weight",
                        "blk.0.ffn_norm.weight", "blk.0.ffn_gate.weight", "blk.0.ffn_up.weight",
                        "blk.0.ffn_down.weight", "output_norm.weight", "output.weight"}));
  const auto tied = names(toy_model({.layers = 1, .tied = true}));
  EXPECT_EQ(tied.size(), 11u);
  EXPECT_EQ(tied.back(), "output_norm.weight");
}

TEST(Model, TiedOutputIsTheEmbedding) {
  const Bytes file = toy_model({.tied = true});
  const auto model = *Model::load(file);
  EXPECT_TRUE(model->tied());
  EXPECT_EQ(model->output().data.data(), model->embedding().data.data());
}

TEST(Model, RefusesOtherArchitecturesByName) {
  EXPECT_EQ(error_of(GgufBuilder().string("general.architecture", "qwen2").build()),
            "architecture 'qwen2' is not supported; canon 0 supports 'llama'");
  EXPECT_EQ(error_of(GgufBuilder().build()),
            "the GGUF has no metadata 'general.architecture', which is needed");
  EXPECT_EQ(error_of(GgufBuilder().string("general.architecture", "llama").build()),
            "the GGUF has no metadata 'llama.block_count', which is needed");
}

TEST(Model, RefusesWhatCanonDoesNotSpecify) {
  EXPECT_EQ(error_of(with([](auto& b) { b.f32("llama.logit_scale", 2); })),
            "canon 0 does not specify the metadata 'llama.logit_scale'");
  EXPECT_EQ(error_of(with([](auto& b) { b.string("llama.rope.scaling.type", "yarn"); })),
            "RoPE scaling 'yarn' is not supported by canon 0");
  EXPECT_EQ(error_of(with([](auto& b) { b.string("llama.rope.scaling.type", "none"); })),
            "accepted");
  EXPECT_THAT(error_of(with([](auto& b) { b.f32("llama.rope.scaling.factor", 8); })),
              StartsWith("RoPE scaling by 8"));
  EXPECT_EQ(error_of(with([](auto& b) { b.u32("llama.expert_count", 8); })),
            "mixture of 8 experts is not supported by canon 0");
  EXPECT_EQ(error_of(with([](auto& b) { b.u32("llama.rope.dimension_count", 1); })),
            "metadata 'llama.rope.dimension_count' is 1, but canon 0 supports only 2 here");
  const std::vector<std::uint64_t> shape{4};
  const auto extra = [&](std::string_view name) {
    return error_of(with([&](auto& b) { b.tensor(name, shape, 0, Bytes(16)); }));
  };
  EXPECT_EQ(extra("blk.0.attn_q.bias"),
            "tensor 'blk.0.attn_q.bias': canon 0 does not specify biases in a llama model");
  EXPECT_EQ(extra("rope_freqs.weight"),
            "tensor 'rope_freqs.weight': canon 0 does not specify RoPE scaling factors in a llama "
            "model");
  EXPECT_THAT(extra("blk.2.attn_norm.weight"), HasSubstr("does not specify this tensor"));
}

TEST(Model, RefusesImpossibleShapes) {
  EXPECT_EQ(error_of(toy_model({.dim = 6, .heads = 4})),
            "the width 6 is not a multiple of the 4 heads");
  EXPECT_EQ(error_of(toy_model({.dim = 6, .heads = 2, .kv_heads = 2})),
            "heads of odd width 3 are not supported");
  EXPECT_EQ(error_of(toy_model({.dim = 12, .heads = 6, .kv_heads = 4})),
            "the 6 heads are not a multiple of the 4 key/value heads");
  EXPECT_THAT(error_of(toy_model({.context = 1u << 25})), HasSubstr("RoPE table over the limit"));
  EXPECT_THAT(error_of(toy_model({.layers = 0})), StartsWith("metadata 'llama.block_count' is 0"));
  // The directory of one layer under the hyper-parameters of two.
  GgufBuilder b;
  add_toy_hyper(b, {.layers = 2});
  add_toy_tensors(b, {.layers = 1});
  EXPECT_EQ(error_of(b.build()), "the GGUF has no tensor 'blk.1.attn_norm.weight'");
  GgufBuilder narrow;
  add_toy_hyper(narrow, {.ffn = 256});
  add_toy_tensors(narrow, {.ffn = 288});
  EXPECT_EQ(error_of(narrow.build()),
            "tensor 'blk.0.ffn_gate.weight' has shape [4, 288], but the hyper-parameters want "
            "[4, 256]");
  GgufBuilder vocabulary_only;
  add_toy_hyper(vocabulary_only, {});
  add_toy_tokenizer(vocabulary_only);
  EXPECT_THAT(error_of(vocabulary_only.build()), HasSubstr("is it a vocabulary only?"));
}

TEST(Model, RefusesAnotherVocabularysTokenizer) {
  const auto build = [](std::uint32_t stated, bool tokenizer) {
    GgufBuilder b;
    b.string("general.architecture", "llama")
        .u32("llama.block_count", 1)
        .u32("llama.context_length", 8)
        .u32("llama.embedding_length", 4)
        .u32("llama.feed_forward_length", 32)
        .u32("llama.attention.head_count", 2)
        .u32("llama.attention.head_count_kv", 1)
        .f32("llama.attention.layer_norm_rms_epsilon", 1e-5f)
        .u32("llama.vocab_size", stated);
    if (tokenizer) b.strings("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"});
    add_toy_tensors(b, {.ffn = 32, .layers = 1});
    return b.build();
  };
  EXPECT_EQ(error_of(build(kToyVocab, false)), "accepted");
  EXPECT_EQ(error_of(build(13, false)),
            "metadata 'llama.vocab_size' is 13, but canon 0 supports only 14 here");
  EXPECT_EQ(error_of(build(kToyVocab, true)),
            "the tokenizer has 2 tokens, but the embedding has 14 rows");
}

// Every first value and every last one, in every tensor type.
TEST(Model, RefusesValuesThatAreNotFinite) {
  const Bytes good = toy_model();
  const auto gguf = *Gguf::parse(good);
  for (const Tensor& tensor : gguf.tensors()) {
    const std::size_t begin = tensor.data.data() - good.data();
    const BlockShape shape = block_shape(tensor.type);
    const std::uint64_t blocks = tensor.data.size() / shape.bytes;
    for (const std::uint64_t at : {std::uint64_t{0}, blocks - 1}) {
      Bytes bad = good;
      std::uint8_t* p = &bad[begin + at * shape.bytes];
      switch (tensor.type) {
        case TensorType::f32:
          p[2] = 0x80, p[3] = 0x7f;
          break;
        case TensorType::bf16:
          p[0] = 0x81, p[1] = 0xff;  // a NaN
          break;
        default:
          p[0] = 0x00, p[1] = 0xfc;
      }
      EXPECT_EQ(error_of(bad),
                fmt::format("tensor '{}' has a {} that is not finite at index {}", tensor.name,
                            shape.values == 1 ? "value" : "block scale", at));
    }
  }
}

}  // namespace
}  // namespace assay::engine
