// Steps of the log-probabilities of a token and its alternatives.
#include <bit>
#include <cmath>

#include "canon/elementary.hpp"
#include "verify/referee/step_reader.hpp"

namespace assay::verify {
namespace {

// Alternatives go from the likeliest down, ties by id.
bool ranks_above(float a, std::uint32_t a_id, float b, std::uint32_t b_id) {
  return a > b || (a == b && a_id < b_id);
}

StepResult log_probability(StepReader& in, std::uint32_t id) {
  const Op& op = in.op();
  if (id >= in.program().vocab) return fault();
  TRY(const float logit, in.value(op.a, id));
  TRY(const float largest, in.value(op.c, 0));
  TRY(const float log_sum, in.value(op.d, 0));
  const float out = (logit - largest) - log_sum;
  if (out == -INFINITY) return word(std::bit_cast<std::uint32_t>(out));
  return number(out);
}

// The id the provider names, if it ranks below the one it names before.
StepResult alternative(StepReader& in) {
  const auto e = static_cast<std::uint32_t>(in.element());
  TRY(const std::uint32_t id, in.bits(in.self(), e));
  if (id >= in.program().vocab) return fault();
  if (e == 1) return word(id);
  TRY(const std::uint32_t above, in.bits(in.self(), e - 2));
  if (above >= in.program().vocab) return fault();
  TRY(const float logit, in.value(in.op().a, id));
  TRY(const float logit_above, in.value(in.op().a, above));
  return ranks_above(logit_above, above, logit, id) ? word(id) : fault();
}

}  // namespace

StepResult step_log_sum(StepReader& in) {
  TRY(const float sum, in.value(in.op().a, 0));
  if (!(sum >= 0x1p-24f && sum <= 0x1p24f)) return fault();
  return number(canon::log(sum));
}

StepResult step_logprob(StepReader& in) {
  if (in.element() % 2 == 1) return alternative(in);
  TRY(const std::uint32_t id,
      in.element() == 0 ? in.bits(in.op().b, 0) : in.bits(in.self(), in.element() - 1));
  return log_probability(in, id);
}

StepResult step_rank_count(StepReader& in) {
  const Op& op = in.op();
  const std::uint32_t alternatives = in.request().logprobs - 1;
  TRY(const std::uint32_t last, in.bits(op.b, 2 * std::uint64_t{alternatives} - 1));
  if (last >= in.program().vocab) return fault();
  TRY(const float lowest, in.value(op.a, last));
  TRY(const Floats logits, in.chunk(op.a, in.element()));
  const auto first = static_cast<std::uint32_t>(in.element() * kChunkValues);
  std::uint32_t count = 0;
  for (std::uint32_t i = 0; i < logits.view().size(); ++i)
    if (logits[i] > lowest || (logits[i] == lowest && first + i <= last)) ++count;
  return word(count);
}

StepResult step_logprob_leaf(StepReader& in) {
  const std::uint32_t answer_token = in.position() + 1 - in.subject().prompt();
  TRY(const std::uint32_t bits, in.logprob_number(answer_token, in.element()));
  return word(bits);
}

}  // namespace assay::verify
