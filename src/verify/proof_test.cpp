// Proofs of steps, written from memory and judged by the referee: every kind, right, wrong, and
// damaged in every byte.
#include <gtest/gtest.h>
#include <set>

#include "verify/execution_testutil.hpp"
#include "verify/referee/opening.hpp"

namespace assay::verify {
namespace {

using engine::TensorType;

engine::ToyShape proof_shape(std::string architecture, TensorType type) {
  engine::ToyShape s{.architecture = std::move(architecture),
                     .dim = 256,
                     .heads = 4,
                     .kv_heads = 2,
                     .ffn = 512,
                     .layers = 2,
                     .context = 32};
  s.square = s.gate = s.up = s.down_even = s.down_odd = type;
  s.vocab = 600;
  return s;
}

std::uint32_t value_bits(float f) { return std::bit_cast<std::uint32_t>(f); }

void everything(protocol::Request& r) {
  r.logit_bias = {{9, value_bits(40.0f)}};
  r.repetition_penalty_bits = value_bits(1.1f), r.presence_penalty_bits = value_bits(0.5f);
  r.frequency_penalty_bits = value_bits(0.5f), r.temperature_bits = value_bits(25.0f);
  r.top_k = 100, r.top_p_bits = value_bits(0.95f), r.min_p_bits = value_bits(0.001f),
  r.logprobs = 4;
}

// One step of an honest leaf with everything its judge needs.
struct ProofCase {
  StepPlace place;
  std::vector<std::uint32_t> running;  // before it
  std::optional<std::uint32_t> value;  // none: it faults
  Bytes proof;
};

class Prover {
 public:
  Prover(ToyRun& toy, const LeafPlace& place)
      : toy_(toy),
        leaf_(toy.leaf(place)),
        paths_(*toy.trace),
        revealed_(leaf_.revealed(*toy.trace)) {}

  const LeafExecution& leaf() const { return leaf_; }
  const Revealed& revealed() const { return revealed_; }

  ProofCase make(const StepPlace& at) {
    ProofCase c{
        at, *leaf_.running(at.op, at.element), {}, *leaf_.write_proof(at, paths_, toy_.pool)};
    if (at.step < c.running.size()) c.value = c.running[at.step];
    c.running.resize(at.step);
    return c;
  }

  Result<StepVerdict> judge(const ProofCase& c, std::optional<std::uint32_t> claimed,
                            ByteView proof) const {
    return judge_step(toy_.run.subject, revealed_, c.place, c.running, claimed, proof);
  }
  Result<StepVerdict> judge(const ProofCase& c) const { return judge(c, c.value, c.proof); }

  // First, middle and last steps of first, middle and last elements of every op.
  std::vector<ProofCase> cases() {
    std::vector<ProofCase> out;
    const std::uint32_t position = leaf_.place().position;
    for (std::uint32_t op = 0; op < leaf_.computed(); ++op) {
      const Op& of = leaf_.op(op);
      if (of.kind == OpKind::threshold) continue;
      std::set<std::uint64_t> elements{0};
      for (const std::uint64_t c : {of.chunks / 2, of.chunks - 1})
        elements.insert(c * kChunkValues + chunk_values(of, c, position) - 1);
      for (const std::uint64_t e : elements) {
        const std::uint32_t steps = steps_of(of, e, position);
        for (const std::uint32_t s : std::set<std::uint32_t>{0, steps / 2, steps - 1})
          out.push_back(make({leaf_.place(), op, e, s}));
      }
    }
    if (const auto& f = leaf_.fault())
      out.push_back(make({leaf_.place(), f->op, f->element, f->running}));
    return out;
  }

 private:
  ToyRun& toy_;
  LeafExecution leaf_;
  OwnTrace paths_;
  Revealed revealed_;
};

using Seen = std::set<OpKind>;

// Right values follow; any other value, and a fault where there is none, does not.
void expect_judged(ToyRun& toy, const LeafPlace& place, Seen& seen) {
  SCOPED_TRACE(fmt::format("position {}, leaf {}", place.position, place.index));
  Prover prover(toy, place);
  for (const ProofCase& c : prover.cases()) {
    const Op& op = prover.leaf().op(c.place.op);
    SCOPED_TRACE(fmt::format("{} element {} step {}", op.name, c.place.element, c.place.step));
    seen.insert(op.kind);
    ASSERT_LE(c.proof.size(), kProofMax);
    const auto right = prover.judge(c);
    ASSERT_TRUE(right) << right.error().message;
    ASSERT_EQ(*right, StepVerdict::follows);
    for (std::size_t bit = 0; bit < 8 * value_bytes(op.type); ++bit)
      ASSERT_EQ(*prover.judge(c, c.value.value_or(0) ^ 1u << bit, c.proof), StepVerdict::differs);
    if (c.value) {
      ASSERT_EQ(*prover.judge(c, std::nullopt, c.proof), StepVerdict::differs);
    }
  }
}

TEST(Proof, EveryKindOfStep) {
  Seen seen;
  const LeafPlace places[] = {{0, 0}, {2, 1}, {4, 2}, {1, 1}};
  ToyRun llama(
      {.shape = proof_shape("llama", TensorType::q8_0), .prompt = {1, 4, 8}, .ask = everything});
  ToyRun qwen2({.shape = proof_shape("qwen2", TensorType::q4_k), .prompt = {1, 4, 8}});
  ToyRun qwen3({.shape = proof_shape("qwen3", TensorType::f16), .prompt = {1, 4, 8}});
  for (ToyRun* toy : {&llama, &qwen2, &qwen3})
    for (const LeafPlace& place : places) expect_judged(*toy, place, seen);

  ToyAsk longer{.shape = {.dim = 32,
                          .heads = 2,
                          .kv_heads = 1,
                          .ffn = 64,
                          .layers = 2,
                          .context = 1024,
                          .square = TensorType::q8_0},
                .prompt = {},
                .max_tokens = 3};
  for (std::uint32_t i = 0; i < 600; ++i) longer.prompt.push_back(3 + i * 7 % 11);
  longer.ask = [](protocol::Request& r) { r.repetition_penalty_bits = value_bits(1.1f); };
  ToyRun segments(longer);
  for (const LeafPlace& place : {LeafPlace{601, 1}, LeafPlace{601, 2}, LeafPlace{511, 1}})
    expect_judged(segments, place, seen);

  for (std::uint32_t kind = 0; kind <= static_cast<std::uint32_t>(OpKind::logprob_leaf); ++kind)
    if (static_cast<OpKind>(kind) != OpKind::threshold) {
      EXPECT_TRUE(seen.contains(static_cast<OpKind>(kind))) << "kind " << kind;
    }
}

TEST(Proof, OfConstrainedAnswers) {
  Seen seen;
  ToyRun toy({.shape = proof_shape("llama", TensorType::q8_0),
              .prompt = {1, 4, 8},
              .ask = everything,
              .constraint = 3});
  for (const LeafPlace& place : {LeafPlace{2, 2}, LeafPlace{4, 2}}) expect_judged(toy, place, seen);
  for (const OpKind kind : {OpKind::answer_state, OpKind::piece_state, OpKind::constrain})
    EXPECT_TRUE(seen.contains(kind));
}

TEST(Proof, Faults) {
  const engine::ToyShape s = proof_shape("llama", TensorType::f32);
  const std::vector<float> huge(256, 3e38f), large(256, 1e7f);
  Seen seen;
  for (const auto& [tensor, values] :
       std::vector<std::pair<std::string, std::vector<float>>>{{"blk.1.attn_norm.weight", huge},
                                                               {"blk.1.attn_norm.weight", large},
                                                               {"blk.0.ffn_norm.weight", huge},
                                                               {"blk.1.ffn_norm.weight", huge},
                                                               {"output_norm.weight", huge}}) {
    SCOPED_TRACE(tensor);
    ToyRun toy({.shape = s, .patches = {{tensor, 0, values}}});
    ASSERT_TRUE(toy.fault);
    expect_judged(toy, {toy.fault->position, toy.fault->layer, true}, seen);
  }
}

// A damaged proof never convicts; nor does one for another place.
TEST(Proof, Damaged) {
  ToyRun llama(
      {.shape = proof_shape("llama", TensorType::q8_0), .prompt = {1, 4, 8}, .ask = everything});
  ToyRun qwen2({.shape = proof_shape("qwen2", TensorType::q5_k), .prompt = {1, 4, 8}});
  Seen seen;
  ToyRun held(
      {.shape = proof_shape("llama", TensorType::q8_0), .prompt = {1, 4, 8}, .constraint = 3});
  const std::pair<ToyRun*, LeafPlace> places[] = {
      {&llama, {4, 2}}, {&llama, {4, 0}}, {&llama, {1, 1}}, {&qwen2, {4, 1}}, {&held, {4, 2}}};
  for (const auto& [toy, place] : places) {
    Prover prover(*toy, place);
    const auto cases = prover.cases();
    for (const ProofCase& c : cases) {
      if (!seen.insert(prover.leaf().op(c.place.op).kind).second) continue;
      SCOPED_TRACE(prover.leaf().op(c.place.op).name);
      Bytes proof = c.proof;
      for (std::size_t i = 0; i < proof.size(); ++i) {
        proof[i] ^= static_cast<std::uint8_t>(1u << i % 8);
        ASSERT_FALSE(prover.judge(c, c.value, proof)) << "byte " << i;
        proof[i] = c.proof[i];
      }
      for (std::size_t n = 0; n < proof.size(); n += n < 64 ? 1 : 31)
        ASSERT_FALSE(prover.judge(c, c.value, ByteView(proof).first(n))) << n << " bytes";
      for (const std::size_t more : {1u, 32u}) {
        proof.resize(c.proof.size() + more);
        ASSERT_FALSE(prover.judge(c, c.value, proof));
      }
      proof.resize(kProofMax + 1);
      ASSERT_FALSE(prover.judge(c, c.value, proof));
      // Of another element or op, opened for this one.
      for (const ProofCase& other : cases) {
        const auto verdict = prover.judge(c, c.value, other.proof);
        ASSERT_TRUE(!verdict || *verdict == StepVerdict::follows);
        ASSERT_TRUE(!verdict || other.proof == c.proof);
      }
    }
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(OpKind::constrain));  // all but thresholds
}

// The same step of other rows, positions and leaves.
TEST(Proof, OfAnotherPlace) {
  ToyRun toy({.shape = proof_shape("llama", TensorType::q6_k), .prompt = {1, 4, 8}});
  Prover prover(toy, {3, 1}), before(toy, {2, 1}), head(toy, {3, 2});
  for (const char* name : {"q", "a.y", "qr", "sc", "so", "x"}) {
    SCOPED_TRACE(name);
    const std::uint32_t op = *prover.leaf().find(name);
    const ProofCase here = prover.make({{3, 1}, op, 3, 0});
    ASSERT_EQ(*prover.judge(here), StepVerdict::follows);
    const ProofCase row = prover.make({{3, 1}, op, 2, 0});
    if (std::string_view(name) == "q") {
      EXPECT_FALSE(prover.judge(here, here.value, row.proof));
    }
    const ProofCase then = before.make({{2, 1}, op, 2, 0});
    EXPECT_FALSE(prover.judge(here, here.value, then.proof));
    const std::uint32_t same = *head.leaf().find(name);
    const ProofCase above = head.make({{3, 2}, same, 3, 0});
    EXPECT_FALSE(prover.judge(here, here.value, above.proof));
  }
  // Places that do not exist.
  const ProofCase c = prover.make({{3, 1}, 0, 0, 0});
  for (const StepPlace& at :
       {StepPlace{{3, 1}, 0, 1, 0}, StepPlace{{3, 1}, 0, 0, 9}, StepPlace{{3, 1}, 999, 0, 0}})
    EXPECT_FALSE(judge_step(toy.run.subject, prover.revealed(), at, {}, c.value, c.proof));
}

TEST(Proof, Salt) {
  const ToyRun toy;
  const Hash& secret = toy.run.secret();
  const LeafPlace leaf{3, 1};
  EXPECT_FALSE(*judge_salt(toy.run.subject, leaf, leaf_salt(secret, 3, 1), secret));
  EXPECT_TRUE(*judge_salt(toy.run.subject, leaf, leaf_salt(secret, 1, 3), secret));
  Hash other = secret;
  other[0] ^= 1;
  EXPECT_FALSE(judge_salt(toy.run.subject, leaf, leaf_salt(other, 3, 1), other));
}

// Weights no valid model has: a scale that is not finite, a tensor of another type.
TEST(Proof, InvalidModel) {
  ToyRun toy({.shape = proof_shape("llama", TensorType::q8_0), .prompt = {1, 4, 8}});
  Prover prover(toy, {2, 1});
  const std::uint32_t op = *prover.leaf().find("q");
  const ProofCase honest = prover.make({{2, 1}, op, 7, 0});
  const TensorShape tensor = *prover.leaf().op(op).tensor;
  const ModelTrees& model = *toy.run.model;
  const Bytes description = tensor_description(model.tensor(tensor.index));

  const auto judged = [&](ByteView leaf_bytes, ByteView chunk, std::size_t extra) {
    // A tree of tensors with this one in its place.
    Bytes proof;
    append_le(proof, static_cast<std::uint32_t>(leaf_bytes.size()));
    append(proof, leaf_bytes);
    Hash root{};
    if (!chunk.empty()) {
      std::vector<Hash> chunks(tensor.rows * row_chunks(tensor));
      chunks[7] = weight_leaf(tensor.index, 7, 0, chunk);
      root = crypto::merkle_root(chunks);
      append(proof, chunk);
      for (const Hash& h : crypto::inclusion_proof(chunks, 7)) append(proof, h);
    } else {
      append(proof, root);
    }
    Bytes leaf(leaf_bytes.begin(), leaf_bytes.end());
    append(leaf, root);
    std::vector<Hash> tensors(toy.run.subject.program.formats.size());
    tensors[tensor.index] = crypto::leaf_hash(leaf);
    for (const Hash& h : crypto::inclusion_proof(tensors, tensor.index)) append(proof, h);
    proof.resize(proof.size() + extra);
    Subject subject = toy.run.subject;
    subject.weights_root = crypto::merkle_root(tensors);
    return judge_step(subject, prover.revealed(), honest.place, {}, honest.value, proof);
  };

  const ByteView good = model.chunk(tensor.index, 7, 0);
  Bytes chunk(good.begin(), good.end());
  chunk[34] = 0x00, chunk[35] = 0x7c;  // the second block's scale: infinity
  EXPECT_EQ(*judged(description, chunk, 0), StepVerdict::invalid_model);
  EXPECT_FALSE(judged(description, chunk, 1));
  EXPECT_FALSE(judged(description, good, 0)) << "more is asked for";

  Bytes type = description, columns = description, cut = description;
  type[type.size() - 24] = 2;  // Q4_0
  columns[columns.size() - 15] ^= 1;
  cut.resize(cut.size() - 1);
  for (const Bytes& other : {type, columns, cut}) {
    EXPECT_EQ(*judged(other, {}, 0), StepVerdict::invalid_model);
    EXPECT_FALSE(judged(other, {}, 4));
    EXPECT_FALSE(judged(other, good, 0));
  }
  EXPECT_FALSE(judged(Bytes(kTensorLeafMax + 1), {}, 0));
}

}  // namespace
}  // namespace assay::verify
