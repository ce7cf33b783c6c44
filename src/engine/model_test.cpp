#include "engine/model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "canon/rope.hpp"
#include "engine/gguf_testutil.hpp"

namespace assay::engine {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string load_error(const Bytes& file) {
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
  canon::rope_table(h.context, h.head_dim, h.rope_base, {}, 1.0f, table);
  for (const std::uint32_t position : {15u, 0u, 7u})
    EXPECT_TRUE(std::ranges::equal(std::span(model->rope().row(position), h.head_dim),
                                   std::span(table).subspan(position * h.head_dim, h.head_dim)));
}

TEST(Model, LoadsEveryArchitecture) {
  for (const Architecture& architecture : architectures()) {
    SCOPED_TRACE(architecture.name);
    const Bytes file =
        toy_model({.architecture = std::string(architecture.name), .layers = 1, .head_dim = 6});
    const auto model = Model::load(file);
    ASSERT_TRUE(model) << model.error().message;
    const Hyper& h = (*model)->hyper();
    EXPECT_EQ(h.rope_halves, architecture.name != "llama");
    EXPECT_EQ(h.head_dim, 6u);
    EXPECT_EQ(h.q_dim(), 12u);
    const Model::Layer& layer = (*model)->layers()[0];
    EXPECT_EQ(layer.q_bias.has_value(), architecture.name == "qwen2");
    EXPECT_EQ(layer.v_bias.has_value(), architecture.name == "qwen2");
    EXPECT_EQ(layer.k_norm.has_value(), architecture.name == "qwen3");
    EXPECT_EQ(layer.o.shape, (std::vector<std::uint64_t>{12, 4}));
  }
}

// A table of 2^24 positions costs nothing until a row is asked for.
TEST(Model, RopeRowsAreComputedWhenAsked) {
  const Bytes file = toy_model({.context = 1u << 24, .head_dim = 4, .factors = {1, 8}});
  const auto model = *Model::load(file);
  const std::uint32_t last = (1u << 24) - 1;
  std::vector<float> row(4);
  canon::rope_rows(last, 4, 10000.0f, std::vector<float>{1, 8}, 1.0f, row);
  EXPECT_TRUE(std::ranges::equal(std::span(model->rope().row(last), 4), row));
  EXPECT_EQ(model->rope().row(last), model->rope().row(last - 1) + 4);
}

TEST(Model, RopeScaling) {
  const auto row_of = [](const Bytes& file) {
    const auto model = *Model::load(file);
    const float* row = model->rope().row(9);
    return std::vector<float>(row, row + model->hyper().head_dim);
  };
  const auto scaled = [](auto change) {
    GgufBuilder b;
    add_toy_hyper(b, {});
    change(b);
    add_toy_tensors(b, {});
    return b.build();
  };
  const auto expected = [](float linear) {
    std::vector<float> row(2);
    canon::rope_rows(9, 2, 10000.0f, {}, linear, row);
    return row;
  };
  EXPECT_EQ(row_of(scaled([](auto& b) { b.f32("llama.rope.scaling.factor", 4); })), expected(4));
  EXPECT_EQ(row_of(scaled([](auto& b) {
              b.string("llama.rope.scaling.type", "linear").f32("llama.rope.scale_linear", 2);
            })),
            expected(2));
  EXPECT_EQ(row_of(scaled([](auto& b) {
              b.string("llama.rope.scaling.type", "none").f32("llama.rope.scaling.factor", 4);
            })),
            expected(1));
  EXPECT_EQ(row_of(scaled([](auto& b) { b.f32("llama.rope.scaling.factor", 0); })), expected(1));
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
  EXPECT_EQ(load_error(GgufBuilder().string("general.architecture", "gemma3").build()),
            "architecture 'gemma3' is not supported; canon 0 supports llama, qwen2, qwen3");
  EXPECT_EQ(load_error(GgufBuilder().build()),
            "the GGUF has no metadata 'general.architecture', which is needed");
  EXPECT_EQ(load_error(GgufBuilder().string("general.architecture", "qwen3").build()),
            "the GGUF has no metadata 'qwen3.block_count', which is needed");
  EXPECT_EQ(load_error(with([](auto& b) { b.u32("split.count", 3); })),
            "this is one of 3 parts of a model; join them with `llama-gguf-split --merge`");
}

// Keys that public files carry and that change no answer.
TEST(Model, AcceptsWhatChangesNothing) {
  EXPECT_EQ(load_error(with([](auto& b) {
              b.string("llama.rope.scaling.type", "none")
                  .string("llama.tensor_data_layout", "Meta AI original pth")
                  .u32("llama.rope.dimension_count", 2)
                  .u32("llama.attention.key_length", 2)
                  .u32("llama.attention.value_length", 2)
                  .u32("llama.rope.scaling.original_context_length", 8192)
                  .boolean("llama.rope.scaling.finetuned", true)
                  .boolean("llama.attention.causal", true)
                  .f32("llama.rope.scaling.attn_factor", 1)
                  .f32("llama.logit_scale", 0)
                  .f32("llama.attention.layer_norm_epsilon", 1e-6f)
                  .u32("llama.attention.sliding_window", 16)
                  .u32("llama.expert_count", 0)
                  .u32("llama.expert_used_count", 0)
                  .u32("split.count", 1)
                  .u32("qwen2.expert_count", 8)
                  .u32("general.quantization_version", 2)
                  .string("quantize.imatrix.file", "x");
            })),
            "accepted");
}

TEST(Model, RefusesWhatCanonDoesNotSpecify) {
  const auto error = [](auto change) { return load_error(with(change)); };
  EXPECT_EQ(error([](auto& b) { b.u32("llama.num_deepstack_layers", 2); }),
            "canon 0 does not specify the metadata 'llama.num_deepstack_layers'; use a model "
            "without it");
  for (const char* key : {"logit_scale", "residual_scale", "embedding_scale", "attention.scale",
                          "attention.clamp_kqv", "final_logit_softcapping"})
    EXPECT_EQ(error([&](auto& b) { b.f32(fmt::format("llama.{}", key), 2); }),
              fmt::format("metadata 'llama.{}' changes the answer unless it is 0, which canon 0 "
                          "does not specify; use a model without it",
                          key));
  EXPECT_THAT(error([](auto& b) { b.boolean("llama.attention.causal", false); }),
              StartsWith("metadata 'llama.attention.causal' changes the answer unless it is 1"));
  EXPECT_THAT(error([](auto& b) { b.string("llama.attention.scale", "x"); }),
              StartsWith("metadata 'llama.attention.scale' changes the answer unless it is 0"));
  for (const char* type : {"yarn", "longrope", "llama3"})
    EXPECT_EQ(error([&](auto& b) { b.string("llama.rope.scaling.type", type); }),
              fmt::format("RoPE scaling '{}' ('llama.rope.scaling.type') is not supported by canon "
                          "0; it knows 'none', 'linear' and the factors of Llama 3.1",
                          type));
  EXPECT_EQ(error([](auto& b) { b.f32("llama.rope.scaling.factor", 0.5f); }),
            "RoPE scaling by 0.5 ('llama.rope.scaling.factor') is not a number of at least 1");
  EXPECT_THAT(error([](auto& b) { b.f32("llama.rope.scale_linear", NAN); }),
              HasSubstr("is not a number of at least 1"));
  EXPECT_EQ(error([](auto& b) { b.u32("llama.expert_count", 8); }),
            "mixture of 8 experts ('llama.expert_count') is not supported by canon 0");
  EXPECT_EQ(error([](auto& b) { b.u32("llama.rope.dimension_count", 1); }),
            "metadata 'llama.rope.dimension_count' is 1, but canon 0 supports only 2 here");
  EXPECT_EQ(error([](auto& b) { b.u32("llama.attention.key_length", 4); }),
            "keys of length 4 with values of length 2 ('llama.attention.value_length') are not "
            "supported by canon 0");
  EXPECT_THAT(error([](auto& b) { b.u32("llama.attention.sliding_window", 8); }),
              StartsWith("metadata 'llama.attention.sliding_window' is 8: canon 0 does not specify "
                         "attention over less than the context of 16"));
}

TEST(Model, RefusesTensorsItWouldIgnore) {
  const std::vector<std::uint64_t> shape{4};
  const auto extra = [&](std::string_view name, const char* architecture = "llama") {
    const Bytes file =
        with([&](auto& b) { b.tensor(name, shape, 0, Bytes(16)); }, {.architecture = architecture});
    return load_error(file);
  };
  EXPECT_EQ(extra("blk.0.attn_q.bias"),
            "tensor 'blk.0.attn_q.bias': canon 0 does not specify biases like this in a llama "
            "model; use a model without it");
  EXPECT_THAT(extra("output.bias", "qwen2"), HasSubstr("biases like this in a qwen2 model"));
  EXPECT_THAT(extra("rope_freqs.weight", "qwen3"), HasSubstr("RoPE factors in a qwen3 model"));
  EXPECT_THAT(extra("rope_factors_long.weight"), HasSubstr("short and long contexts"));
  EXPECT_THAT(extra("blk.0.attn_q_norm.weight"), HasSubstr("does not specify this norm"));
  EXPECT_THAT(extra("blk.0.ffn_gate_inp.weight"), HasSubstr("does not specify experts"));
  EXPECT_THAT(extra("blk.2.attn_norm.weight"), HasSubstr("does not specify this norm"));
  EXPECT_THAT(extra("cls.output.weight", "qwen3"), HasSubstr("does not specify this tensor"));
  EXPECT_EQ(load_error(toy_model({.factors = {2, 2}})),
            "tensor 'rope_freqs.weight' has shape [2], but the hyper-parameters want [1]");
  for (const float factor : {0.5f, -1.0f, INFINITY})
    EXPECT_EQ(
        load_error(toy_model({.factors = {factor}})),
        fmt::format("tensor 'rope_freqs.weight' has the factor {} at index 0, not a number of "
                    "at least 1",
                    factor));
}

TEST(Model, RefusesImpossibleShapes) {
  EXPECT_EQ(load_error(toy_model({.dim = 6, .heads = 4})),
            "the width 6 is not a multiple of the 4 heads");
  EXPECT_EQ(load_error(toy_model({.dim = 6, .heads = 2, .kv_heads = 2})),
            "heads of odd width 3 are not supported");
  EXPECT_EQ(load_error(toy_model({.dim = 12, .heads = 6, .kv_heads = 4})),
            "the 6 heads are not a multiple of the 4 key/value heads");
  EXPECT_THAT(load_error(toy_model({.context = 1u << 25})), HasSubstr("RoPE table over the limit"));
  GgufBuilder wide;
  add_toy_hyper(wide, {.heads = 1u << 16, .context = 1, .head_dim = 1u << 16});
  EXPECT_THAT(load_error(wide.build()), HasSubstr("are wider than the limit"));
  // Each bound by itself: a head, all heads, the residual stream, the feed-forward network.
  const auto refused = [](const ToyShape& shape) {
    GgufBuilder builder;
    add_toy_hyper(builder, shape);
    return load_error(builder.build());
  };
  constexpr std::uint32_t most = 1u << 18;
  EXPECT_EQ(refused({.dim = 2052, .heads = 2, .context = 1}),
            "heads of width 1026 are wider than the limit of 1024");
  EXPECT_EQ(refused({.dim = 1024, .heads = 1024, .context = 1, .head_dim = 258}),
            "1024 heads of width 258 are wider than the limit of 262144");
  EXPECT_EQ(refused({.dim = most + 2, .heads = 2, .context = 1, .head_dim = 64}),
            "a width of 262146 is more than the limit of 262144");
  EXPECT_EQ(refused({.dim = 64, .heads = 2, .ffn = most + 1, .context = 1}),
            "a width of 262145 is more than the limit of 262144");
  EXPECT_THAT(load_error(toy_model({.layers = 0})),
              StartsWith("metadata 'llama.block_count' is 0"));
  // The directory of one layer under the hyper-parameters of two.
  GgufBuilder b;
  add_toy_hyper(b, {.layers = 2});
  add_toy_tensors(b, {.layers = 1});
  EXPECT_EQ(load_error(b.build()), "the GGUF has no tensor 'blk.1.attn_norm.weight'");
  GgufBuilder narrow;
  add_toy_hyper(narrow, {.ffn = 256});
  add_toy_tensors(narrow, {.ffn = 288});
  EXPECT_EQ(load_error(narrow.build()),
            "tensor 'blk.0.ffn_gate.weight' has shape [4, 288], but the hyper-parameters want "
            "[4, 256]");
  GgufBuilder vocabulary_only;
  add_toy_hyper(vocabulary_only, {});
  add_toy_tokenizer(vocabulary_only);
  EXPECT_THAT(load_error(vocabulary_only.build()), HasSubstr("is it a vocabulary only?"));
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
  EXPECT_EQ(load_error(build(kToyVocab, false)), "accepted");
  EXPECT_EQ(load_error(build(13, false)),
            "metadata 'llama.vocab_size' is 13, but the embedding has 14 rows");
  EXPECT_EQ(load_error(build(kToyVocab, true)),
            "the tokenizer has 2 tokens, but the embedding has 14 rows");
}

// Every first value or scale and every last one, of every tensor, in every type.
TEST(Model, RefusesValuesThatAreNotFinite) {
  const Bytes mixed = toy_model({.layers = 1});
  std::vector<Bytes> files{mixed};
  for (const TensorType type : {TensorType::q4_k, TensorType::q5_k, TensorType::q6_k})
    files.push_back(toy_model({.architecture = "qwen2",
                               .dim = 256,
                               .ffn = 512,
                               .layers = 1,
                               .square = type,
                               .gate = type,
                               .up = type,
                               .down_even = type}));
  for (const Bytes& good : files) {
    ASSERT_TRUE(Model::load(good));
    const auto gguf = *Gguf::parse(good);
    for (const Tensor& tensor : gguf.tensors()) {
      const std::size_t begin = tensor.data.data() - good.data();
      const BlockShape shape = block_shape(tensor.type);
      const std::uint64_t blocks = tensor.data.size() / shape.bytes;
      std::vector<std::size_t> scales{0};  // where in a block
      if (tensor.type == TensorType::q4_k || tensor.type == TensorType::q5_k) scales.push_back(2);
      if (tensor.type == TensorType::q6_k) scales = {208};
      for (const std::uint64_t at : {std::uint64_t{0}, blocks - 1})
        for (const std::size_t scale : scales) {
          Bytes bad = good;
          std::uint8_t* p = &bad[begin + at * shape.bytes + scale];
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
          EXPECT_EQ(load_error(bad),
                    fmt::format("tensor '{}' has a {} that is not finite at index {}", tensor.name,
                                shape.values == 1 ? "value" : "block scale", at));
        }
    }
  }
}

// Of several, the first in canonical order is named, however many threads look.
TEST(Model, NamesTheFirstBadScale) {
  Bytes file = toy_model({.dim = 256, .ffn = 8192, .layers = 2, .gate = TensorType::f32});
  const auto gguf = *Gguf::parse(file);
  for (const char* name : {"output.weight", "blk.1.ffn_gate.weight", "blk.0.ffn_gate.weight"}) {
    const Tensor* tensor = gguf.find(name);
    const std::size_t end = tensor->data.data() - file.data() + tensor->data.size();
    file[end - 2] = 0x80, file[end - 1] = 0x7f;
    EXPECT_EQ(load_error(file),
              fmt::format("tensor '{}' has a value that is not finite at index {}", name,
                          tensor->data.size() / 4 - 1));
  }
}

}  // namespace
}  // namespace assay::engine
