#include "verify/replay.hpp"

#include <bit>

#include "base/assert.hpp"
#include "engine/kv_cache.hpp"
#include "verify/replay_log.hpp"

namespace assay::verify {
namespace {

// Between two progress calls; the engine's own tile.
constexpr std::size_t kReplayStep = 128;

Status check_tokens(std::span<const std::uint32_t> tokens, std::uint32_t vocab,
                    std::string_view what) {
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] >= vocab)
      return fail(Errc::invalid, "{} token {} is {}, the model's vocabulary has {}", what, i,
                  tokens[i], vocab);
  return {};
}

}  // namespace

// As a session lays its cache out.
Status check_kv_memory(std::size_t positions, const engine::Hyper& hyper, engine::Isa isa,
                       std::size_t kv_bytes_max) {
  const engine::Kernels* kernels = engine::find_kernels(isa);
  ASSAY_ASSERT(kernels != nullptr);
  const std::size_t page = engine::PageLayout::of(hyper, *kernels).page_bytes();
  const std::size_t pages = (positions + engine::kPagePositions - 1) / engine::kPagePositions;
  if (pages > kv_bytes_max / page)
    return fail(Errc::refused,
                "re-executing {} positions takes {} bytes of KV cache, {} are allowed: allow more "
                "with --kv-memory",
                positions, pages * page, kv_bytes_max);
  return {};
}

void append_logprobs(const engine::HeadLogprobs& head, std::vector<std::uint32_t>& out) {
  out.push_back(std::bit_cast<std::uint32_t>(head.token));
  for (const engine::TokenLogprob& other : head.top) {
    out.push_back(other.token);
    out.push_back(std::bit_cast<std::uint32_t>(other.logprob));
  }
}

Status check_vocabulary(const engine::Sampling& sampling, std::uint32_t logprobs,
                        std::uint32_t vocab) {
  for (const engine::LogitBias& bias : sampling.logit_bias)
    if (bias.token >= vocab)
      return fail(Errc::invalid, "logit_bias names token {}, the model's vocabulary has {}",
                  bias.token, vocab);
  if (logprobs > vocab + 1)
    return fail(Errc::invalid, "{} alternatives are asked for, the model's vocabulary has {}",
                logprobs - 1, vocab);
  return {};
}

Status check_fits(const Execution& execution, const engine::Hyper& hyper) {
  ASSAY_ASSERT(execution.continuation < execution.prompt.size());
  ASSAY_ASSERT(!execution.answer.empty() || execution.ends_in_fault);
  CHECK_OK(check_tokens(execution.prompt, hyper.vocab, "prompt"));
  CHECK_OK(check_tokens(execution.answer, hyper.vocab, "answer"));
  CHECK_OK(check_vocabulary(execution.sampling, execution.logprobs, hyper.vocab));
  if (execution.positions() > hyper.context)
    return fail(Errc::invalid, "{} positions are needed, the model's context is {}",
                execution.positions(), hyper.context);
  return {};
}

std::vector<engine::Token> evaluated_tokens(const Execution& execution) {
  std::vector<engine::Token> tokens(execution.prompt.begin(), execution.prompt.end());
  tokens.insert(tokens.end(), execution.answer.begin(), execution.answer.end());
  tokens.resize(execution.positions());
  return tokens;
}

namespace {

Status check_room(const Execution& execution, const engine::Hyper& hyper, engine::Isa isa,
                  std::size_t kv_bytes_max) {
  CHECK_OK(check_fits(execution, hyper));
  return check_kv_memory(execution.positions(), hyper, isa, kv_bytes_max);
}

// The next tokens of an execution; what they gave is added to `out` and returned.
Rerun run_step(engine::Session& session, const Execution& execution,
               std::span<const engine::Token> tokens, engine::StateSink& sink, Rerun& out) {
  auto outcome = session.run(tokens, static_cast<std::uint32_t>(execution.first_sampled()),
                             execution.sampling, &sink, execution.logprobs);
  Rerun step{std::move(outcome.sampled), {}, outcome.fault};
  for (std::size_t i = 0; i < outcome.logprobs.size(); ++i) {
    const std::size_t at = out.sampled.size() + i;  // counted from first_sampled()
    if (at >= execution.continuation && at - execution.continuation < execution.answer.size())
      append_logprobs(outcome.logprobs[i], step.logprobs);
  }
  out.sampled.insert(out.sampled.end(), step.sampled.begin(), step.sampled.end());
  out.logprobs.insert(out.logprobs.end(), step.logprobs.begin(), step.logprobs.end());
  out.fault = step.fault;
  return step;
}

// take(tokens of the next step): evaluates them.
Status each_step(const engine::Session& session, std::span<const engine::Token> tokens,
                 const ReplayProgress& progress, const Rerun& out,
                 const std::function<Status(std::span<const engine::Token>)>& take) {
  const std::size_t count = tokens.size();
  for (std::size_t begin = session.position(); begin < count && !out.fault; begin += kReplayStep) {
    if (progress && !progress(static_cast<double>(begin) / static_cast<double>(count)))
      return fail(Errc::cancelled, "cancelled");
    CHECK_OK(take(tokens.subspan(begin, std::min(kReplayStep, count - begin))));
  }
  if (progress) progress(1.0);
  return {};
}

}  // namespace

Result<Replay> replay(const Execution& execution, std::shared_ptr<const engine::Model> model,
                      ThreadPool& pool, engine::Isa isa, const ReplayProgress& progress,
                      std::size_t kv_bytes_max, AuditJournal* journal) {
  const engine::Hyper& hyper = model->hyper();
  CHECK_OK(check_room(execution, hyper, isa, kv_bytes_max));
  const std::vector<engine::Token> tokens = evaluated_tokens(execution);

  Replay out{{}, TraceBuilder(execution.salt_secret, hyper.layers)};
  engine::Session session(std::move(model), pool, isa, static_cast<std::uint32_t>(tokens.size()));
  ReplayLog log(journal, execution, tokens, hyper);
  TRY(const std::vector<ReplayStep> before, log.open());
  for (const ReplayStep& step : before) {
    const std::uint32_t at = session.position();
    if (step.leaves.size() > tokens.size() - at) return log.not_ours();
    for (std::uint32_t i = 0; i < step.leaves.size(); ++i)
      out.trace.restore(at + i, step.leaves[i]);
    session.restore(std::span(tokens).subspan(at, step.leaves.size()), step.k, step.v);
    out.sampled.insert(out.sampled.end(), step.sampled.begin(), step.sampled.end());
    out.logprobs.insert(out.logprobs.end(), step.logprobs.begin(), step.logprobs.end());
  }
  CHECK_OK(
      each_step(session, tokens, progress, out, [&](std::span<const engine::Token> next) -> Status {
        if (!log.on()) {
          run_step(session, execution, next, out.trace, out);
          return {};
        }
        StepSink keeping(out.trace, hyper, session.position(), next.size());
        Rerun step = run_step(session, execution, next, keeping, out);
        if (step.fault) return {};
        return log.append(keeping.step(std::move(step.sampled), std::move(step.logprobs)));
      }));
  return out;
}

Result<Rerun> replay_into(const Execution& execution, std::shared_ptr<const engine::Model> model,
                          ThreadPool& pool, engine::Isa isa, const ReplayProgress& progress,
                          std::size_t kv_bytes_max, engine::StateSink& sink) {
  CHECK_OK(check_room(execution, model->hyper(), isa, kv_bytes_max));
  const std::vector<engine::Token> tokens = evaluated_tokens(execution);
  Rerun out;
  engine::Session session(std::move(model), pool, isa, static_cast<std::uint32_t>(tokens.size()));
  CHECK_OK(
      each_step(session, tokens, progress, out, [&](std::span<const engine::Token> next) -> Status {
        run_step(session, execution, next, sink, out);
        return {};
      }));
  return out;
}

}  // namespace assay::verify
