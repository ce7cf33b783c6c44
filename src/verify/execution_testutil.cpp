#include "verify/execution_testutil.hpp"

#include "base/assert.hpp"
#include "crypto/merkle.hpp"
#include "engine/constraint_testutil.hpp"
#include "protocol/tokens.hpp"

namespace assay::verify {
namespace {

const engine::Tensor& tensor_named(const engine::Model& model, std::string_view name) {
  for (const engine::Tensor* t : model.weights())
    if (t->name == name) return *t;
  ASSAY_ASSERT(false && "no such tensor");
}

// The file with some floats overwritten, whatever a model may hold.
Bytes patched(Bytes file, std::span<const ToyAsk::Patch> patches) {
  const auto model = *engine::Model::load(file);
  Bytes out = file;
  for (const ToyAsk::Patch& patch : patches) {
    const engine::Tensor& tensor = tensor_named(*model, patch.tensor);
    ASSAY_ASSERT(tensor.type == engine::TensorType::f32);
    const std::size_t at = static_cast<std::size_t>(tensor.data.data() - file.data());
    std::memcpy(&out[at + 4 * patch.first], patch.values.data(), 4 * patch.values.size());
  }
  return out;
}

}  // namespace

void constrain(Opened& run, std::uint32_t seed) {
  canon::test::Random random(seed);
  run.constraint = engine::random_constraint(random, *run.model->model().pieces());
  run.parts = parts_of(run.constraint->automaton(), run.constraint->pieces());
  run.opening.automaton = canon::encode(run.constraint->automaton());
  run.subject.request.constraint = protocol::constraint_root(run.parts);
}

ToyRun::ToyRun(const ToyAsk& ask, unsigned threads)
    : pool(threads), file(patched(engine::toy_model(ask.shape), ask.patches)) {
  const auto model = *engine::Model::load(file);
  const auto tokenizer = *engine::Tokenizer::from(model->gguf());
  const auto chat = engine::ChatTemplate::from(model->gguf());
  run.model = std::make_shared<ModelTrees>(model, pool);
  Subject& subject = run.subject;
  subject.program = program_of(*model, tokenizer, chat ? &*chat : nullptr, pool);
  subject.weights_root = run.model->weights_root();

  run.opening.salt_secret.fill(5);
  run.opening.prompt = ask.prompt;
  protocol::Request& request = subject.request;
  request.prompt_root = protocol::prompt_root(run.secret(), ask.prompt);
  request.prompt_count = static_cast<std::uint32_t>(ask.prompt.size());
  request.continuation = ask.continuation;
  request.seed = 7;
  request.max_tokens = ask.max_tokens;
  request.salt_commitment = protocol::salt_commitment(run.secret());
  if (ask.ask) ask.ask(request);

  if (ask.constraint) constrain(run, *ask.constraint);

  engine::Sampling sampling = sampling_of(request);
  sampling.constraint = run.constraint;
  trace.emplace(run.secret(), model->hyper().layers);
  engine::Session session(model, pool, engine::best_isa(), model->hyper().context);
  std::vector<engine::Token> next = ask.prompt;
  std::uint32_t from = subject.first_sampled();
  auto& answer = run.opening.answer;
  while (answer.size() < ask.max_tokens) {
    const auto out = session.run(next, from, sampling, &*trace, request.logprobs);
    if (out.fault) {
      fault = out.fault;
      subject.finish = static_cast<std::uint32_t>(protocol::Finish::fault);
      break;
    }
    // A continuation is what the model says, or there is no such execution.
    for (std::uint32_t i = 0; answer.empty() && i < ask.continuation; ++i)
      ASSAY_ASSERT(out.sampled[i] == ask.prompt[ask.prompt.size() - ask.continuation + i]);
    answer.push_back(out.sampled.back());
    if (!out.logprobs.empty()) append_logprobs(out.logprobs.back(), run.opening.logprobs);
    next = {answer.back()};
    from = session.position();
  }
  if (!fault) subject.finish = static_cast<std::uint32_t>(protocol::Finish::length);
  subject.count = static_cast<std::uint32_t>(answer.size());
  subject.tape_root = protocol::tape_root(run.secret(), answer);
  subject.trace_root = trace->root();
  subject.logprobs_root =
      *protocol::logprobs_root(run.secret(), request, subject.count, run.opening.logprobs);
}

std::vector<LeafPlace> ToyRun::leaves() const {
  std::vector<LeafPlace> out;
  for (std::uint32_t t = 0; t < trace->positions(); ++t)
    for (std::uint32_t i = 0; i < trace->leaves(t).size(); ++i)
      out.push_back({t, i, fault && fault->position == t && fault->layer == i});
  return out;
}

LeafExecution ToyRun::leaf(const LeafPlace& place) {
  LeafExecution out(run, place, *leaf_states(run, place, pool, engine::best_isa()));
  const auto done = out.compute(pool);
  ASSAY_ASSERT(done.has_value());
  return out;
}

ChainTrace::ChainTrace(const Opened& honest, ThreadPool& pool, std::optional<Lie> lie)
    : run_(honest) {
  const Subject& subject = run_.subject;
  const std::uint32_t count = subject.prompt() + subject.count - (subject.ends_in_fault() ? 0 : 1);
  for (std::uint32_t t = 0; t < count && !fault_; ++t) {
    leaves_.emplace_back();
    const std::uint32_t leaves = subject.program.layers + (t >= subject.first_sampled() ? 1 : 0);
    for (std::uint32_t i = 0; i < leaves && !fault_; ++i) compute({t, i, false}, pool, lie);
  }
  run_.subject.tape_root = protocol::tape_root(run_.secret(), run_.opening.answer);
  run_.subject.trace_root = trace_root();
}

LeafStates ChainTrace::states_for(const LeafPlace& place) const {
  LeafStates out;
  const auto append_row = [&](LeafStates::Rows& rows, std::uint32_t t, std::uint32_t layer) {
    const LeafExecution& cell = *executions_.at({t, layer});
    rows.x_roots.push_back(cell.x_root());
    for (std::uint32_t op = 0; op < cell.ops().ops.size(); ++op) {
      const Op::Tie tie = cell.op(op).tie;
      if (tie != Op::Tie::k && tie != Op::Tie::v) continue;
      auto& row = tie == Op::Tie::k ? rows.k : rows.v;
      const ByteView values = cell.values(op);
      for (std::size_t b = 0; b < values.size(); b += 2)
        row.push_back(load_le<std::uint16_t>(&values[b]));
    }
  };
  if (place.index > 0) {
    for (std::uint32_t t = 0; t <= place.position; ++t) append_row(out.before, t, place.index - 1);
    const LeafExecution& cell = *executions_.at({place.position, place.index - 1});
    for (std::uint32_t op = 0; op < cell.ops().ops.size(); ++op)
      if (cell.op(op).tie == Op::Tie::x) {
        out.x.resize(cell.values(op).size() / sizeof(float));
        std::memcpy(out.x.data(), cell.values(op).data(), cell.values(op).size());
      }
  }
  if (runs_own_layer(run_.subject, place))
    for (std::uint32_t t = 0; t < place.position; ++t) append_row(out.own, t, place.index);
  return out;
}

void ChainTrace::compute(const LeafPlace& place, ThreadPool& pool, const std::optional<Lie>& lie) {
  auto leaf = std::make_unique<LeafExecution>(run_, place, states_for(place));
  const auto changed = [&] {
    const std::size_t width = value_bytes(leaf->op(lie->op).type);
    const ByteView before = leaf->values(lie->op);
    Bytes values(before.begin(), before.end());
    std::size_t at = 0;
    for (std::uint64_t c = 0; c < lie->element / kChunkValues; ++c)
      at += leaf->chunk(lie->op, c).size();
    at += lie->element % kChunkValues * width;
    for (std::size_t b = 0; b < width; ++b)
      values[at + b] = static_cast<std::uint8_t>(lie->bits >> (8 * b));
    leaf->put(lie->op, std::move(values));
  };
  const bool lies = lie && lie->leaf.position == place.position && lie->leaf.index == place.index;
  // The token that follows is the one chosen here, before the leaf says what follows.
  const bool head = place.index == run_.subject.program.layers;
  const std::uint32_t tok = head ? *leaf->find("tok") : UINT32_MAX;
  const std::uint32_t end = static_cast<std::uint32_t>(leaf->ops().ops.size());
  const auto run = [&](std::uint32_t from, std::uint32_t to) {
    if (from >= to || leaf->fault()) return;
    const auto done = leaf->compute(pool, from, to);
    ASSAY_ASSERT(done.has_value());
  };
  const auto follow = [&] {
    const std::uint32_t n = run_.subject.prompt();
    if (!head || leaf->fault() || place.position + 1 < n) return;
    if (place.position + 1 - n < run_.opening.answer.size())
      run_.opening.answer[place.position + 1 - n] = leaf->token();
  };
  std::uint32_t from = 0;
  for (const std::uint32_t to : {std::min(tok + 1, end), end}) {
    const bool here = lies && lie->op >= from && lie->op < to;
    if (here && lie->carry_on) {
      run(from, lie->op + 1);
      if (!leaf->fault()) changed();
      run(lie->op + 1, to);
    } else {
      run(from, to);
    }
    if (to == tok + 1) follow();
    from = to;
  }
  if (lies && !lie->carry_on) changed();
  if (leaf->fault()) {
    // The trace ends: a fault leaf, or, where the head of another leaf faults, that leaf's place.
    const LeafPlace before{place.position, place.index == 0 ? 0 : place.index - 1, true};
    const bool earlier = leaf->fault()->op < *leaf->find("x");
    fault_ = earlier && place.index > 0 ? before : LeafPlace{place.position, place.index, true};
    auto end_leaf = std::make_unique<LeafExecution>(run_, *fault_, states_for(*fault_));
    const auto done = end_leaf->compute(pool);
    ASSAY_ASSERT(done.has_value());
    leaves_.back().resize(fault_->index);
    leaves_.back().push_back(end_leaf->leaf_hash());
    executions_[{fault_->position, fault_->index}] = std::move(end_leaf);
    return;
  }
  leaves_.back().push_back(leaf->leaf_hash());
  executions_[{place.position, place.index}] = std::move(leaf);
}

std::vector<Hash> ChainTrace::position_roots() const {
  std::vector<Hash> out;
  for (const auto& leaves : leaves_) out.push_back(position_root(leaves));
  return out;
}

Hash ChainTrace::trace_root() const {
  return verify::trace_root(position_roots(), run_.subject.program.layers);
}

const LeafExecution& ChainTrace::leaf(const LeafPlace& place) const {
  return *executions_.at({place.position, place.index});
}

}  // namespace assay::verify
