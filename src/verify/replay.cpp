#include "verify/replay.hpp"

#include <bit>

#include "base/assert.hpp"

namespace assay::verify {
namespace {

// Between two progress calls; the engine's own tile.
constexpr std::size_t kStep = 128;

Status check_tokens(std::span<const std::uint32_t> tokens, std::uint32_t vocab,
                    std::string_view what) {
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] >= vocab)
      return fail(Errc::invalid, "{} token {} is {}, the model's vocabulary has {}", what, i,
                  tokens[i], vocab);
  return {};
}

}  // namespace

engine::Sampling sampling_of(const protocol::Request& request) {
  engine::Sampling out;
  for (const protocol::LogitBias& bias : request.logit_bias)
    out.logit_bias.push_back({bias.token, std::bit_cast<float>(bias.bias_bits)});
  out.repetition_penalty = std::bit_cast<float>(request.repetition_penalty_bits);
  out.presence_penalty = std::bit_cast<float>(request.presence_penalty_bits);
  out.frequency_penalty = std::bit_cast<float>(request.frequency_penalty_bits);
  out.temperature = std::bit_cast<float>(request.temperature_bits);
  out.top_k = request.top_k;
  out.top_p = std::bit_cast<float>(request.top_p_bits);
  out.min_p = std::bit_cast<float>(request.min_p_bits);
  out.seed = request.seed;
  out.answer_from = request.prompt_count - request.continuation;
  return out;
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

Result<Replay> replay(const Execution& execution, std::shared_ptr<const engine::Model> model,
                      ThreadPool& pool, engine::Isa isa, const ReplayProgress& progress) {
  ASSAY_ASSERT(execution.continuation < execution.prompt.size());
  ASSAY_ASSERT(!execution.answer.empty() || execution.ends_in_fault);
  const engine::Hyper& hyper = model->hyper();
  CHECK_OK(check_tokens(execution.prompt, hyper.vocab, "prompt"));
  CHECK_OK(check_tokens(execution.answer, hyper.vocab, "answer"));
  CHECK_OK(check_vocabulary(execution.sampling, execution.logprobs, hyper.vocab));
  const std::size_t count = execution.positions();
  if (count > hyper.context)
    return fail(Errc::invalid, "{} positions are needed, the model's context is {}", count,
                hyper.context);

  std::vector<engine::Token> tokens(execution.prompt.begin(), execution.prompt.end());
  tokens.insert(tokens.end(), execution.answer.begin(), execution.answer.end());
  tokens.resize(count);
  const auto first = static_cast<std::uint32_t>(execution.first_sampled());

  Replay out{TraceBuilder(execution.salt_secret, hyper.layers), {}, {}, {}};
  engine::Session session(std::move(model), pool, isa, static_cast<std::uint32_t>(count));
  for (std::size_t begin = 0; begin < count && !out.fault; begin += kStep) {
    if (progress && !progress(static_cast<double>(begin) / static_cast<double>(count)))
      return fail(Errc::cancelled, "cancelled");
    const auto step =
        std::span<const engine::Token>(tokens).subspan(begin, std::min(kStep, count - begin));
    auto outcome = session.run(step, first, execution.sampling, &out.trace, execution.logprobs);
    for (std::size_t i = 0; i < outcome.logprobs.size(); ++i) {
      const std::size_t at = out.sampled.size() + i;  // counted from first_sampled()
      if (at >= execution.continuation && at - execution.continuation < execution.answer.size())
        append_logprobs(outcome.logprobs[i], out.logprobs);
    }
    out.sampled.insert(out.sampled.end(), outcome.sampled.begin(), outcome.sampled.end());
    out.fault = outcome.fault;
  }
  if (progress) progress(1.0);
  return out;
}

}  // namespace assay::verify
