#include "engine/session.hpp"

#include <bit>
#include <gtest/gtest.h>
#include <map>
#include <mutex>

#include "canon/canon_testutil.hpp"
#include "canon/sampling.hpp"
#include "engine/gguf_testutil.hpp"
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace assay::engine {
namespace {

using canon::test::bits;
using canon::test::Random;

std::vector<std::uint32_t> all_bits(std::span<const float> v) {
  std::vector<std::uint32_t> out;
  for (float x : v) out.push_back(bits(x));
  return out;
}

// Everything a trace would see, minus what a fault declares void.
struct Recorder : StateSink {
  struct Cell {
    std::vector<std::uint32_t> x;
    std::vector<std::uint16_t> k, v;
    bool operator==(const Cell&) const = default;
  };
  struct Head {
    std::vector<std::uint32_t> x, logits;
    Token token;
    bool operator==(const Head&) const = default;
  };
  std::map<std::pair<std::uint32_t, std::uint32_t>, Cell> cells;
  std::map<std::uint32_t, Head> heads;
  std::optional<std::pair<std::uint32_t, std::uint32_t>> fault_at;
  std::unique_ptr<std::mutex> mutex = std::make_unique<std::mutex>();  // cells come concurrently

  void cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
            std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) override {
    std::lock_guard lock(*mutex);
    const bool fresh = cells
                           .emplace(std::pair{position, layer},
                                    Cell{all_bits(x), {k.begin(), k.end()}, {v.begin(), v.end()}})
                           .second;
    EXPECT_TRUE(fresh);
  }
  void head(std::uint32_t position, std::span<const float> x, std::span<const float> logits,
            Token token) override {
    EXPECT_TRUE(heads.emplace(position, Head{all_bits(x), all_bits(logits), token}).second);
  }
  void fault(NumericFault f) override {
    EXPECT_FALSE(fault_at);
    fault_at = {f.position, f.layer};
    std::erase_if(cells, [&](const auto& c) { return c.first.first > f.position; });
    std::erase_if(heads, [&](const auto& h) { return h.first > f.position; });
  }
  bool operator==(const Recorder& o) const {
    return cells == o.cells && heads == o.heads && fault_at == o.fault_at;
  }
};

std::shared_ptr<const Model> load_model(const Bytes& bytes) {
  auto model = Model::load(bytes);
  EXPECT_TRUE(model) << model.error().message;
  return *model;
}

// Runs tokens in the given chunks (cycled) and returns all that was seen.
Recorder record(const std::shared_ptr<const Model>& model, Isa isa, unsigned threads,
                std::span<const Token> tokens, const std::vector<std::size_t>& chunks,
                std::uint32_t sample_from, const Sampling& sampling) {
  ThreadPool pool(threads);
  Session session(model, pool, isa, static_cast<std::uint32_t>(tokens.size()));
  Recorder recorder;
  for (std::size_t i = 0; !tokens.empty(); ++i) {
    const auto part = tokens.first(std::min(tokens.size(), chunks[i % chunks.size()]));
    const auto outcome = session.run(part, sample_from, sampling, &recorder);
    tokens = tokens.subspan(part.size());
    if (outcome.fault) break;
  }
  return recorder;
}

std::vector<Isa> available() {
  std::vector<Isa> out;
  for (Isa isa : all_isas())
    if (isa_available(isa)) out.push_back(isa);
  return out;
}

std::vector<Token> some_tokens(std::size_t n, std::uint32_t seed) {
  Random random(seed);
  std::vector<Token> out(n);
  for (Token& t : out) t = random.below(kToyVocab);
  return out;
}

ToyShape shape_of(TensorType type, std::uint32_t context) {
  return {.dim = 64,
          .heads = 4,
          .kv_heads = 2,
          .ffn = 96,
          .layers = 2,
          .context = context,
          .tied = type == TensorType::q8_0,
          .square = type,
          .gate = type,
          .up = type,
          .down_even = type,
          .down_odd = type};
}

TEST(Session, EveryBatchingThreadCountAndInstructionSetGivesTheSameBits) {
  const Sampling sampling{.temperature = 0.9f, .top_p = 0.95f, .seed = 42};
  for (const TensorType type :
       {TensorType::f32, TensorType::f16, TensorType::bf16, TensorType::q8_0, TensorType::q4_0}) {
    const Bytes bytes = toy_model(shape_of(type, 300));
    const auto model = load_model(bytes);
    const auto tokens = some_tokens(290, 7);
    const Recorder want = record(model, Isa::scalar, 1, tokens, {1}, 240, sampling);
    EXPECT_EQ(want.cells.size(), 2 * tokens.size());
    EXPECT_EQ(want.heads.size(), 50u);
    for (const Isa isa : available())
      for (const unsigned threads : {1u, 2u, 3u})
        for (const auto& chunks : {std::vector<std::size_t>{290}, {1}, {5, 127, 1, 129}}) {
          if (isa == Isa::scalar && (threads != 2 || chunks.size() == 1)) continue;  // slow
          ASSERT_TRUE(want == record(model, isa, threads, tokens, chunks, 240, sampling))
              << type_name(static_cast<std::uint32_t>(type)) << " " << isa_name(isa) << " threads "
              << threads << " chunk " << chunks[0];
        }
  }
}

// Mixed types, heads of 2, odd widths: what the vector code's tails see.
TEST(Session, MixedTypesAndOddShapes) {
  for (const auto& shape :
       {ToyShape{}, ToyShape{.dim = 36, .heads = 6, .kv_heads = 3, .ffn = 32, .layers = 3}}) {
    const Bytes bytes = toy_model(shape);
    const auto model = load_model(bytes);
    const auto tokens = some_tokens(16, 8);
    const Recorder want = record(model, Isa::scalar, 1, tokens, {1}, 0, {});
    EXPECT_FALSE(want.fault_at);
    for (const Isa isa : available())
      ASSERT_TRUE(want == record(model, isa, 2, tokens, {16}, 0, {})) << isa_name(isa);
  }
}

#if defined(__x86_64__)
TEST(Session, TheCallersFloatingPointModeDoesNotMatter) {
  const Bytes bytes = toy_model(shape_of(TensorType::q8_0, 64));
  const auto model = load_model(bytes);
  const auto tokens = some_tokens(40, 9);
  for (const Isa isa : available()) {
    const Recorder want =
        record(model, isa, 1, tokens, {40}, 30, {.temperature = 1.0f, .top_p = 0.9f, .seed = 3});
    const unsigned before = _mm_getcsr();
    _mm_setcsr(0xffc0);  // flush to zero, round towards zero
    const Recorder got =
        record(model, isa, 1, tokens, {40}, 30, {.temperature = 1.0f, .top_p = 0.9f, .seed = 3});
    _mm_setcsr(before);
    EXPECT_TRUE(want == got) << isa_name(isa);
  }
}
#endif

void patch_row(Bytes& file, std::string_view tensor, std::uint64_t row,
               const std::function<float(std::size_t, float)>& value) {
  const auto gguf = Gguf::parse(file);
  ASSERT_TRUE(gguf);
  const Tensor* t = gguf->find(tensor);
  ASSERT_TRUE(t && t->type == TensorType::f32);
  std::uint8_t* at = file.data() + (t->data.data() - file.data()) + row * t->row_bytes();
  for (std::size_t i = 0; i < t->row_length(); ++i) {
    const float x = value(i, std::bit_cast<float>(load_le<std::uint32_t>(at + 4 * i)));
    const std::uint32_t b = bits(x);
    std::memcpy(at + 4 * i, &b, 4);
  }
}

// Token 5 overflows V in layer 1, token 6 the norm of layer 0, token 7 the head's logits.
Bytes faulty_model() {
  Bytes file = toy_model(shape_of(TensorType::f32, 64));
  patch_row(file, "token_embd.weight", 5, [](std::size_t i, float x) { return i == 3 ? 1e5f : x; });
  patch_row(file, "blk.1.attn_v.weight", 0,
            [](std::size_t i, float) { return i == 3 ? 12000.0f : 0.0f; });
  patch_row(file, "blk.1.attn_norm.weight", 0, [](std::size_t, float) { return 1.0f; });
  patch_row(file, "output_norm.weight", 0, [](std::size_t, float) { return 1.0f; });
  patch_row(file, "token_embd.weight", 6, [](std::size_t, float) { return 1e30f; });
  patch_row(file, "token_embd.weight", 7, [](std::size_t i, float x) { return i == 9 ? 1e5f : x; });
  patch_row(file, "output.weight", 2, [](std::size_t i, float) { return i == 9 ? 6e37f : 0.0f; });
  return file;
}

TEST(Session, AFaultIsTheFirstInPositionThenLayerHoweverTheWorkIsBatched) {
  const Bytes bytes = faulty_model();
  const auto model = load_model(bytes);
  struct FaultCase {
    std::vector<Token> tokens;
    std::pair<std::uint32_t, std::uint32_t> at;
  };
  for (const auto& [tokens, at] :
       {FaultCase{{1, 2, 3, 6, 4}, {3, 0}},
        // The batch meets position 4's fault in layer 0 first.
        FaultCase{{1, 2, 5, 4, 6, 1}, {2, 1}}, FaultCase{{1, 2, 7, 4, 6, 5}, {2, 2}}}) {
    const Recorder want = record(model, Isa::scalar, 1, tokens, {1}, 0, {});
    ASSERT_TRUE(want.fault_at);
    EXPECT_EQ(*want.fault_at, at);
    EXPECT_EQ(want.heads.size(), at.first);
    EXPECT_EQ(want.cells.size(), at.first * 2 + at.second);
    for (const Isa isa : available())
      for (const auto& chunks : {std::vector<std::size_t>{64}, {2}, {3, 1}})
        EXPECT_TRUE(want == record(model, isa, 2, tokens, chunks, 0, {})) << isa_name(isa);
  }
  // Without sampling there is no head, so the third sequence runs into position 4.
  EXPECT_EQ(
      record(model, best_isa(), 1, std::vector<Token>{1, 2, 7, 4, 6, 5}, {6}, 99, {}).fault_at,
      (std::pair{4u, 0u}));
}

// More heads than one pass of the vocabulary takes: the first fault ends those of later passes too.
TEST(Session, AFaultAtTheFirstOfManyHeadsEndsThemAll) {
  const Bytes bytes = toy_model(shape_of(TensorType::q8_0, 64));
  const auto model = load_model(bytes);
  const auto tokens = some_tokens(40, 21);
  const Sampling sampling{.repetition_penalty = 1e-45f};  // a seen token's logit becomes infinite
  const Recorder want = record(model, Isa::scalar, 1, tokens, {1}, 0, sampling);
  ASSERT_TRUE(want.fault_at);
  EXPECT_EQ(want.fault_at->second, 2u);
  for (const Isa isa : available())
    EXPECT_TRUE(want == record(model, isa, 2, tokens, {40}, 0, sampling)) << isa_name(isa);
}

TEST(Session, KQuantsGiveTheSameBits) {
  for (const TensorType type : {TensorType::q4_k, TensorType::q5_k, TensorType::q6_k}) {
    ToyShape shape = shape_of(type, 80);
    shape.dim = 256;
    shape.ffn = 512;
    const Bytes bytes = toy_model(shape);
    const auto model = load_model(bytes);
    const auto tokens = some_tokens(70, 5);
    const Recorder want = record(model, Isa::scalar, 1, tokens, {70}, 60, {});
    for (const Isa isa : available())
      for (const auto& chunks : {std::vector<std::size_t>{70}, {1}, {3, 33}})
        ASSERT_TRUE(want == record(model, isa, 2, tokens, chunks, 60, {}))
            << type_name(static_cast<std::uint32_t>(type)) << " " << isa_name(isa);
  }
}

TEST(Generate, StopsForEveryReason) {
  const Bytes bytes = toy_model(shape_of(TensorType::f32, 64));
  const auto model = load_model(bytes);
  ThreadPool pool(1);
  const auto prompt = some_tokens(10, 12);
  const auto run = [&](std::uint32_t max_tokens, std::vector<Token> stops, std::uint32_t capacity,
                       const std::function<bool(Token)>& go = {}) {
    Session session(model, pool, best_isa(), capacity);
    return generate(session, prompt, {max_tokens, stops}, {.temperature = 1.0f, .seed = 5}, nullptr,
                    go);
  };
  const auto all = run(8, {}, 64);
  EXPECT_EQ(all.finish, Finish::length);
  ASSERT_EQ(all.answer.size(), 8u);
  const auto stop = run(8, {all.answer[0]}, 64);
  EXPECT_EQ(stop.finish, Finish::stop);
  EXPECT_EQ(stop.answer, std::vector<Token>{all.answer[0]});
  int calls = 0;
  const auto cancelled = run(8, {}, 64, [&](Token) { return ++calls < 3; });
  EXPECT_EQ(cancelled.finish, Finish::cancelled);
  EXPECT_TRUE(std::ranges::equal(cancelled.answer, std::span(all.answer).first(3)));
  EXPECT_TRUE(run(0, {}, 64).answer.empty());
  // The cache holds the prompt and two answers; a third is sampled but needs no place.
  EXPECT_EQ(run(8, {}, 12).answer.size(), 3u);

  const Bytes faulty_bytes = faulty_model();
  Session faulty(load_model(faulty_bytes), pool, best_isa(), 8);
  const auto fault = generate(faulty, std::vector<Token>{1, 6}, {4, {}}, {}, nullptr, {});
  EXPECT_EQ(fault.finish, Finish::fault);
  EXPECT_EQ(fault.fault->position, 1u);
}

}  // namespace
}  // namespace assay::engine
