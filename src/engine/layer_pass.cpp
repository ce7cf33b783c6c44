#include "engine/layer_pass.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "engine/forward.hpp"

namespace assay::engine {
namespace {

static_assert(kPassPositions <= Forward::kTile);

const Kernels& kernels_for(Isa isa) {
  const Kernels* kernels = find_kernels(isa);
  ASSAY_ASSERT(kernels != nullptr);
  return *kernels;
}

std::size_t pages_for(std::size_t positions) {
  return (positions + kPagePositions - 1) / kPagePositions;
}

// Keeps the K and V rows of the only layer there is.
struct RowsSink : StateSink {
  std::uint32_t first = 0;
  std::size_t kv_dim = 0;
  LayerRows* rows = nullptr;

  void cell(std::uint32_t position, std::uint32_t, std::span<const float>,
            std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) override {
    const auto at = static_cast<std::ptrdiff_t>((position - first) * kv_dim);
    std::ranges::copy(k, rows->k.begin() + at);
    std::ranges::copy(v, rows->v.begin() + at);
  }
  void head(std::uint32_t, std::span<const float>, std::span<const float>, Token) override {}
  void fault(NumericFault) override {}
};

}  // namespace

struct LayerPass::State {
  State(const Model& model, std::uint32_t layer, ThreadPool& threads, Isa isa,
        std::uint32_t positions)
      : forward(model.part({&layer, 1}), threads, kernels_for(isa)),
        pages(forward.layout(), pages_for(positions)),
        sequence(pages) {}

  Forward forward;
  PagePool pages;
  Sequence sequence;
};

LayerPass::LayerPass(const Model& model, std::uint32_t layer, ThreadPool& pool, Isa isa,
                     std::uint32_t capacity) {
  ASSAY_ASSERT(layer < model.hyper().layers && capacity <= model.hyper().context);
  state_ = std::make_unique<State>(model, layer, pool, isa, capacity);
}

LayerPass::LayerPass(LayerPass&&) noexcept = default;
LayerPass::~LayerPass() = default;

std::uint32_t LayerPass::position() const { return state_->sequence.position(); }

LayerRows LayerPass::run(std::span<const float> entering) {
  const Hyper& hyper = state_->forward.model().hyper();
  const std::size_t n = entering.size() / hyper.dim;
  ASSAY_ASSERT(n >= 1 && n <= kPassPositions && n * hyper.dim == entering.size());
  ASSAY_ASSERT(state_->sequence.reserve(position() + static_cast<std::uint32_t>(n)));
  LayerRows out;
  out.leaving.resize(entering.size());
  out.k.resize(n * hyper.kv_dim());
  out.v.resize(n * hyper.kv_dim());
  RowsSink sink;
  sink.first = position();
  sink.kv_dim = hyper.kv_dim();
  sink.rows = &out;
  // What enters the layer is given, so it does not matter which tokens these are.
  const std::vector<Token> tokens(n, 0);
  Slice slice{.sequence = &state_->sequence,
              .tokens = tokens,
              .sample_from = hyper.context,
              .sink = &sink,
              .entering = entering.data(),
              .leaving = out.leaving.data()};
  state_->forward.run({&slice, 1});
  if (slice.fault) out.fault = slice.fault->position;
  return out;
}

void LayerPass::restore(std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) {
  const Hyper& hyper = state_->forward.model().hyper();
  const PageLayout& layout = state_->forward.layout();
  const std::size_t kv_dim = hyper.kv_dim(), n = k.size() / kv_dim;
  ASSAY_ASSERT(n * kv_dim == k.size() && k.size() == v.size());
  ASSAY_ASSERT(state_->sequence.reserve(position() + static_cast<std::uint32_t>(n)));
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t at = position() + i;
    store_rows(layout, *state_->sequence.pages()[at / kPagePositions], at % kPagePositions, 0,
               k.subspan(i * kv_dim, kv_dim), v.subspan(i * kv_dim, kv_dim));
  }
  state_->sequence.append(std::vector<Token>(n, 0));
}

struct HeadPass::State {
  State(const Model& model, ThreadPool& threads, Isa isa, std::span<const Token> tape,
        const Sampling& chosen_by, std::uint32_t numbers)
      : forward(model.part({}), threads, kernels_for(isa)),
        pages(forward.layout(), pages_for(tape.size())),
        tokens(tape.begin(), tape.end()),
        sampling(chosen_by),
        logprobs(numbers) {}

  Forward forward;
  PagePool pages;
  std::vector<Token> tokens;
  Sampling sampling;
  std::uint32_t logprobs;
};

HeadPass::HeadPass(const Model& model, ThreadPool& pool, Isa isa, std::span<const Token> tape,
                   const Sampling& sampling, std::uint32_t logprobs) {
  state_ = std::make_unique<State>(model, pool, isa, tape, sampling, logprobs);
}

HeadPass::~HeadPass() = default;

HeadRows HeadPass::run(std::uint32_t position, std::span<const float> leaving, StateSink* sink) {
  const Hyper& hyper = state_->forward.model().hyper();
  const std::size_t n = leaving.size() / hyper.dim;
  ASSAY_ASSERT(n >= 1 && n <= kPassPositions && n * hyper.dim == leaving.size());
  ASSAY_ASSERT(position + n <= state_->tokens.size());
  // Without layers a sequence is its tokens; the pages hold nothing.
  Sequence sequence(state_->pages);
  ASSAY_ASSERT(sequence.reserve(position + static_cast<std::uint32_t>(n)));
  const std::span<const Token> tokens(state_->tokens);
  sequence.append(tokens.first(position));
  Slice slice{.sequence = &sequence,
              .tokens = tokens.subspan(position, n),
              .sample_from = position,
              .sampling = &state_->sampling,
              .sink = sink,
              .logprobs = state_->logprobs,
              .entering = leaving.data()};
  state_->forward.run({&slice, 1});
  HeadRows out{std::move(slice.sampled), std::move(slice.head_logprobs), std::nullopt};
  if (slice.fault) out.fault = slice.fault->position;
  return out;
}

}  // namespace assay::engine
