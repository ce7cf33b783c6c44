#include "verify/referee/ops.hpp"

#include <gtest/gtest.h>

#include "verify/referee/world_testutil.hpp"

namespace assay::verify::test {
namespace {

std::uint32_t f(float x) { return std::bit_cast<std::uint32_t>(x); }

std::string names(const OpList& list) {
  std::string out;
  for (const Op& op : list.ops) out += fmt::format("{} ", op.name);
  return out;
}

Subject subject_of(const Shape& shape, std::uint32_t prompt = 10, std::uint32_t answer = 5) {
  Subject s;
  s.program = program_of(shape);
  s.request.prompt_count = prompt;
  s.count = answer;
  return s;
}

TEST(Ops, FollowTheTables) {
  const Subject llama = subject_of({.layers = 2});
  EXPECT_EQ(names(ops_of(llama, {.position = 3, .index = 0})),
            "x b.ss b.inv b.y b.d8 b.q8 k kr kh v vh ");
  const std::string layer =
      "a.ss a.inv a.y a.d8 a.q8 q qr sc sm sp sl so m w l o o.d8 o.q8 pr x1 "
      "f.ss f.inv f.y f.d8 f.q8 g u mm mm.d8 mm.q8 dn x ";
  const std::string row = "b.ss b.inv b.y b.d8 b.q8 k kr kh v vh ";
  EXPECT_EQ(names(ops_of(llama, {.position = 9, .index = 1})), layer + row);
  // No head will show a fault of the last layer.
  EXPECT_EQ(names(ops_of(llama, {.position = 8, .index = 1})), layer + row + layer);
  EXPECT_EQ(names(ops_of(llama, {.position = 9, .index = 2})),
            layer + "n.ss n.inv n.y n.d8 n.q8 lg bv bi tok nx ");
  EXPECT_EQ(names(ops_of(llama, {.position = 3, .index = 1, .fault = true})), layer + row + layer);
  EXPECT_EQ(names(ops_of(llama, {.position = 14, .index = 2, .fault = true})),
            layer + "n.ss n.inv n.y n.d8 n.q8 lg ");
  EXPECT_EQ(names(ops_of(llama, {.position = 3, .index = 0, .fault = true})), "x " + row + layer);

  const Subject qwen2 = subject_of({.architecture = "qwen2", .formats = {canon::Format::f16}});
  EXPECT_EQ(names(ops_of(qwen2, {.position = 9, .index = 0})),
            "x b.ss b.inv b.y k kb kr kh v vb vh ");
  const Subject qwen3 =
      subject_of({.architecture = "qwen3",
                  .head_dim = 128,
                  .formats = {canon::Format::q8_0, canon::Format::q4_k, canon::Format::q4_k,
                              canon::Format::q8_0, canon::Format::q6_k}});
  EXPECT_EQ(names(ops_of(qwen3, {.position = 9, .index = 0})),
            "x b.ss b.inv b.y b.d8 b.q8 b.dk b.qk k kn.ss kn.inv kn.y kr kh v vh ");
}

TEST(Ops, OfTheHeadFollowTheRequest) {
  Subject s = subject_of({.vocab = 300});
  const auto head = [&](std::uint32_t position, bool fault = false) {
    const std::string all = names(ops_of(s, {.position = position, .index = 1, .fault = fault}));
    return all.substr(all.find("lg "));
  };
  EXPECT_EQ(head(9), "lg bv bi tok nx ");
  s.request.repetition_penalty_bits = f(1.5f);
  EXPECT_EQ(head(9), "lg ct ad bv bi tok nx ");
  s.request.frequency_penalty_bits = f(0.5f);
  EXPECT_EQ(head(9), "lg ct ca ad bv bi tok nx ");
  s.request.repetition_penalty_bits = f(1.0f);
  s.request.frequency_penalty_bits = 0;
  s.request.logit_bias = {{.token = 1, .bias_bits = f(1.0f)}};
  EXPECT_EQ(head(9), "lg ad bv bi tok nx ");
  EXPECT_EQ(head(14, true), "lg ad ");
  s.request.logit_bias.clear();
  s.request.top_k = 5;  // nothing without a temperature
  EXPECT_EQ(head(9), "lg bv bi tok nx ");
  s.request.temperature_bits = f(1.0f);
  EXPECT_EQ(head(9), "lg z tk kg kl kgt klt kok y bv bi tok nx ");
  s.request.top_k = 300;
  EXPECT_EQ(head(9), "lg z y bv bi tok nx ");
  s.request.min_p_bits = f(0.1f);
  EXPECT_EQ(head(9), "lg z zc zm p y bv bi tok nx ");
  s.request.top_p_bits = f(0.5f);
  EXPECT_EQ(head(9), "lg z zc zm p ps pt tp pg pl pgt plt pok y bv bi tok nx ");
  EXPECT_EQ(head(14, true), "lg z ");
  s.request.temperature_bits = 0;
  s.request.continuation = 3;
  s.request.logprobs = 1;
  EXPECT_EQ(head(8), "lg bv bi tok nx ");  // a token of the continuation has none
  EXPECT_EQ(head(9), "lg bv bi tok nx xc xm e es et ln lp lo ");
  s.request.logprobs = 3;
  EXPECT_EQ(head(13), "lg bv bi tok nx xc xm e es et ln lp lc lct lo ");
  s.request.logprobs = 0;
  s.request.constraint.fill(1);
  EXPECT_EQ(head(6), "lg gw gl bv bi tok nx ");  // where the answer begins
  EXPECT_EQ(head(7), "lg gt gw gl bv bi tok nx ");
  EXPECT_EQ(head(14, true), "lg ");
  s.request.temperature_bits = f(1.0f);
  EXPECT_EQ(head(7), "lg z gt gw gl zc zm p ps pt tp pg pl pgt plt pok y bv bi tok nx ");
}

TEST(Ops, ShapesOfAttention) {
  const Subject s = subject_of(
      {.layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 80, .formats = {canon::Format::f16}},
      700, 5);
  const std::uint32_t t = 600;  // three segments, the last of 89 positions
  const OpList list = ops_of(s, {.position = t, .index = 1});
  const auto op = [&](std::string_view name) {
    return *std::ranges::find_if(list.ops, [&](const Op& o) { return o.name == name; });
  };
  EXPECT_EQ(op("sc").chunks, 12u);
  EXPECT_EQ(op("sc").values, 4u * 601);
  EXPECT_EQ(chunk_values(op("sc"), 0, t), 256u);
  EXPECT_EQ(chunk_values(op("sp"), 11, t), 89u);
  EXPECT_EQ(op("sm").values, 12u);
  EXPECT_EQ(op("so").values, 12u * 80);
  EXPECT_EQ(steps_of(op("so"), 0, t), 256u);
  EXPECT_EQ(steps_of(op("so"), 2 * 80, t), 89u);
  EXPECT_EQ(steps_of(op("so"), 3 * 80, t), 256u);
  EXPECT_EQ(op("m").steps, 3u);
  EXPECT_EQ(op("o").steps, 3u);
  EXPECT_EQ(op("o").values, 320u);
  EXPECT_EQ(chunk_values(op("o"), 1, t), 64u);
  EXPECT_EQ(op("pr").steps, 2u);
  EXPECT_EQ(op("x").tie, Op::Tie::x);
  EXPECT_EQ(op("kh").tie, Op::Tie::k);
}

TEST(Ops, WithoutPlaceOrStepAreInvalid) {
  const World w({.vocab = 300}, 1);
  LeafRun run(w, {.position = 3, .index = 1});
  run.run();
  const auto refused = [&](std::uint32_t op, std::uint64_t element, std::uint32_t step) {
    const std::vector<std::uint32_t> running(8);
    const auto r = execute_step(w.subject, run.list(),
                                {{.position = 3, .index = 1}, op, element, step}, running, run);
    return !r && r.error().code == Errc::invalid;
  };
  const std::uint32_t q = run.find("q"), tok = run.find("tok");
  EXPECT_FALSE(refused(q, 95, 0));
  EXPECT_TRUE(refused(q, 96, 0));
  EXPECT_TRUE(refused(q, ~0ull, 0));
  EXPECT_TRUE(refused(q, 0, 1));
  EXPECT_FALSE(refused(tok, 0, 1));
  EXPECT_TRUE(refused(tok, 0, 2));
  EXPECT_TRUE(refused(static_cast<std::uint32_t>(run.list().ops.size()), 0, 0));
  // Running values that are missing.
  const auto r =
      execute_step(w.subject, run.list(), {{.position = 3, .index = 1}, tok, 0, 1}, {}, run);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Errc::invalid);
}

}  // namespace
}  // namespace assay::verify::test
