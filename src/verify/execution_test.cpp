#include "verify/execution.hpp"

#include <gtest/gtest.h>
#include <set>

#include "verify/execution_testutil.hpp"

namespace assay::verify {
namespace {

using engine::TensorType;

engine::ToyShape wide(std::string architecture, TensorType type, bool tied = false) {
  engine::ToyShape s{.architecture = std::move(architecture),
                     .dim = 256,
                     .heads = 4,
                     .kv_heads = 2,
                     .ffn = 512,
                     .layers = 2,
                     .context = 32,
                     .tied = tied};
  s.square = s.gate = s.up = s.down_even = s.down_odd = type;
  s.vocab = 600;
  return s;
}

// Every leaf the engine committed to is what the op chain commits to: x, k, v, logits and token,
// bit for bit.
void expect_same(const ToyAsk& ask) {
  ToyRun toy(ask);
  ASSERT_FALSE(toy.fault);
  for (const LeafPlace& place : toy.leaves()) {
    SCOPED_TRACE(fmt::format("position {}, leaf {}", place.position, place.index));
    const LeafExecution leaf = toy.leaf(place);
    ASSERT_FALSE(leaf.fault()) << leaf.op(leaf.fault()->op).name;
    ASSERT_EQ(leaf.leaf_hash(), toy.trace->leaves(place.position)[place.index]);
    for (const char* ok : {"kok", "pok"})
      if (const auto op = leaf.find(ok)) {
        EXPECT_EQ(leaf.value(*op, 0), 1u) << ok;
      }
    if (const auto next = leaf.find("nx")) {
      EXPECT_EQ(leaf.value(*next, 0), leaf.token());
    }
    if (const auto served = leaf.find("lo")) {
      EXPECT_EQ(leaf.root(*served), leaf.root(*leaf.find("lp")));
    }
    if (const auto count = leaf.find("lct")) {
      EXPECT_EQ(leaf.value(*count, 0), toy.run.subject.request.logprobs - 1);
    }
  }
}

TEST(Execution, EveryArchitectureAndFormat) {
  for (const char* architecture : {"llama", "qwen2", "qwen3"})
    for (const TensorType type :
         {TensorType::f32, TensorType::f16, TensorType::bf16, TensorType::q8_0, TensorType::q4_0,
          TensorType::q4_k, TensorType::q5_k, TensorType::q6_k}) {
      SCOPED_TRACE(fmt::format("{} type {}", architecture, static_cast<int>(type)));
      expect_same({.shape = wide(architecture, type, type == TensorType::q4_0),
                   .prompt = {1, 4, 8},
                   .max_tokens = 2});
    }
}

// Rows shorter than a chunk, rows of one chunk and a bit, types mixed within a layer.
TEST(Execution, OddShapes) {
  expect_same({});
  expect_same({.shape = {.dim = 96,
                         .heads = 3,
                         .kv_heads = 1,
                         .ffn = 320,
                         .layers = 2,
                         .square = TensorType::q8_0,
                         .gate = TensorType::q4_0,
                         .up = TensorType::f32}});
  engine::ToyShape narrow = wide("qwen3", TensorType::q6_k);
  narrow.head_dim = 320;
  narrow.heads = 2;
  narrow.kv_heads = 1;
  narrow.dim = 512;
  narrow.square = TensorType::f16;
  expect_same({.shape = narrow, .prompt = {1, 4, 8}, .max_tokens = 2});
}

const std::vector<std::pair<std::string, std::function<void(protocol::Request&)>>>& settings() {
  const auto bits = [](float f) { return std::bit_cast<std::uint32_t>(f); };
  static const std::vector<std::pair<std::string, std::function<void(protocol::Request&)>>> all{
      {"temperature", [=](auto& r) { r.temperature_bits = bits(0.7f); }},
      {"top-k", [=](auto& r) { r.temperature_bits = bits(2.0f), r.top_k = 5; }},
      {"top-p", [=](auto& r) { r.temperature_bits = bits(30.0f), r.top_p_bits = bits(0.4f); }},
      {"min-p", [=](auto& r) { r.temperature_bits = bits(30.0f), r.min_p_bits = bits(0.2f); }},
      {"all filters",
       [=](auto& r) {
         r.temperature_bits = bits(40.0f), r.top_k = 300;
         r.top_p_bits = bits(0.9f), r.min_p_bits = bits(0.01f);
       }},
      {"repetition", [=](auto& r) { r.repetition_penalty_bits = bits(1.5f); }},
      {"presence", [=](auto& r) { r.presence_penalty_bits = bits(0.5f); }},
      {"frequency",
       [=](auto& r) {
         r.frequency_penalty_bits = bits(-0.25f), r.temperature_bits = bits(1.0f);
         r.logit_bias = {{3, bits(2.0f)}, {300, bits(-1.0f)}};
       }},
      {"everything",
       [=](auto& r) {
         r.logit_bias = {{9, bits(40.0f)}};
         r.repetition_penalty_bits = bits(1.1f), r.presence_penalty_bits = bits(0.5f);
         r.frequency_penalty_bits = bits(0.5f), r.temperature_bits = bits(25.0f);
         r.top_k = 100, r.top_p_bits = bits(0.95f), r.min_p_bits = bits(0.001f), r.logprobs = 21;
       }},
      {"logprobs", [=](auto& r) { r.logprobs = 1; }},
      {"alternatives", [=](auto& r) { r.logprobs = 4, r.temperature_bits = bits(1.0f); }}};
  return all;
}

TEST(Execution, EverySamplingSetting) {
  for (const auto& [name, ask] : settings()) {
    SCOPED_TRACE(name);
    expect_same({.shape = wide("llama", TensorType::q8_0),
                 .prompt = {1, 4, 8, 9},
                 .max_tokens = 3,
                 .ask = ask});
  }
}

// Answers held to automata, some of which leave no token in some state.
TEST(Execution, Constrained) {
  const auto& all = settings();
  for (std::uint32_t seed = 0; seed < all.size(); ++seed) {
    SCOPED_TRACE(all[seed].first);
    expect_same({.shape = wide("llama", TensorType::q8_0),
                 .prompt = {1, 4, 8, 9},
                 .max_tokens = 4,
                 .ask = all[seed].second,
                 .constraint = seed});
  }
}

// The last tokens of the prompt are an earlier answer: their heads are in the trace.
TEST(Execution, Continuation) {
  const ToyAsk first{.shape = wide("llama", TensorType::f32), .max_tokens = 5};
  const ToyRun before(first);
  ToyAsk next = first;
  const auto& said = before.run.opening.answer;
  next.prompt.insert(next.prompt.end(), said.begin(), said.begin() + 3);
  next.continuation = 3;
  next.max_tokens = 2;
  next.ask = [](protocol::Request& r) { r.frequency_penalty_bits = 0x3f000000; };
  ToyAsk plain = first;
  plain.ask = next.ask;
  const ToyRun again(plain);
  std::copy_n(again.run.opening.answer.begin(), 3, next.prompt.end() - 3);
  expect_same(next);
}

// More than one segment of positions, and of tape.
TEST(Execution, LongPositions) {
  ToyAsk ask{.shape = {.dim = 32,
                       .heads = 2,
                       .kv_heads = 1,
                       .ffn = 64,
                       .layers = 2,
                       .context = 1024,
                       .square = TensorType::q8_0,
                       .gate = TensorType::q8_0,
                       .up = TensorType::q4_0},
             .prompt = {},
             .max_tokens = 300};
  for (std::uint32_t i = 0; i < 300; ++i) ask.prompt.push_back(3 + i * 7 % 11);
  ask.ask = [](protocol::Request& r) {
    r.temperature_bits = 0x3f800000, r.repetition_penalty_bits = 0x3f8ccccd;
    r.frequency_penalty_bits = 0x3c23d70a;
  };
  ToyRun toy(ask);
  ASSERT_FALSE(toy.fault);
  for (const std::uint32_t t : {0u, 255u, 256u, 298u, 299u, 511u, 512u, 598u})
    for (std::uint32_t i = 0; i < toy.trace->leaves(t).size(); ++i) {
      SCOPED_TRACE(fmt::format("position {}, leaf {}", t, i));
      const LeafExecution leaf = toy.leaf({t, i, false});
      ASSERT_FALSE(leaf.fault()) << leaf.op(leaf.fault()->op).name;
      EXPECT_EQ(leaf.leaf_hash(), toy.trace->leaves(t)[i]);
    }
}

// The op that faults first, by part of the model that makes it.
struct ExecutionFault {
  std::string what;
  ToyAsk ask;
  std::string op;
};
std::vector<ExecutionFault> fault_cases() {
  const engine::ToyShape shape = wide("llama", TensorType::f32);
  const auto norm = [&](std::string tensor, float value) {
    return ToyAsk{.shape = shape,
                  .patches = {{std::move(tensor), 0, std::vector<float>(256, value)}}};
  };
  std::vector<ExecutionFault> out{
      {"norm before attention", norm("blk.1.attn_norm.weight", 3e38f), "b.y"},
      {"key", norm("blk.1.attn_norm.weight", 1e7f), "kh"},
      {"gate", norm("blk.0.ffn_norm.weight", 3e38f), "f.y"},
      {"products", norm("blk.1.ffn_norm.weight", 1e30f), "mm"},
      {"final norm", norm("output_norm.weight", 3e38f), "n.y"},
      {"logits", norm("output_norm.weight", 5e37f), "lg"},
  };
  ToyAsk cold{.shape = shape};
  cold.ask = [](protocol::Request& r) { r.temperature_bits = 1; };
  out.push_back({"temperature", cold, "z"});
  // A token of the prompt, and one that is chosen.
  ToyAsk prompt{.shape = shape,
                .patches = {{"token_embd.weight", 9 * 256, std::vector<float>(256, 3e37f)}}};
  out.push_back({"a token of the prompt", prompt, "b.ss"});
  ToyAsk chosen{.shape = shape,
                .prompt = {1, 4, 8, 10},
                .patches = {{"token_embd.weight", 9 * 256, std::vector<float>(256, 3e37f)}}};
  chosen.ask = [](protocol::Request& r) {
    r.logit_bias = {{9, std::bit_cast<std::uint32_t>(1e30f)}};
  };
  out.push_back({"a token that was chosen", chosen, "b.ss"});
  return out;
}

TEST(Execution, Faults) {
  for (const ExecutionFault& c : fault_cases()) {
    SCOPED_TRACE(c.what);
    ToyRun toy(c.ask);
    ASSERT_TRUE(toy.fault);
    const LeafPlace end{toy.fault->position, toy.fault->layer, true};
    const LeafExecution leaf = toy.leaf(end);
    ASSERT_TRUE(leaf.fault());
    EXPECT_EQ(leaf.op(leaf.fault()->op).name, c.op);
    EXPECT_GE(leaf.fault()->op, leaf.ops().fault_from);
    EXPECT_EQ(leaf.leaf_hash(), toy.trace->leaves(end.position)[end.index]);
    // The leaves before it are whole.
    for (const LeafPlace& place : toy.leaves()) {
      if (place.fault || place.position + 1 < toy.positions()) continue;
      const LeafExecution before = toy.leaf(place);
      ASSERT_FALSE(before.fault());
      EXPECT_EQ(before.leaf_hash(), toy.trace->leaves(place.position)[place.index]);
    }
    // Whoever goes on behind it meets it there, in the leaf itself or in the one that reads it.
    if (end.index == toy.run.subject.program.layers) continue;
    const LeafExecution cell = toy.leaf({end.position, end.index, false});
    if (cell.fault()) {
      EXPECT_EQ(cell.op(cell.fault()->op).name, c.op);
      continue;
    }
    const LeafExecution after = toy.leaf({end.position, end.index + 1, false});
    ASSERT_TRUE(after.fault());
    EXPECT_EQ(after.op(after.fault()->op).name, c.op);
  }
}

// The chain needs no engine: leaf after leaf it gives the same trace.
TEST(Execution, ChainTraceIsTheEngines) {
  ToyRun toy({.shape = {.layers = 2, .context = 16}});
  const ChainTrace chain(toy.run, toy.pool);
  EXPECT_EQ(chain.trace_root(), toy.run.subject.trace_root);
  EXPECT_EQ(chain.run().opening.answer, toy.run.opening.answer);
  for (const ExecutionFault& c : fault_cases()) {
    SCOPED_TRACE(c.what);
    ToyRun ends(c.ask);
    const ChainTrace chained(ends.run, ends.pool);
    EXPECT_EQ(chained.trace_root(), ends.run.subject.trace_root);
  }
}

// A lie changes the trace from its leaf on, and only there.
TEST(Execution, Lies) {
  ToyRun toy({.shape = {.layers = 2, .context = 16}, .max_tokens = 3});
  const LeafPlace place{2, 1, false};
  const LeafExecution honest = toy.leaf(place);
  const std::map<std::string, std::uint32_t> lies{{"g", 0x400000}, {"x", 0x10}, {"kh", 0x10}};
  for (const auto& [name, flip] : lies)
    for (const bool carry_on : {false, true}) {
      SCOPED_TRACE(fmt::format("{} {}", name, carry_on));
      const std::uint32_t op = *honest.find(name);
      const ChainTrace liar(toy.run, toy.pool,
                            Lie{place, op, 1, honest.value(op, 1) ^ flip, carry_on});
      EXPECT_EQ(liar.leaves(1), toy.trace->leaves(1));
      EXPECT_EQ(liar.leaves(2)[0], toy.trace->leaves(2)[0]);
      const bool committed = carry_on || name != "g";
      EXPECT_EQ(liar.trace_root() != toy.run.subject.trace_root, committed);
      EXPECT_NE(liar.leaf(place).root(op), honest.root(op));
    }
}

TEST(Execution, ThreadsChangeNothing) {
  const ToyAsk ask{.shape = wide("llama", TensorType::q4_k), .max_tokens = 2};
  ToyRun one(ask), three(ask, 3);
  for (const LeafPlace& place : one.leaves())
    EXPECT_EQ(one.leaf(place).leaf_hash(), three.leaf(place).leaf_hash());
}

}  // namespace
}  // namespace assay::verify
