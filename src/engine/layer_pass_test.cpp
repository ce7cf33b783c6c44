// A layer run by itself, over what a whole pass fed it, gives what the whole pass made of it.
#include "engine/layer_pass.hpp"

#include <gtest/gtest.h>
#include <map>
#include <mutex>

#include "engine/gguf_testutil.hpp"
#include "engine/session.hpp"

namespace assay::engine {
namespace {

struct States : StateSink {
  std::mutex mutex;
  std::map<std::uint32_t, std::map<std::uint32_t, std::vector<float>>> x;  // [layer][position]
  std::map<std::uint32_t, std::map<std::uint32_t, std::vector<std::uint16_t>>> k, v;
  std::map<std::uint32_t, std::vector<float>> logits;
  std::map<std::uint32_t, Token> tokens;
  std::uint32_t layers = 0;

  void cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x_row,
            std::span<const std::uint16_t> k_row, std::span<const std::uint16_t> v_row) override {
    const std::lock_guard lock(mutex);
    x[layer][position].assign(x_row.begin(), x_row.end());
    k[layer][position].assign(k_row.begin(), k_row.end());
    v[layer][position].assign(v_row.begin(), v_row.end());
  }
  void head(std::uint32_t position, std::span<const float> x_row, std::span<const float> all,
            Token token) override {
    x[layers][position].assign(x_row.begin(), x_row.end());
    logits[position].assign(all.begin(), all.end());
    tokens[position] = token;
  }
  void fault(NumericFault) override {}
};

template <class T>
std::vector<T> rows(const std::map<std::uint32_t, std::vector<T>>& of, std::uint32_t begin,
                    std::uint32_t end) {
  std::vector<T> out;
  for (std::uint32_t t = begin; t < end; ++t)
    out.insert(out.end(), of.at(t).begin(), of.at(t).end());
  return out;
}

struct Whole {
  explicit Whole(std::string_view architecture) : file(toy_model(shape(architecture))) {
    model = *Model::load(file);
    states.layers = 3;
    ThreadPool pool(1);
    Session session(model, pool, Isa::scalar, kCount);
    for (std::uint32_t t = 0; t < kCount; ++t) tape.push_back(7 + t * t % 7);
    session.run(tape, 0, sampling, &states);
  }
  static ToyShape shape(std::string_view architecture) {
    return {.architecture = std::string(architecture),
            .dim = 64,
            .heads = 4,
            .kv_heads = 2,
            .layers = 3,
            .context = 512,
            .head_dim = architecture == "qwen3" ? 32u : 0u};
  }
  static constexpr std::uint32_t kCount = 300;
  Bytes file;
  std::shared_ptr<const Model> model;
  std::vector<Token> tape;
  Sampling sampling{.repetition_penalty = 1.2f, .temperature = 0.9f, .seed = 3};
  States states;
};

TEST(LayerPass, IsThatLayerOfTheWholePass) {
  for (const std::string_view architecture : {"llama", "qwen2", "qwen3"}) {
    const Whole whole(architecture);
    for (const Isa isa : {Isa::scalar, best_isa()})
      for (std::uint32_t layer = 0; layer < 3; ++layer) {
        const std::array<std::uint32_t, 1> only{layer};
        const auto part = *Model::load_layers(whole.file, only);
        ThreadPool pool(2);
        LayerPass pass(*part, layer, pool, isa, Whole::kCount);
        for (const auto& [begin, end] :
             {std::pair{0u, 1u}, {1u, 129u}, {129u, 230u}, {230u, 300u}}) {
          const LayerRows out = pass.run(rows(whole.states.x.at(layer), begin, end));
          EXPECT_FALSE(out.fault);
          EXPECT_EQ(out.k, rows(whole.states.k.at(layer), begin, end));
          EXPECT_EQ(out.v, rows(whole.states.v.at(layer), begin, end));
          EXPECT_EQ(out.leaving, rows(whole.states.x.at(layer + 1), begin, end));
        }
      }
  }
}

TEST(LayerPass, GoesOnFromRestoredRows) {
  const Whole whole("llama");
  for (const Isa isa : {Isa::scalar, best_isa()}) {
    ThreadPool pool(1);
    LayerPass pass(*whole.model, 1, pool, isa, Whole::kCount);
    pass.restore(rows(whole.states.k.at(1), 0, 100), rows(whole.states.v.at(1), 0, 100));
    pass.restore(rows(whole.states.k.at(1), 100, 199), rows(whole.states.v.at(1), 100, 199));
    EXPECT_EQ(pass.position(), 199u);
    const LayerRows out = pass.run(rows(whole.states.x.at(1), 199, 300));
    EXPECT_EQ(out.leaving, rows(whole.states.x.at(2), 199, 300));
  }
}

TEST(LayerPass, AnyBitsMayEnter) {
  const Whole whole("llama");
  const std::size_t dim = whole.model->hyper().dim;
  for (const std::uint32_t bits : {0x7fc00000u, 0x7f800000u, 0xff800000u, 0x7f7fffffu}) {
    ThreadPool pool(1);
    LayerPass pass(*whole.model, 0, pool, best_isa(), Whole::kCount);
    std::vector<float> in = rows(whole.states.x.at(0), 0, 10);
    in[6 * dim + 3] = std::bit_cast<float>(bits);
    const LayerRows out = pass.run(in);
    EXPECT_EQ(out.fault, 6u);
    const std::span before(out.leaving);
    const auto wanted = rows(whole.states.x.at(1), 0, 6);
    EXPECT_TRUE(std::ranges::equal(before.first(wanted.size()), wanted));
  }
}

TEST(HeadPass, IsTheHeadOfTheWholePass) {
  for (const std::string_view architecture : {"llama", "qwen2", "qwen3"}) {
    const Whole whole(architecture);
    const auto part = *Model::load_layers(whole.file, {});
    ThreadPool pool(2);
    HeadPass pass(*part, pool, best_isa(), whole.tape, whole.sampling, 3);
    for (const auto& [begin, end] : {std::pair{299u, 300u}, {0u, 40u}, {122u, 250u}}) {
      States got;
      got.layers = 3;
      const HeadRows out = pass.run(begin, rows(whole.states.x.at(3), begin, end), &got);
      ASSERT_EQ(out.tokens.size(), end - begin);
      EXPECT_EQ(out.logprobs.size(), end - begin);
      for (std::uint32_t t = begin; t < end; ++t) {
        EXPECT_EQ(out.tokens[t - begin], whole.states.tokens.at(t));
        EXPECT_EQ(got.logits.at(t), whole.states.logits.at(t));
      }
    }
  }
}

}  // namespace
}  // namespace assay::engine
