#include "base/assert.hpp"
#include "verify/execution.hpp"

namespace assay::verify {
namespace {

constexpr std::size_t kStep = 128;  // between two progress calls; the engine's own tile

struct Keeper final : engine::StateSink {
  Keeper(const LeafPlace& leaf, bool with_own, std::uint32_t kv, LeafStates& into)
      : place(leaf), keeps_own(with_own), width(kv), states(into) {}

  void cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
            std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) override {
    const bool before = layer + 1 == place.index;
    const bool own = keeps_own && layer == place.index && position < place.position;
    if (!before && !own) return;
    LeafStates::Rows& rows = before ? states.before : states.own;
    rows.x_roots[position] = vector_root(x);
    std::ranges::copy(k, &rows.k[std::size_t{position} * width]);
    std::ranges::copy(v, &rows.v[std::size_t{position} * width]);
    if (before && position == place.position) states.x.assign(x.begin(), x.end());
  }
  void head(std::uint32_t, std::span<const float>, std::span<const float>, engine::Token) override {
  }
  void fault(engine::NumericFault) override {}

  LeafPlace place;
  bool keeps_own;
  std::size_t width;
  LeafStates& states;
};

void allocate(LeafStates::Rows& rows, std::uint32_t positions, std::size_t width) {
  rows.x_roots.resize(positions);
  rows.k.resize(positions * width);
  rows.v.resize(positions * width);
}

// The engine says nothing of a layer that it does not finish. Where that is the leaf before, its
// states are computed as those of a disputed leaf.
Status fill_before(const Opened& run, const LeafPlace& place, ThreadPool& pool, engine::Isa isa,
                   std::size_t kv_bytes_max, LeafStates& states) {
  const LeafPlace before{place.position, place.index - 1, false};
  TRY(auto inputs, leaf_states(run, before, pool, isa, {}, kv_bytes_max));
  LeafExecution leaf(run, before, std::move(inputs));
  CHECK_OK(leaf.compute(pool));
  if (leaf.fault())
    return fail(Errc::invalid, "this execution meets a numeric fault in leaf {} of position {}",
                before.index, before.position);
  const std::size_t width = run.subject.program.kv_dim(), t = place.position;
  states.before.x_roots[t] = leaf.x_root();
  for (std::uint32_t i = 0; i < leaf.ops().ops.size(); ++i) {
    const ByteView values = leaf.values(i);
    switch (leaf.op(i).tie) {
      case Op::Tie::x:
        states.x.resize(values.size() / sizeof(float));
        std::memcpy(states.x.data(), values.data(), values.size());
        break;
      case Op::Tie::k:
        std::memcpy(&states.before.k[t * width], values.data(), values.size());
        break;
      case Op::Tie::v:
        std::memcpy(&states.before.v[t * width], values.data(), values.size());
        break;
      default:
        break;
    }
  }
  return {};
}

}  // namespace

Result<LeafStates> leaf_states(const Opened& run, const LeafPlace& place, ThreadPool& pool,
                               engine::Isa isa, const ReplayProgress& progress,
                               std::size_t kv_bytes_max) {
  const Program& program = run.subject.program;
  ASSAY_ASSERT(place.index <= program.layers);
  LeafStates states;
  const bool own = runs_own_layer(run.subject, place);
  if (place.index == 0 && !own) return states;

  std::vector<engine::Token> tokens = run.opening.prompt;
  tokens.insert(tokens.end(), run.opening.answer.begin(), run.opening.answer.end());
  const std::size_t count = std::size_t{place.position} + (place.index == 0 ? 0 : 1);
  if (tokens.size() < count || count > program.context)
    return fail(Errc::invalid, "this execution has no position {}", place.position);
  tokens.resize(count);
  CHECK_OK(check_kv_memory(count, run.model->model().hyper(), isa, kv_bytes_max));
  for (const engine::Token token : tokens)
    if (token >= program.vocab)
      return fail(Errc::invalid, "token {} is outside the vocabulary of {}", token, program.vocab);
  if (place.index > 0) allocate(states.before, place.position + 1, program.kv_dim());
  if (own) allocate(states.own, place.position, program.kv_dim());
  if (tokens.empty()) return states;

  Keeper keeper(place, own, program.kv_dim(), states);
  const engine::Sampling sampling;
  engine::Session session(run.model->shared_model(), pool, isa, static_cast<std::uint32_t>(count));
  for (std::size_t begin = 0; begin < count; begin += kStep) {
    if (progress && !progress(static_cast<double>(begin) / static_cast<double>(count)))
      return fail(Errc::cancelled, "cancelled");
    const auto step =
        std::span<const engine::Token>(tokens).subspan(begin, std::min(kStep, count - begin));
    const auto outcome = session.run(step, UINT32_MAX, sampling, &keeper);
    if (!outcome.fault) continue;
    if (outcome.fault->position < place.position || outcome.fault->layer + 1 < place.index)
      return fail(Errc::invalid, "this execution meets a numeric fault at position {}, layer {}",
                  outcome.fault->position, outcome.fault->layer);
    if (outcome.fault->layer + 1 == place.index)
      CHECK_OK(fill_before(run, place, pool, isa, kv_bytes_max, states));
    break;
  }
  if (progress) progress(1.0);
  return states;
}

}  // namespace assay::verify
