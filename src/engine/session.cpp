#include "engine/session.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "engine/forward.hpp"

namespace assay::engine {

struct Session::State {
  Forward forward;
};

Session::Session(std::shared_ptr<const Model> model, ThreadPool& pool, Isa isa,
                 std::uint32_t capacity) {
  const Kernels* kernels = find_kernels(isa);
  ASSAY_ASSERT(kernels != nullptr);
  ASSAY_ASSERT(capacity <= model->hyper().context);
  state_.reset(new State{Forward(std::move(model), pool, *kernels, capacity)});
}

Session::~Session() = default;

Session::Outcome Session::run(std::span<const Token> tokens, std::uint32_t sample_from,
                              const Sampling& sampling, StateSink* sink) {
  Forward& forward = state_->forward;
  ASSAY_ASSERT(!tokens.empty() && tokens.size() <= forward.capacity() - forward.position());
  Outcome outcome;
  while (!tokens.empty() && !outcome.fault) {
    const auto tile = tokens.first(std::min<std::size_t>(tokens.size(), Forward::kTile));
    outcome.fault = forward.run(tile, sample_from, sampling, sink, outcome.sampled);
    tokens = tokens.subspan(tile.size());
  }
  if (outcome.fault && sink) sink->fault(*outcome.fault);
  return outcome;
}

std::uint32_t Session::position() const { return state_->forward.position(); }
std::uint32_t Session::remaining() const {
  return state_->forward.capacity() - state_->forward.position();
}
std::span<const float> Session::logits() const { return state_->forward.logits(); }

Generation generate(Session& session, std::span<const Token> prompt, const GenerationLimits& limits,
                    const Sampling& sampling, StateSink* sink,
                    const std::function<bool(Token)>& keep_going) {
  Generation result;
  std::vector<Token> next(prompt.begin(), prompt.end());
  const auto last = session.position() + static_cast<std::uint32_t>(prompt.size()) - 1;
  std::uint32_t sample_from = limits.max_tokens == 0 ? last + 1 : last;
  for (;;) {
    auto outcome = session.run(next, sample_from, sampling, sink);
    if (outcome.fault) {
      result.fault = outcome.fault;
      result.finish = Finish::fault;
      return result;
    }
    if (outcome.sampled.empty()) return result;
    const Token token = outcome.sampled.back();
    result.answer.push_back(token);
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
