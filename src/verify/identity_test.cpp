#include "verify/identity.hpp"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <set>

#include "base/hex.hpp"
#include "base/json.hpp"
#include "canon/rope.hpp"
#include "crypto/merkle.hpp"
#include "crypto/sha256.hpp"
#include "engine/gguf_testutil.hpp"

namespace assay::verify {
namespace {

struct Loaded {
  Bytes file;
  std::shared_ptr<const engine::Model> model;
  engine::Tokenizer tokenizer;
  engine::ChatTemplate chat;

  explicit Loaded(Bytes bytes)
      : file(std::move(bytes)),
        model(*engine::Model::load(file)),
        tokenizer(*engine::Tokenizer::from(model->gguf())),
        chat(*engine::ChatTemplate::from(model->gguf())) {}
  Loaded(const Loaded&) = delete;
};

ModelIdentity identity_of(const Loaded& m, unsigned threads = 1) {
  ThreadPool pool(threads);
  return *identify(*m.model, m.tokenizer, &m.chat, m.file, pool);
}

json::object vector_of(const Loaded& m) {
  ThreadPool pool(1);
  const ModelIdentity id = identity_of(m);
  json::array tensors;
  std::uint32_t index = 0;
  for (const engine::Tensor* t : m.model->weights()) {
    json::array shape;
    for (const auto extent : t->shape) shape.emplace_back(extent);
    const auto last_chunk = static_cast<std::uint32_t>((t->row_length() - 1) / 256);
    tensors.push_back(
        json::object{{"name", t->name},
                     {"type", engine::type_name(static_cast<std::uint32_t>(t->type))},
                     {"shape", shape},
                     {"first_leaf", to_hex(chunk_leaf(*t, index, 0, 0))},
                     {"last_leaf", to_hex(chunk_leaf(*t, index, t->rows() - 1, last_chunk))},
                     {"root", to_hex(tensor_root(*t, index, pool))}});
    ++index;
  }
  return {{"gguf", to_hex(m.file)},
          {"file_sha256", to_hex(id.file_sha256)},
          {"weights_root", to_hex(id.weights_root)},
          {"tensors", tensors},
          {"program_hash", to_hex(id.program_hash)},
          {"program", to_hex(program_bytes(program_of(*m.model, m.tokenizer, &m.chat, pool)))},
          {"rope_root", to_hex(rope_root(m.model->rope(), pool))},
          {"tokenizer", to_hex(m.tokenizer.canonical())},
          {"template", m.chat.source()},
          {"canon", id.canon}};
}

TEST(Identity, Vectors) {
  const std::string path = ASSAY_SOURCE_DIR "/spec/vectors/model/identity.json";
  const Loaded untied(engine::toy_model());
  const Loaded tied(engine::toy_model({.ffn = 32, .layers = 1, .tied = true}));
  // Factors; biases and one K-quant superblock a row; head norms and heads wider than width /
  // heads.
  const Loaded llama3(
      engine::toy_model({.ffn = 32, .layers = 1, .head_dim = 4, .factors = {1, 8}}));
  const Loaded qwen2(engine::toy_model({.architecture = "qwen2",
                                        .ffn = 256,
                                        .layers = 1,
                                        .tied = true,
                                        .down_even = engine::TensorType::q4_k}));
  const Loaded qwen3(engine::toy_model({.architecture = "qwen3",
                                        .ffn = 256,
                                        .layers = 1,
                                        .head_dim = 6,
                                        .down_even = engine::TensorType::q6_k}));
  const std::string text =
      json::dump_pretty(
          json::object{{"about", "spec/model.md: what a GGUF's weights root and program hash are"},
                       {"models", json::array{vector_of(untied), vector_of(tied), vector_of(llama3),
                                              vector_of(qwen2), vector_of(qwen3)}}}) +
      "\n";
  if (std::getenv("ASSAY_WRITE_VECTORS") != nullptr) std::ofstream(path) << text;
  std::ifstream in(path);
  EXPECT_EQ((std::string{std::istreambuf_iterator<char>(in), {}}), text);
}

TEST(Identity, ThreadsDoNotMatter) {
  const Loaded m(engine::toy_model({.ffn = 1024, .layers = 3}));
  const ModelIdentity one = identity_of(m, 1), four = identity_of(m, 4);
  EXPECT_EQ(one.weights_root, four.weights_root);
  EXPECT_EQ(one.program_hash, four.program_hash);
  ThreadPool pool(2);
  const auto id = *execution_id(*m.model, pool);
  EXPECT_EQ(id.weights_root, one.weights_root);
  EXPECT_EQ(id.program_hash, one.program_hash);
}

// Every byte of every tensor is under the root, in its place.
TEST(Identity, AnyChangedWeightChangesTheRootAndNothingElse) {
  const Loaded base(engine::toy_model({.ffn = 32, .layers = 1}));
  const ModelIdentity id = identity_of(base);
  for (const engine::Tensor& t : base.model->gguf().tensors()) {
    for (const std::size_t at : {std::size_t{0}, t.data.size() - 2}) {
      Bytes changed = base.file;
      changed[t.data.data() - base.file.data() + at] ^= 1;
      const ModelIdentity other = identity_of(Loaded(changed));
      EXPECT_NE(other.weights_root, id.weights_root) << t.name;
      EXPECT_EQ(other.program_hash, id.program_hash);
      EXPECT_NE(other.file_sha256, id.file_sha256);
    }
  }
}

TEST(Identity, UnusedMetadataIsOnlyInTheFileAlias) {
  const auto build = [](std::string_view name) {
    engine::GgufBuilder b;
    engine::add_toy_hyper(b, {});
    engine::add_toy_tokenizer(b);
    b.string("general.author", name);
    engine::add_toy_tensors(b, {});
    return b.build();
  };
  const ModelIdentity a = identity_of(Loaded(build("Ada"))), b = identity_of(Loaded(build("Bob")));
  EXPECT_EQ(a.weights_root, b.weights_root);
  EXPECT_EQ(a.program_hash, b.program_hash);
  EXPECT_NE(a.file_sha256, b.file_sha256);
}

TEST(Identity, ProgramCoversHyperParametersTokenizerAndTemplate) {
  const Loaded base(engine::toy_model()), shorter(engine::toy_model({.context = 8}));
  EXPECT_NE(identity_of(base).program_hash, identity_of(shorter).program_hash);
  EXPECT_EQ(identity_of(base).weights_root, identity_of(shorter).weights_root);
  ThreadPool pool(1);
  const auto bare = *identify(*base.model, base.tokenizer, nullptr, base.file, pool);
  EXPECT_NE(bare.program_hash, identity_of(base).program_hash);
}

// Everything that makes another computation of the same matrices makes another program.
TEST(Identity, ProgramCoversArchitectureAndRope) {
  std::set<Hash> programs;
  const auto add = [&](const Bytes& file) {
    programs.insert(identity_of(Loaded(file)).program_hash);
  };
  engine::ToyShape shape{.ffn = 32, .layers = 1, .head_dim = 4};
  add(engine::toy_model(shape));
  for (const char* architecture : {"qwen2", "qwen3"}) {
    engine::ToyShape other = shape;
    other.architecture = architecture;
    add(engine::toy_model(other));
  }
  for (const float factor : {2.0f, 8.0f}) {
    shape.factors = {1, factor};
    add(engine::toy_model(shape));
  }
  shape.factors.clear();
  engine::GgufBuilder scaled;
  engine::add_toy_hyper(scaled, shape);
  engine::add_toy_tokenizer(scaled);
  scaled.f32("llama.rope.scaling.factor", 4);
  engine::add_toy_tensors(scaled, shape);
  add(scaled.build());
  EXPECT_EQ(programs.size(), 6u);
}

// The factors are in the RoPE root and so in the program; factors of 1 are as none.
TEST(Identity, FactorsAreNotWeights) {
  const Loaded none(engine::toy_model({.ffn = 32, .layers = 1, .head_dim = 4}));
  const Loaded ones(engine::toy_model({.ffn = 32, .layers = 1, .head_dim = 4, .factors = {1, 1}}));
  EXPECT_EQ(identity_of(none).weights_root, identity_of(ones).weights_root);
  EXPECT_EQ(identity_of(none).program_hash, identity_of(ones).program_hash);
}

TEST(Identity, RopeRootOfPartBlocks) {
  ThreadPool one(1), four(4);
  for (const std::uint32_t positions : {1u, 255u, 256u, 257u, 1000u})
    for (const std::uint32_t head_dim : {2u, 6u, 96u}) {
      const engine::RopeTable table(positions, head_dim, 10000, {}, 1);
      std::vector<float> whole(std::size_t{positions} * head_dim);
      canon::rope_table(positions, head_dim, 10000, {}, 1, whole);
      std::vector<Hash> leaves;
      for (std::size_t at = 0; at < whole.size(); at += 256) {
        Bytes leaf;
        for (std::size_t i = at; i < std::min(at + 256, whole.size()); ++i)
          append_le(leaf, std::bit_cast<std::uint32_t>(whole[i]));
        leaves.push_back(crypto::leaf_hash(leaf));
      }
      EXPECT_EQ(rope_root(table, four), crypto::merkle_root(leaves));
      EXPECT_EQ(rope_root(table, one), crypto::merkle_root(leaves));
      for (const std::uint32_t row : {positions - 1, 0u, positions / 2})
        EXPECT_TRUE(std::ranges::equal(std::span(table.row(row), head_dim),
                                       std::span(whole).subspan(row * head_dim, head_dim)));
    }
}

TEST(Identity, RowTailsAreShorterChunks) {
  const Loaded m(engine::toy_model());
  const engine::Tensor& down = m.model->layers()[0].down;  // Q8_0, rows of 288 values
  Bytes leaf;
  append_le(leaf, std::uint32_t{9});
  append_le(leaf, std::uint64_t{2});
  append_le(leaf, std::uint32_t{1});
  append(leaf, down.data.subspan(2 * 306 + 272, 34));
  EXPECT_EQ(chunk_leaf(down, 9, 2, 1), crypto::leaf_hash(leaf));
}

TEST(Identity, ProgressEndsAtTheTotal) {
  const Loaded m(engine::toy_model());
  ThreadPool pool(1);
  std::uint64_t last = 0, total = 0;
  ASSERT_TRUE(identify(*m.model, m.tokenizer, &m.chat, m.file, pool,
                       [&](std::uint64_t done, std::uint64_t all) {
                         EXPECT_GE(done, last);
                         last = done;
                         total = all;
                       }));
  EXPECT_EQ(last, total);
  EXPECT_GT(total, m.file.size());
}

}  // namespace
}  // namespace assay::verify
