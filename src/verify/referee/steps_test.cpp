// Whole ops, element by element and step by step, against the canon's functions over whole vectors.
#include <gtest/gtest.h>

#include "canon/fp16.hpp"
#include "verify/referee/reference_testutil.hpp"

namespace assay::verify::test {
namespace {

// Every value the reference has, bit for bit.
void expect_same(const LeafRun& run, const PartValues& part, std::uint32_t from = 0) {
  ASSERT_FALSE(part.faulted);
  ASSERT_EQ(run.fault(), "");
  for (const auto& [name, bytes] : part.ops) EXPECT_EQ(run.values(name, from), bytes) << name;
}

template <class T>
std::vector<T> rows(std::uint32_t positions,
                    const std::function<const std::vector<T>&(std::uint32_t)>& of) {
  std::vector<T> out;
  for (std::uint32_t t = 0; t < positions; ++t) {
    const auto& row = of(t);
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

PartValues layer_of(const World& w, std::uint32_t t, std::uint32_t l, const std::vector<float>& x) {
  return reference_layer(
      w, t, l, x, rows<std::uint16_t>(t + 1, [&](std::uint32_t j) -> auto& { return w.k(j, l); }),
      rows<std::uint16_t>(t + 1, [&](std::uint32_t j) -> auto& { return w.v(j, l); }));
}

// All leaves of a position: cells and the head.
void check_position(const World& w, std::uint32_t t) {
  SCOPED_TRACE(fmt::format("position {}", t));
  for (std::uint32_t i = 0; i <= w.program().layers; ++i) {
    SCOPED_TRACE(fmt::format("leaf {}", i));
    LeafRun run(w, {.position = t, .index = i});
    std::vector<float> x;
    if (i == 0) {
      x = reference_embedding(w, t);
      run.run();
      EXPECT_EQ(run.values("x"), bytes_of(x));
    } else {
      const PartValues part = layer_of(w, t, i - 1, w.x(t, i - 1));
      run.run();
      expect_same(run, part);
      x = part.as<float>("x");
    }
    const std::uint32_t own = run.find("x") + 1;
    if (i < w.program().layers) {
      expect_same(run, reference_cache_row(w, t, i, x), own);
      continue;
    }
    const PartValues head = reference_head(w, x);
    expect_same(run, head, own);
    PartValues choice = reference_choice(w, t, head.as<float>("lg"));
    choice.ops.erase("ad");
    choice.ops.erase("z");
    expect_same(run, choice, own);
  }
}

using enum Format;

const Shape kMixed{.dim = 512,
                   .layers = 2,
                   .heads = 4,
                   .kv_heads = 2,
                   .head_dim = 48,
                   .ffn = 288,
                   .formats = {q6_k, q4_k, q8_0, q5_k, q4_0, q4_0, q5_k, q8_0,  //
                               q8_0, q5_k, q6_k, q8_0, q6_k, q8_0, q4_0, q4_k}};
const Shape kBiased{.architecture = "qwen2",
                    .vocab = 300,
                    .dim = 70,
                    .heads = 2,
                    .kv_heads = 2,
                    .head_dim = 80,
                    .ffn = 301,
                    .formats = {bf16, f16, f32}};
const Shape kNormed{.architecture = "qwen3",
                    .vocab = 513,
                    .heads = 2,
                    .head_dim = 320,
                    .tied = true,
                    .formats = {q6_k, q8_0, q4_k, q4_0, q8_0, q6_k, f16, q6_k}};

TEST(Steps, LayersOfMixedFormats) {
  const World w(kMixed, 1, 300, 3);
  for (const std::uint32_t t : {299u, 301u}) check_position(w, t);
}

TEST(Steps, PlainFormatsBiasesAndHalves) {
  const World w(kBiased, 2, 3, 600);
  for (const std::uint32_t t : {2u, 255u, 256u, 530u}) check_position(w, t);
}

TEST(Steps, HeadNormsAndHeadsWiderThanASegment) {
  const World w(kNormed, 3, 1, 300);
  for (const std::uint32_t t : {0u, 1u, 258u}) check_position(w, t);
}

TEST(Steps, EveryFormatAsEmbeddingAndMatrix) {
  for (const canon::FormatInfo& f : canon::formats()) {
    SCOPED_TRACE(f.name);
    const bool small = f.block_values < 256;
    const World w({.vocab = 41,
                   .dim = f.block_values == 1 ? 259u
                          : small             ? 288u
                                              : 512u,
                   .heads = 1,
                   .head_dim = 256,
                   .ffn = f.block_values == 1 ? 257u
                          : small             ? 544u
                                              : 256u,
                   .formats = {f.format}},
                  7, 5, 5);
    for (const std::uint32_t t : {4u, 6u}) check_position(w, t);
  }
}

// More than 256 segments: the chain over segments has segments of its own.
TEST(Steps, ChainOverManySegments) {
  const World w(
      {.dim = 32, .heads = 1, .head_dim = 2, .ffn = 32, .context = 80000, .formats = {f32}}, 4, 4,
      76000);
  for (const std::uint32_t t : {65535u, 65536u, 75998u}) {
    LeafRun run(w, {.position = t, .index = 1});
    const PartValues part = layer_of(w, t, 0, w.x(t, 0));
    run.run();
    EXPECT_EQ(run.values("o"), part.ops.at("o")) << t;
    EXPECT_EQ(run.values("x"), part.ops.at("x")) << t;
  }
}

// Fault leaves carry the cell's own ops, the rows of its own position among them.
TEST(Steps, FaultLeavesReadTheirOwnRows) {
  const World w(kMixed, 5, 300, 3);
  const std::uint32_t t = 257;
  for (std::uint32_t i = 0; i < 2; ++i) {
    LeafRun run(w, {.position = t, .index = i, .fault = true});
    run.run();
    ASSERT_EQ(run.fault(), "");
    const auto x = run.as<float>("x");
    const PartValues row = reference_cache_row(w, t, i, x);
    const std::uint32_t own = run.list().fault_from;
    EXPECT_STREQ(run.list().ops[own - 1].name, "x");
    expect_same(run, row, own);
    w.k(t, i), w.v(t, i);
    w.ks[{t, i}] = row.as<std::uint16_t>("kh");
    w.vs[{t, i}] = row.as<std::uint16_t>("vh");
    expect_same(run, layer_of(w, t, i, x), own);
    EXPECT_EQ(run.list().ops.back().name, std::string("x"));
  }
}

// Where no head follows, the last cell carries its own layer, which gives nothing but may fault.
TEST(Steps, LastCellWithoutAHeadRunsItsLayer) {
  const World w(kMixed, 6, 300, 3);
  const std::uint32_t t = 260, last = 1;
  ASSERT_TRUE(runs_own_layer(w.subject, {.position = t, .index = last}));
  LeafRun run(w, {.position = t, .index = last});
  run.run();
  ASSERT_EQ(run.fault(), "");
  const auto x = run.as<float>("x");
  const std::uint32_t own = run.find("x") + 1;
  const PartValues row = reference_cache_row(w, t, last, x);
  expect_same(run, row, own);
  w.k(t, last), w.v(t, last);
  w.ks[{t, last}] = row.as<std::uint16_t>("kh");
  w.vs[{t, last}] = row.as<std::uint16_t>("vh");
  expect_same(run, layer_of(w, t, last, x), own);
  EXPECT_EQ(run.list().ops.back().tie, Op::Tie::none);
  EXPECT_EQ(run.list().ops[own - 1].tie, Op::Tie::x);
}

}  // namespace
}  // namespace assay::verify::test
