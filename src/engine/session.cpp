#include "engine/session.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "engine/forward.hpp"

namespace assay::engine {

struct Session::State {
  State(std::shared_ptr<const Model> model, ThreadPool& threads, const Kernels& kernels,
        std::uint32_t positions)
      : forward(std::move(model), threads, kernels),
        pages(forward.layout(), (positions + kPagePositions - 1) / kPagePositions),
        sequence(pages),
        capacity(positions) {}

  Forward forward;
  PagePool pages;
  Sequence sequence;
  std::uint32_t capacity;
};

Session::Session(std::shared_ptr<const Model> model, ThreadPool& pool, Isa isa,
                 std::uint32_t capacity) {
  const Kernels* kernels = find_kernels(isa);
  ASSAY_ASSERT(kernels != nullptr);
  ASSAY_ASSERT(capacity <= model->hyper().context);
  state_ = std::make_unique<State>(std::move(model), pool, *kernels, capacity);
}

Session::~Session() = default;

Session::Outcome Session::run(std::span<const Token> tokens, std::uint32_t sample_from,
                              const Sampling& sampling, StateSink* sink, std::uint32_t logprobs) {
  ASSAY_ASSERT(!tokens.empty() && tokens.size() <= remaining());
  Outcome outcome;
  while (!tokens.empty() && !outcome.fault) {
    Slice slice{.sequence = &state_->sequence,
                .tokens = tokens.first(std::min<std::size_t>(tokens.size(), Forward::kTile)),
                .sample_from = sample_from,
                .sampling = &sampling,
                .sink = sink,
                .logprobs = logprobs};
    // The pages of the whole capacity are this session's own.
    ASSAY_ASSERT(
        state_->sequence.reserve(position() + static_cast<std::uint32_t>(slice.tokens.size())));
    tokens = tokens.subspan(slice.tokens.size());
    state_->forward.run({&slice, 1});
    outcome.sampled.insert(outcome.sampled.end(), slice.sampled.begin(), slice.sampled.end());
    std::ranges::move(slice.head_logprobs, std::back_inserter(outcome.logprobs));
    outcome.fault = slice.fault;
  }
  if (outcome.fault && sink) sink->fault(*outcome.fault);
  return outcome;
}

void Session::restore(std::span<const Token> tokens, std::span<const std::uint16_t> k,
                      std::span<const std::uint16_t> v) {
  const Hyper& hyper = state_->forward.model().hyper();
  const std::size_t width = hyper.kv_dim(), rows = tokens.size() * hyper.layers;
  ASSAY_ASSERT(tokens.size() <= remaining() && k.size() == rows * width && v.size() == k.size());
  Sequence& sequence = state_->sequence;
  ASSAY_ASSERT(sequence.reserve(position() + static_cast<std::uint32_t>(tokens.size())));
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t at = position() + row / hyper.layers;
    store_rows(state_->forward.layout(), *sequence.pages()[at / kPagePositions],
               at % kPagePositions, static_cast<std::uint32_t>(row % hyper.layers),
               k.subspan(row * width, width), v.subspan(row * width, width));
  }
  sequence.append(tokens);
}

std::uint32_t Session::position() const { return state_->sequence.position(); }
std::uint32_t Session::remaining() const { return state_->capacity - position(); }

Generation generate(Session& session, std::span<const Token> prompt, const GenerationLimits& limits,
                    const Sampling& sampling, StateSink* sink,
                    const std::function<bool(Token)>& keep_going) {
  Generation result;
  std::vector<Token> next(prompt.begin(), prompt.end());
  const auto last = session.position() + static_cast<std::uint32_t>(prompt.size()) - 1;
  std::uint32_t sample_from = limits.max_tokens == 0 ? last + 1 : last;
  for (;;) {
    auto outcome = session.run(next, sample_from, sampling, sink, limits.logprobs);
    if (outcome.fault) {
      result.fault = outcome.fault;
      result.finish = Finish::fault;
      return result;
    }
    if (outcome.sampled.empty()) return result;
    const Token token = outcome.sampled.back();
    result.answer.push_back(token);
    if (!outcome.logprobs.empty()) result.logprobs.push_back(std::move(outcome.logprobs.back()));
    const bool go_on = !keep_going || keep_going(token);
    if (std::ranges::find(limits.stop_ids, token) != limits.stop_ids.end()) {
      result.finish = Finish::stop;
      return result;
    }
    if (!go_on) {
      result.finish = Finish::cancelled;
      return result;
    }
    if (result.answer.size() >= limits.max_tokens || session.remaining() == 0) return result;
    next.assign(1, token);
    ++sample_from;
  }
}

}  // namespace assay::engine
