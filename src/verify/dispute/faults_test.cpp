// Numeric faults: claimed where they are, ignored, and claimed where none is.
#include "crypto/merkle.hpp"
#include "protocol/tokens.hpp"
#include "verify/dispute/explorer_testutil.hpp"
#include "verify/referee/opening.hpp"

namespace assay::verify {
namespace {

engine::ToyShape shape() {
  return {.dim = 32, .heads = 2, .kv_heads = 1, .ffn = 64, .layers = 2, .context = 8};
}

ThreadPool& fault_pool() {
  static ThreadPool one(1);
  return one;
}

// The toy with an f32 tensor (or one row of it) multiplied.
ToyModel scaled(const char* tensor, float by, std::optional<std::uint32_t> row = std::nullopt) {
  const ToyModel toy(shape());
  const engine::Tensor* t = toy.model->gguf().find(tensor);
  Bytes file = toy.file;
  const auto at = static_cast<std::size_t>(t->data.data() - toy.file.data());
  for (std::size_t i = 0; i < t->data.size() / 4; ++i) {
    if (row && i / t->row_length() != *row) continue;
    float value = 0;
    std::memcpy(&value, &file[at + 4 * i], 4);
    value *= by;
    std::memcpy(&file[at + 4 * i], &value, 4);
  }
  return ToyModel(std::move(file));
}

// The engine's execution of a statement's tokens, and what it has to show for it.
struct Faulting {
  // answer_tokens: those before the fault, in a receipt of its own; none: the statement's.
  Faulting(const World& like, std::optional<std::uint32_t> answer_tokens,
           std::shared_ptr<const engine::Model> model)
      : run(*like.run()) {
    Subject& s = run.subject;
    if (answer_tokens) {
      s.count = *answer_tokens;
      s.finish = static_cast<std::uint32_t>(protocol::Finish::fault);
      run.opening.answer.resize(s.count);
    }
    const Execution execution{.sampling = sampling_of(s.request),
                              .salt_secret = run.secret(),
                              .prompt = run.opening.prompt,
                              .answer = run.opening.answer,
                              .ends_in_fault = s.ends_in_fault()};
    auto replayed = *replay(execution, std::move(model), fault_pool(), engine::Isa::scalar, {});
    fault = replayed.fault;
    trace = std::make_shared<TraceBuilder>(std::move(replayed.trace));
    if (answer_tokens) {
      s.trace_root = trace->root();
      s.tape_root = protocol::tape_root(run.secret(), run.opening.answer);
    }
    evidence = std::make_unique<OwnEvidence>(run, *trace, fault, fault_pool(), engine::Isa::scalar);
  }
  Faulting(const Faulting&) = delete;

  Opened run;
  std::shared_ptr<TraceBuilder> trace;
  std::optional<engine::NumericFault> fault;
  std::unique_ptr<OwnEvidence> evidence;
};

struct FaultCase {
  const char* tensor;
  float by;
  std::optional<std::uint32_t> row;
  engine::NumericFault at;
};

const FaultCase kCases[] = {
    {"token_embd.weight", 1e30f, 9, {1, 0}},          // B(0): the sum of squares
    {"blk.1.attn_v.weight", 1e30f, {}, {0, 1}},       // B(1): v as fp16
    {"blk.0.attn_output.weight", 1e38f, {}, {0, 0}},  // A(0)
    {"blk.1.attn_output.weight", 1e38f, {}, {0, 1}},  // A(1), which nothing follows here
    {"output.weight", 3e38f, {}, {2, 2}},             // the head
};

ToyRequest request() { return {.prompt = {1, 9, 8}, .answer = 2}; }

TEST(Faults, AnHonestFaultStandsAgainstEveryChoice) {
  for (const FaultCase& c : kCases) {
    SCOPED_TRACE(c.tensor);
    const ToyModel toy = scaled(c.tensor, c.by, c.row);
    const World like = toy_world(toy, request(), fault_pool());
    Faulting honest(like, 0, toy.model), prover(like, 0, toy.model);
    ASSERT_TRUE(honest.fault);
    EXPECT_EQ(honest.fault->position, c.at.position);
    EXPECT_EQ(honest.fault->layer, c.at.layer);
    Explorer explorer{*honest.evidence, *prover.evidence, 7};
    explorer.walk(*Game::start(std::make_shared<const Subject>(honest.run.subject), {}, {}));
    if (HasFatalFailure()) return;
    fmt::print("[ faults ] {}: {} paths, {} proven, none convicts\n", c.tensor, explorer.n,
               explorer.steps);
  }
}

TEST(Faults, WhoGoesOnAfterAFaultIsConvicted) {
  for (const FaultCase& c : kCases) {
    SCOPED_TRACE(c.tensor);
    const ToyModel toy = scaled(c.tensor, c.by, c.row);
    World liar = toy_world(toy, request(), fault_pool());  // zeros instead
    Faulting challenger(liar, std::nullopt, toy.model);
    ASSERT_TRUE(challenger.fault);
    const Ending end = play(start(liar), liar, *challenger.evidence);
    EXPECT_EQ(end.outcome, DisputeOutcome::provider_wrong) << end.why;
    EXPECT_EQ(end.phase, Phase::step) << end.why;
    EXPECT_EQ(end.place.leaf.position, c.at.position);
  }
}

// A leaf of a provider whose trace ends in a fault that is none.
struct FalseLeaf final : LeafEvidence {
  FalseLeaf(LeafExecution leaf, const FaultClaim& what)
      : executed(std::move(leaf), fault_pool()), claim(what) {}
  const OpList& ops() const override { return executed.ops(); }
  Bytes preimage() const override { return executed.preimage(); }
  Hash salt() const override { return executed.salt(); }
  std::optional<Hash> leaf_hash() const override { return executed.leaf_hash(); }
  std::uint32_t known_ops() const override { return claim.op; }
  std::optional<FaultClaim> fault() const override { return claim; }
  Hash op_root(std::uint32_t op) const override { return executed.op_root(op); }
  std::vector<Hash> chunk_leaves(std::uint32_t op) const override {
    return executed.chunk_leaves(op);
  }
  Bytes chunk(std::uint32_t op, std::uint64_t c) const override { return executed.chunk(op, c); }
  Result<std::vector<std::uint32_t>> running(std::uint32_t op,
                                             std::uint64_t element) const override {
    TRY(auto out, executed.running(op, element));
    if (op == claim.op) out.resize(claim.running);
    return out;
  }
  Status adopt(std::uint32_t, const Hash&) override { return {}; }
  Result<Bytes> prove(const StepPlace&, const TracePaths&) const override { return Bytes{}; }

  ExecutedLeaf executed;
  FaultClaim claim;
};

struct FalseFault final : Evidence {
  FalseFault(const World& truth, const LeafPlace& place, const FaultClaim& what)
      : base(truth), at(place), claim(what), run(std::make_shared<Opened>(*truth.run())) {
    std::vector<Hash> roots;
    for (std::uint32_t t = 0; t < at.position; ++t) roots.push_back(position_root(base.leaves(t)));
    last = base.leaves(at.position);
    last.resize(at.index);
    last.push_back(
        fault_leaf(at.position, at.index, leaf_salt(run->secret(), at.position, at.index)));
    roots.push_back(position_root(last));
    for (const Hash& root : roots) all.push_back(crypto::leaf_hash(root));
    Subject& s = run->subject;
    s.finish = static_cast<std::uint32_t>(protocol::Finish::fault);
    s.count = at.position < s.prompt() ? 0 : at.position + 1 - s.prompt();
    s.trace_root = trace_root(roots, s.program.layers);
    run->opening.answer.resize(s.count);
    s.tape_root = protocol::tape_root(run->secret(), run->opening.answer);
  }
  const Hash& secret() const override { return run->secret(); }
  std::span<const Hash> positions() const override { return all; }
  std::vector<Hash> leaves(std::uint32_t t) const override {
    return t == at.position ? last : base.leaves(t);
  }
  std::optional<LeafPlace> fault() const override { return at; }
  Result<std::shared_ptr<LeafEvidence>> leaf(const LeafPlace& place) override {
    LeafExecution leaf(*run, place, base.states_of(place));
    CHECK_OK(leaf.compute(fault_pool()));
    return std::make_shared<FalseLeaf>(std::move(leaf), claim);
  }

  const World& base;
  LeafPlace at;
  FaultClaim claim;
  std::shared_ptr<Opened> run;
  std::vector<Hash> all, last;
};

TEST(Faults, AFaultThatIsNoneIsConvicted) {
  const ToyModel toy(shape());
  const World honest = toy_world(toy, request(), fault_pool());
  int games = 0;
  // In the prompt (m = 0), and where an answer token is evaluated; every op that may fault.
  for (const LeafPlace at : {LeafPlace{1, 0, true}, LeafPlace{1, 1, true}, LeafPlace{2, 2, true},
                             LeafPlace{3, 1, true}, LeafPlace{3, 2, true}}) {
    const OpList list = ops_of(honest.run()->subject, at);
    for (std::uint32_t op = list.fault_from; op < list.ops.size(); ++op) {
      const Op& of = list.ops[op];
      const auto chunk = of.chunks - 1;
      const auto element = static_cast<std::uint32_t>(chunk * kChunkValues +
                                                      chunk_values(of, chunk, at.position) - 1);
      const std::uint32_t running = steps_of(of, element, at.position) - 1;
      FalseFault liar(honest, at, {op, element, running});
      World challenger = honest.with_run(liar.run);
      const auto subject = std::make_shared<const Subject>(liar.run->subject);
      const Ending end = play(*Game::start(subject, {}, {}), liar, challenger);
      ASSERT_EQ(end.outcome, DisputeOutcome::provider_wrong) << of.name << ": " << end.why;
      ASSERT_EQ(end.phase, Phase::step) << of.name << ": " << end.why;
      ASSERT_EQ(end.op, of.name);
      ASSERT_EQ(end.place.element, element);
      ASSERT_EQ(end.place.step, running);
      ++games;
    }
  }
  fmt::print("[ faults ] {} faults that are none convicted\n", games);
}

}  // namespace
}  // namespace assay::verify
