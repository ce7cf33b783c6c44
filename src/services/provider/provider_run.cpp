#include "services/provider/provider_run.hpp"

#include <mutex>

#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"
#include "verify/referee/ops.hpp"
#include "verify/replay.hpp"

namespace assay::services {
namespace {

using protocol::Finish;

constexpr std::chrono::milliseconds kPatience{250};  // between two signs of life
// How far the engine may be ahead of what the client takes.
constexpr std::uint32_t kAheadMax = 64;

// Remembers the root that each progress message will need: the engine is further by the time the
// message is written.
class ProgressTrace : public verify::TraceBuilder {
 public:
  // count: of answer tokens once `first` is chosen.
  ProgressTrace(const Hash& salt_secret, std::uint32_t layers, std::uint32_t prompt_count,
                std::uint32_t every)
      : TraceBuilder(salt_secret, layers), prompt_count_(prompt_count), every_(every) {}

  void head(std::uint32_t position, std::span<const float> x, std::span<const float> logits,
            engine::Token token) override {
    TraceBuilder::head(position, x, logits, token);
    if (position + 2 <= prompt_count_) return;  // of the continuation
    const std::uint32_t count = position + 2 - prompt_count_;
    if (count % every_ != 0) return;
    const Hash now = root();
    const std::lock_guard lock(mutex_);
    roots_.push_back(now);
  }

  // After so many tokens of the answer, all of which have been chosen.
  Hash root_at(std::size_t count) const {
    const std::lock_guard lock(mutex_);
    return roots_.at(count / every_ - 1);
  }

 private:
  const std::uint32_t prompt_count_, every_;
  mutable std::mutex mutex_;
  std::vector<Hash> roots_;
};

Finish finish_of(engine::Finish finish) {
  switch (finish) {
    case engine::Finish::stop:
      return Finish::stop;
    case engine::Finish::length:
      return Finish::length;
    case engine::Finish::fault:
      return Finish::fault;
    case engine::Finish::cancelled:
      return Finish::cancelled;
  }
  return Finish::fault;
}

engine::CacheScope scope_of(const protocol::Address& buyer) {
  engine::CacheScope scope{};
  std::ranges::copy(buyer.bytes, scope.begin());
  return scope;
}

class Run {
 public:
  Run(const protocol::InferenceCall& call, const Hash& id, const engine::Batcher& engine,
      std::uint32_t progress_tokens, const RunEvents& events)
      : call_(call),
        request_(call.request.message),
        id_(id),
        progress_tokens_(progress_tokens),
        events_(events),
        trace_(call.salt_secret, engine.model().hyper().layers, request_.prompt_count,
               progress_tokens),
        logprobs_root_(call.salt_secret, request_) {}

  Result<RunResult> run(engine::Batcher& engine, engine::Batcher::Place place) {
    TRY(engine::BatchRequest request, work(engine.model()));
    TRY(auto stream, engine.submit(std::move(place), std::move(request)));
    bool left = false, stopping = false;
    while (!stream.ended()) {
      const auto chosen = stream.take(kPatience);
      if (chosen.empty() && !stream.ended() && !events_.working()) left = true;
      for (const engine::BatchToken& token : chosen)
        if (!took(token)) left = true;
      // Who leaves while the prompt is read still owes the work.
      stopping = stopping || events_.stopping();
      if (stopping || (left && (!answer_.empty() || !stream.started()))) stream.cancel();
    }
    const engine::BatchAnswer& answer = stream.wait();
    if (answer.mismatch)
      return fail(Errc::mismatch,
                  "the continuation is not this model's: at position {} it chooses token {}, "
                  "the prompt has {}",
                  answer.mismatch->position, answer.mismatch->chosen,
                  call_.prompt[answer.mismatch->position + 1]);
    if (answer.finish == engine::Finish::cancelled && answer_.empty() &&
        (stopping || answer.displaced))
      return fail(Errc::unavailable,
                  "this provider is shutting down: nothing is owed, send the prompt elsewhere");
    if (answer.finish == engine::Finish::cancelled && answer_.empty())
      return fail(Errc::cancelled, "the client left while it waited");
    RunResult out{answer_, logprobs_, {}};
    TRY(const auto amount, amount_so_far());
    out.receipt.request = id_;
    out.receipt.count = static_cast<std::uint32_t>(answer_.size());
    out.receipt.finish = static_cast<std::uint32_t>(finish_of(answer.finish));
    out.receipt.tape_root = protocol::tape_root(call_.salt_secret, answer_);
    out.receipt.trace_root = trace_.root();
    out.receipt.logprobs_root = logprobs_root_.root();
    out.receipt.amount = amount;
    return out;
  }

 private:
  Result<engine::BatchRequest> work(const engine::Model& model) {
    TRY(engine::Sampling sampling, verify::sampling_of(request_, call_.automaton, model));
    return engine::BatchRequest{.prompt = call_.prompt,
                                .continuation = request_.continuation,
                                .sampling = std::move(sampling),
                                .max_tokens = request_.max_tokens,
                                .stop_ids = call_.stop_ids,
                                .logprobs = request_.logprobs,
                                .sink = &trace_,
                                .scope = scope_of(call_.lease.message.buyer),
                                .ahead_max = kAheadMax};
  }

  Result<protocol::Micros> amount_so_far() const {
    return protocol::amount_of(call_.lease.message, request_,
                               static_cast<std::uint32_t>(answer_.size()));
  }

  // false: the client left.
  bool took(const engine::BatchToken& chosen) {
    protocol::TokenEvent event{{chosen.token}, {}};
    if (chosen.logprobs) verify::append_logprobs(*chosen.logprobs, event.logprobs);
    answer_.push_back(chosen.token);
    logprobs_.insert(logprobs_.end(), event.logprobs.begin(), event.logprobs.end());
    if (!event.logprobs.empty()) logprobs_root_.append(event.logprobs);
    const bool stays = events_.token(event);
    const bool last = answer_.size() == request_.max_tokens ||
                      std::ranges::binary_search(call_.stop_ids, chosen.token);
    if (!last && answer_.size() % progress_tokens_ == 0) tell_progress();
    return stays;
  }

  void tell_progress() {
    protocol::Progress progress;
    progress.request = id_;
    progress.count = static_cast<std::uint32_t>(answer_.size());
    progress.tape_root = protocol::tape_root(call_.salt_secret, answer_);
    progress.trace_root = trace_.root_at(answer_.size());
    progress.logprobs_root = logprobs_root_.root();
    const auto amount = amount_so_far();
    if (!amount) return;  // cannot be: the cap covers max_tokens
    progress.amount = *amount;
    events_.progress(progress);
  }

  const protocol::InferenceCall& call_;
  const protocol::Request& request_;
  const Hash& id_;
  const std::uint32_t progress_tokens_;
  const RunEvents& events_;
  ProgressTrace trace_;
  protocol::LogprobsRoot logprobs_root_;
  std::vector<std::uint32_t> answer_, logprobs_;
};

}  // namespace

Result<RunResult> run_request(const protocol::InferenceCall& call, const Hash& request_id,
                              engine::Batcher& engine, engine::Batcher::Place place,
                              std::uint32_t progress_tokens, const RunEvents& events) {
  return Run(call, request_id, engine, progress_tokens, events).run(engine, std::move(place));
}

// The answer's tokens become a continuation that has to come out again, but for the last, which is
// the one to choose.
Given given_by(const StoredRequest& stored) {
  const auto fault = static_cast<std::uint32_t>(protocol::Finish::fault);
  return {stored.request.message,
          stored.salt_secret,
          stored.prompt,
          stored.outcome->answer,
          stored.outcome->receipt.message.finish == fault,
          stored.automaton};
}

Status recompute(const Given& given, engine::Batcher& engine, const Recomputed& what,
                 const std::function<bool()>& gone) {
  TRY(engine::Sampling sampling,
      verify::sampling_of(given.request, given.automaton, engine.model()));
  const verify::Execution execution{
      std::move(sampling), given.salt_secret,          given.prompt,
      given.answer,        given.request.continuation, given.ends_in_fault};
  engine::BatchRequest work{.prompt = verify::evaluated_tokens(execution),
                            .sampling = execution.sampling,
                            .sink = &what.sink,
                            .scope = given.request.lease,
                            .fresh_from = what.fresh_from};
  if (what.positions < work.prompt.size()) work.prompt.resize(what.positions);
  if (work.prompt.size() > execution.first_sampled()) {
    work.continuation =
        static_cast<std::uint32_t>(work.prompt.size() - 1 - execution.first_sampled());
    work.max_tokens = 1;
  }
  TRY(auto stream, engine.submit_behind(std::move(work)));
  while (!stream.ended()) {
    (void)stream.take(kPatience);
    if (gone()) stream.cancel();
  }
  const engine::BatchAnswer& answer = stream.wait();
  if (answer.displaced)
    return fail(Errc::unavailable, "paying requests need the memory: ask again later");
  if (answer.mismatch)
    return fail(Errc::internal, "at position {} this model does not choose what was answered",
                answer.mismatch->position);
  if (answer.finish == engine::Finish::cancelled) return fail(Errc::cancelled, "cancelled");
  return {};
}

Result<RunResult> Computer::run(const protocol::InferenceCall& call, const Hash& request_id,
                                engine::Batcher& engine, engine::Batcher::Place place,
                                std::uint32_t progress_tokens, const RunEvents& events) {
  return run_request(call, request_id, engine, std::move(place), progress_tokens, events);
}

Status Computer::again(const Given& given, engine::Batcher& engine, const Recomputed& what,
                       const std::function<bool()>& gone) {
  return recompute(given, engine, what, gone);
}

Status fits(const protocol::InferenceCall& call, const engine::Model& model) {
  const engine::Hyper& hyper = model.hyper();
  for (const std::uint32_t token : call.prompt)
    if (token >= hyper.vocab)
      return fail(Errc::invalid, "prompt token {} is outside the model's vocabulary of {}", token,
                  hyper.vocab);
  CHECK_OK(verify::check_vocabulary(verify::sampling_of(call.request.message),
                                    call.request.message.logprobs, hyper.vocab));
  const std::uint64_t positions =
      std::uint64_t{call.request.message.prompt_count} + call.request.message.max_tokens - 1;
  if (positions > std::min(hyper.context, verify::kPositionsMax))
    return fail(Errc::invalid,
                "{} prompt tokens and {} answer tokens do not fit the context of {}: shorten the "
                "prompt or lower max_tokens",
                call.request.message.prompt_count, call.request.message.max_tokens, hyper.context);
  TRY(const auto constraint, verify::constraint_of(call.request.message, call.automaton, model));
  if (constraint) return verify::check_servable(*constraint, call.stop_ids);
  return {};
}

}  // namespace assay::services
