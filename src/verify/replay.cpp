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
  return {std::bit_cast<float>(request.temperature_bits), std::bit_cast<float>(request.top_p_bits),
          request.seed};
}

Result<Replay> replay(const Execution& execution, std::shared_ptr<const engine::Model> model,
                      ThreadPool& pool, engine::Isa isa, const ReplayProgress& progress) {
  ASSAY_ASSERT(execution.continuation < execution.prompt.size());
  ASSAY_ASSERT(!execution.answer.empty() || execution.ends_in_fault);
  const engine::Hyper& hyper = model->hyper();
  CHECK_OK(check_tokens(execution.prompt, hyper.vocab, "prompt"));
  CHECK_OK(check_tokens(execution.answer, hyper.vocab, "answer"));
  const std::size_t count = execution.positions();
  if (count > hyper.context)
    return fail(Errc::invalid, "{} positions are needed, the model's context is {}", count,
                hyper.context);

  std::vector<engine::Token> tokens(execution.prompt.begin(), execution.prompt.end());
  tokens.insert(tokens.end(), execution.answer.begin(), execution.answer.end());
  tokens.resize(count);
  const auto first = static_cast<std::uint32_t>(execution.first_sampled());

  Replay out{TraceBuilder(execution.salt_secret, hyper.layers), {}, {}};
  engine::Session session(std::move(model), pool, isa, static_cast<std::uint32_t>(count));
  for (std::size_t begin = 0; begin < count && !out.fault; begin += kStep) {
    if (progress && !progress(static_cast<double>(begin) / static_cast<double>(count)))
      return fail(Errc::cancelled, "cancelled");
    const auto step =
        std::span<const engine::Token>(tokens).subspan(begin, std::min(kStep, count - begin));
    auto outcome = session.run(step, first, execution.sampling, &out.trace);
    out.sampled.insert(out.sampled.end(), outcome.sampled.begin(), outcome.sampled.end());
    out.fault = outcome.fault;
  }
  if (progress) progress(1.0);
  return out;
}

}  // namespace assay::verify
