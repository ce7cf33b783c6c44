#include "services/provider/provider_run.hpp"

#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"
#include "verify/replay.hpp"

namespace assay::services {
namespace {

using protocol::Finish;

// Of the prompt, between two signs of life.
constexpr std::size_t kPromptStep = 128;

class Run {
 public:
  Run(const protocol::InferenceCall& call, const Hash& id,
      std::shared_ptr<const engine::Model> model, ThreadPool& pool, const RunOptions& options,
      const RunEvents& events)
      : call_(call),
        request_(call.request.message),
        id_(id),
        options_(options),
        events_(events),
        sampling_(verify::sampling_of(request_)),
        trace_(call.salt_secret, model->hyper().layers),
        session_(model, pool, options.isa, request_.prompt_count + request_.max_tokens - 1) {}

  Result<RunResult> run() {
    TRY(auto next, prompt());
    while (next && !ended(*next)) next = step(*next);
    RunResult out{answer_, {}};
    TRY(const auto amount, amount_so_far());
    out.receipt.request = id_;
    out.receipt.count = static_cast<std::uint32_t>(answer_.size());
    out.receipt.finish = static_cast<std::uint32_t>(finish_);
    out.receipt.tape_root = protocol::tape_root(call_.salt_secret, answer_);
    out.receipt.trace_root = trace_.root();
    out.receipt.amount = amount;
    return out;
  }

 private:
  Result<protocol::Micros> amount_so_far() const {
    return protocol::amount_of(call_.lease.message, request_,
                               static_cast<std::uint32_t>(answer_.size()));
  }

  // The first answer token; none after a fault.
  Result<std::optional<std::uint32_t>> prompt() {
    const std::span<const engine::Token> tokens = call_.prompt;
    const std::uint32_t first = request_.prompt_count - request_.continuation - 1;
    std::vector<engine::Token> sampled;
    for (std::size_t begin = 0; begin < tokens.size(); begin += kPromptStep) {
      if (begin > 0) events_.working();
      const auto piece = tokens.subspan(begin, std::min(kPromptStep, tokens.size() - begin));
      auto outcome = session_.run(piece, first, sampling_, &trace_);
      sampled.insert(sampled.end(), outcome.sampled.begin(), outcome.sampled.end());
      for (std::size_t i = 0; i < sampled.size() && first + 1 + i < tokens.size(); ++i)
        if (sampled[i] != tokens[first + 1 + i])
          return fail(Errc::mismatch,
                      "the continuation is not this model's: at position {} it chooses token {}, "
                      "the prompt has {}",
                      first + i, sampled[i], tokens[first + 1 + i]);
      if (outcome.fault) {
        finish_ = Finish::fault;
        return std::nullopt;
      }
    }
    return sampled.back();
  }

  // Takes a token into the answer; true when it was the last.
  bool ended(std::uint32_t token) {
    answer_.push_back(token);
    const bool stay = events_.token(token);
    if (std::ranges::binary_search(call_.stop_ids, token))
      finish_ = Finish::stop;
    else if (answer_.size() == request_.max_tokens)
      finish_ = Finish::length;
    else if (!stay)
      finish_ = Finish::cancelled;
    else {
      if (answer_.size() % options_.progress_tokens == 0) tell_progress();
      return false;
    }
    return true;
  }

  void tell_progress() {
    protocol::Progress progress;
    progress.request = id_;
    progress.count = static_cast<std::uint32_t>(answer_.size());
    progress.tape_root = protocol::tape_root(call_.salt_secret, answer_);
    progress.trace_root = trace_.root();
    const auto amount = amount_so_far();
    if (!amount) return;  // cannot be: the cap covers max_tokens
    progress.amount = *amount;
    events_.progress(progress);
  }

  std::optional<std::uint32_t> step(std::uint32_t token) {
    const auto outcome =
        session_.run(std::span(&token, 1), session_.position(), sampling_, &trace_);
    if (outcome.fault) {
      finish_ = Finish::fault;
      return std::nullopt;
    }
    return outcome.sampled.back();
  }

  const protocol::InferenceCall& call_;
  const protocol::Request& request_;
  const Hash& id_;
  const RunOptions& options_;
  const RunEvents& events_;
  const engine::Sampling sampling_;
  verify::TraceBuilder trace_;
  engine::Session session_;
  std::vector<std::uint32_t> answer_;
  Finish finish_ = Finish::length;
};

}  // namespace

Result<RunResult> run_request(const protocol::InferenceCall& call, const Hash& request_id,
                              std::shared_ptr<const engine::Model> model, ThreadPool& pool,
                              const RunOptions& options, const RunEvents& events) {
  return Run(call, request_id, std::move(model), pool, options, events).run();
}

Status fits(const protocol::InferenceCall& call, const engine::Hyper& hyper) {
  for (const std::uint32_t token : call.prompt)
    if (token >= hyper.vocab)
      return fail(Errc::invalid, "prompt token {} is outside the model's vocabulary of {}", token,
                  hyper.vocab);
  const std::uint64_t positions =
      std::uint64_t{call.request.message.prompt_count} + call.request.message.max_tokens - 1;
  if (positions > hyper.context)
    return fail(Errc::invalid,
                "{} prompt tokens and {} answer tokens do not fit the context of {}: shorten the "
                "prompt or lower max_tokens",
                call.request.message.prompt_count, call.request.message.max_tokens, hyper.context);
  return {};
}

}  // namespace assay::services
