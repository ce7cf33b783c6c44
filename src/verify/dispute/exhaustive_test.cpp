// Every committed value of a toy inference changed in turn, every op value of some leaves, and
// every choice a challenger has against an honest provider. Strided in `make test`; whole with
// ASSAY_SOAK_SECONDS set (`make soak`).
#include <bit>
#include <cstdlib>
#include <gtest/gtest.h>
#include <map>

#include "verify/dispute/explorer_testutil.hpp"

namespace assay::verify {
namespace {

bool whole() { return std::getenv("ASSAY_SOAK_SECONDS") != nullptr; }

std::uint32_t bits_of(float f) { return std::bit_cast<std::uint32_t>(f); }

const ToyModel& exhaustive_toy() {
  static const ToyModel model(engine::ToyShape{.dim = 32,
                                               .heads = 2,
                                               .kv_heads = 1,
                                               .ffn = 64,
                                               .layers = 2,
                                               .context = 16,
                                               .square = engine::TensorType::q8_0,
                                               .gate = engine::TensorType::f16,
                                               .up = engine::TensorType::q4_0});
  return model;
}

ThreadPool& pool() {
  static ThreadPool one(1);
  return one;
}

void ask_everything(protocol::Request& r) {
  r.logit_bias = {{3, bits_of(0.5f)}, {9, bits_of(-0.25f)}};
  r.repetition_penalty_bits = bits_of(1.1f);
  r.presence_penalty_bits = bits_of(0.2f);
  r.frequency_penalty_bits = bits_of(0.1f);
  r.temperature_bits = bits_of(1.5f);
  r.top_k = 9;
  r.top_p_bits = bits_of(0.9f);
  r.min_p_bits = bits_of(0.01f);
  r.seed = 11;
  r.logprobs = 1 + 3;
}

World greedy() { return toy_world(exhaustive_toy(), {.prompt = {1, 8}, .answer = 3}, pool()); }
World sampled() {
  return toy_world(exhaustive_toy(), {.prompt = {1, 8, 9}, .answer = 2, .ask = ask_everything},
                   pool());
}

// Of one that leaves some tokens out in every state the answer comes to.
World constrained() {
  return toy_world(exhaustive_toy(),
                   {.prompt = {1, 8}, .answer = 3, .constraint = 5, .ask = ask_everything}, pool());
}

std::vector<LeafPlace> places(const World& world) {
  std::vector<LeafPlace> out;
  for (std::uint32_t t = 0; t < world.position_count(); ++t)
    for (std::uint32_t i = 0; i < world.leaf_count(t); ++i) out.push_back({t, i, false});
  return out;
}

// What a conviction of this lie must name.
struct Expected {
  std::string op;
  std::optional<std::uint64_t> element;
  bool stall = false;
};

std::uint64_t element_of(const LeafExecution& leaf, std::uint32_t op, std::uint64_t stored) {
  // On the toy every segment of positions is the first: head and position.
  if (!leaf.op(op).by_segment) return stored;
  const std::uint64_t positions = leaf.place().position + std::uint64_t{1};
  return stored / positions * kChunkValues + stored % positions;
}

Expected expected(const LeafExecution& leaf, const WorldLie& lie) {
  const Op& op = leaf.op(lie.op);
  const std::string_view name = op.name;
  if (op.kind == OpKind::threshold_ok || name == "lct") return {{}, {}, true};  // a MUST
  if (op.kind == OpKind::next_token) return {{}, {}, true};
  if (op.kind == OpKind::logprob_leaf) return {{}, {}, true};
  // What no step gives shows later; alternatives may also be shown in their own or the next.
  if (op.kind == OpKind::threshold) return {"later", {}, false};
  if (op.kind == OpKind::logprob) return {"logprobs", {}, false};
  return {std::string(name), element_of(leaf, lie.op, lie.element), false};
}

struct Tally {
  std::map<std::string, int> convicted;
  int games = 0;
  std::uint32_t rounds = 0;
  std::size_t proof = 0;
};

void check(const World& honest, const WorldLie& lie, Tally& tally, bool guided) {
  const LeafExecution truth = honest.execute(lie.leaf);
  const Expected want = expected(truth, lie);
  World liar = honest.lying(lie);
  World challenger = honest.judging(liar);
  std::optional<Goal> goal;
  if (guided) goal = Goal{lie.leaf, {}};
  if (lie.step) goal->element = StepPlace{lie.leaf, lie.op, lie.element, 0};
  const Ending end = play(start(liar), liar, challenger, goal);
  ++tally.games;
  tally.rounds = std::max(tally.rounds, end.rounds);
  const std::string about =
      fmt::format("position {} leaf {} op {} element {} {}: ended {} in {} at op {} element {} {}",
                  lie.leaf.position, lie.leaf.index, truth.op(lie.op).name, lie.element,
                  lie.downstream ? "downstream" : "alone", to_string(end.outcome),
                  to_string(end.phase), end.op, end.place.element, end.why);
  ASSERT_EQ(end.outcome, DisputeOutcome::provider_wrong) << about;
  ASSERT_EQ(end.stalled, want.stall) << about;
  if (end.stalled) {
    ++tally.convicted["(refused)"];
    return;
  }
  ASSERT_EQ(end.phase, Phase::step) << about;
  ASSERT_EQ(end.place.leaf.position, lie.leaf.position) << about;
  ASSERT_EQ(end.place.leaf.index, lie.leaf.index) << about;
  if (want.op == "later") {
    ASSERT_GT(end.place.op, lie.op) << about;
  } else if (want.op == "logprobs") {
    ASSERT_TRUE(end.op == "lp" || end.op == "lc" || end.op == "lct" || end.op == "lo") << about;
  } else {
    ASSERT_EQ(end.op, want.op) << about;
    ASSERT_EQ(end.place.element, *want.element) << about;
  }
  if (lie.step) {
    ASSERT_EQ(end.place.step, *lie.step) << about;
  }
  ASSERT_LE(end.proof, kProofMax) << about;
  tally.proof = std::max(tally.proof, end.proof);
  ++tally.convicted[end.op];
}

void report(const char* what, const Tally& tally) {
  std::string ops;
  for (const auto& [op, n] : tally.convicted) ops += fmt::format(" {} {}", op, n);
  fmt::print("[ exhaustive ] {}: {} lies convicted, at most {} rounds, proofs up to {} bytes:{}\n",
             what, tally.games, tally.rounds, tally.proof, ops);
}

// Every value of the trace: in residual stream, keys, values, logits, token.
void every_trace_value(const World& honest, const char* name, std::uint64_t stride) {
  Tally tally;
  std::uint64_t n = 0;
  for (const LeafPlace& place : places(honest)) {
    const LeafExecution leaf = honest.execute(place);
    for (std::uint32_t op = 0; op < leaf.ops().ops.size(); ++op) {
      if (leaf.op(op).tie == Op::Tie::none) continue;
      for (std::uint64_t e = 0; e < leaf.op(op).values; ++e)
        for (const bool downstream : {false, true}) {
          if (n++ % stride != 0) continue;
          check(honest, {place, op, e, 1, downstream, {}}, tally, false);
          if (::testing::Test::HasFatalFailure()) return;
        }
    }
  }
  report(name, tally);
}

TEST(Exhaustive, EveryTraceValueGreedy) {
  every_trace_value(greedy(), "trace values, greedy", whole() ? 1 : 3);
}
TEST(Exhaustive, EveryTraceValueSampled) {
  every_trace_value(sampled(), "trace values, sampled", whole() ? 1 : 3);
}

// Every value of every op, sign bits too, and every running value that is not the last.
void every_op_value(const World& honest, const char* name, std::uint64_t stride) {
  Tally tally;
  std::uint64_t n = 0;
  for (const LeafPlace& place : places(honest)) {
    const LeafExecution leaf = honest.execute(place);
    for (std::uint32_t op = 0; op < leaf.ops().ops.size(); ++op) {
      const Op& of = leaf.op(op);
      if (of.tie != Op::Tie::none) continue;
      for (std::uint64_t e = 0; e < of.values; ++e) {
        for (const bool downstream : {false, true}) {
          if (n++ % stride != 0) continue;
          check(honest, {place, op, e, 1, downstream, {}}, tally, true);
          if (::testing::Test::HasFatalFailure()) return;
        }
        if (of.by_segment) continue;
        for (std::uint32_t s = 0; s + 1 < steps_of(of, e, place.position); ++s) {
          if (n++ % stride != 0) continue;
          check(honest, {place, op, e, 1, false, s}, tally, true);
          if (::testing::Test::HasFatalFailure()) return;
        }
      }
    }
  }
  report(name, tally);
}

TEST(Exhaustive, EveryOpValueGreedy) {
  every_op_value(greedy(), "op values, greedy", whole() ? 1 : 19);
}
TEST(Exhaustive, EveryOpValueSampled) {
  every_op_value(sampled(), "op values, sampled", whole() ? 1 : 19);
}

TEST(Exhaustive, EveryOpValueConstrained) {
  every_op_value(constrained(), "op values, constrained", whole() ? 1 : 41);
}

TEST(Exhaustive, EverySalt) {
  int n = 0;
  for (const World& honest : {greedy(), sampled()})
    for (const LeafPlace& place : places(honest)) {
      World liar = honest.salted(place);
      World challenger = honest.judging(liar);
      const Ending end = play(start(liar), liar, challenger);
      ASSERT_EQ(end.outcome, DisputeOutcome::provider_wrong) << end.why;
      ASSERT_EQ(end.phase, Phase::salt);
      ASSERT_EQ(end.place.leaf.position, place.position);
      ASSERT_EQ(end.place.leaf.index, place.index);
      ++n;
    }
  fmt::print("[ exhaustive ] {} salts convicted\n", n);
}

TEST(Exhaustive, NoChoiceConvictsAnHonestProvider) {
  for (World honest : {greedy(), sampled(), constrained()}) {
    World prover = honest;
    Explorer explorer{honest, prover, whole() ? 1u : 11u};
    explorer.walk(start(honest));
    ASSERT_FALSE(::testing::Test::HasFatalFailure());
    fmt::print(
        "[ exhaustive ] honest provider: {} paths, {} of them proven to the end, {} moves "
        "refused, {} proofs damaged\n",
        explorer.n, explorer.steps, explorer.refused, explorer.garbage);
    EXPECT_GT(explorer.steps, 500u);
  }
}

// The engine and the referee's own steps commit to the same trace.
TEST(Exhaustive, TheEngineCommitsToTheSameTrace) {
  for (const World& world : {greedy(), sampled(), constrained()}) {
    const auto& r = *world.run();
    Execution execution{
        .sampling =
            sampling_of(r.subject.request, r.opening.automaton, *exhaustive_toy().model).value(),
        .salt_secret = r.secret(),
        .prompt = r.opening.prompt,
        .answer = r.opening.answer,
        .logprobs = r.subject.request.logprobs};
    const auto replayed =
        replay(execution, exhaustive_toy().model, pool(), engine::Isa::scalar, {});
    ASSERT_TRUE(replayed);
    EXPECT_EQ(replayed->trace.root(), r.subject.trace_root);
    EXPECT_EQ(replayed->logprobs, r.opening.logprobs);
    EXPECT_TRUE(std::ranges::equal(replayed->sampled, r.opening.answer));
  }
}

}  // namespace
}  // namespace assay::verify
