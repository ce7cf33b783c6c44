#include "verify/referee/step.hpp"

#include "base/assert.hpp"
#include "canon/fp_environment.hpp"
#include "verify/referee/step_reader.hpp"

namespace assay::verify {
namespace {

StepResult dispatch(StepReader& in) {
  switch (in.op().kind) {
    case OpKind::norm_sum:
      return step_norm_sum(in);
    case OpKind::norm_inverse:
      return step_norm_inverse(in);
    case OpKind::norm_value:
      return step_norm_value(in);
    case OpKind::q8_scale:
    case OpKind::q8k_scale:
      return step_block_scale(in);
    case OpKind::q8_quant:
    case OpKind::q8k_quant:
      return step_block_quant(in);
    case OpKind::product:
      return step_product(in);
    case OpKind::add_bias:
      return step_add_bias(in);
    case OpKind::rope:
      return step_rope(in);
    case OpKind::to_half:
      return step_to_half(in);
    case OpKind::score:
      return step_score(in);
    case OpKind::segment_max:
      return step_segment_max(in);
    case OpKind::segment_exp:
      return step_segment_exp(in);
    case OpKind::segment_sum:
      return step_segment_sum(in);
    case OpKind::weighted_value:
      return step_weighted_value(in);
    case OpKind::running_max:
      return step_running_max(in);
    case OpKind::segment_weight:
      return step_segment_weight(in);
    case OpKind::attention_sum:
      return step_attention_sum(in);
    case OpKind::attention_out:
      return step_attention_out(in);
    case OpKind::add_residual:
      return step_add_residual(in);
    case OpKind::swiglu:
      return step_swiglu(in);
    case OpKind::embedding:
      return step_embedding(in);
    case OpKind::tape_count:
      return step_tape_count(in);
    case OpKind::adjust:
      return step_adjust(in);
    case OpKind::temperature:
      return step_temperature(in);
    case OpKind::threshold:
      return fail(Errc::invalid, "a threshold has no step: the ops after it judge it");
    case OpKind::count_at:
    case OpKind::count_above:
      return step_count(in);
    case OpKind::running_total:
      return step_running_total(in);
    case OpKind::threshold_ok:
      return step_threshold_ok(in);
    case OpKind::shifted_exp:
      return step_shifted_exp(in);
    case OpKind::noisy:
      return step_noisy(in);
    case OpKind::best_id:
      return step_best_id(in);
    case OpKind::best_token:
      return step_best_token(in);
    case OpKind::next_token:
      return step_next_token(in);
    case OpKind::log_sum:
      return step_log_sum(in);
    case OpKind::logprob:
      return step_logprob(in);
    case OpKind::rank_count:
      return step_rank_count(in);
    case OpKind::logprob_leaf:
      return step_logprob_leaf(in);
    case OpKind::answer_state:
      return step_answer_state(in);
    case OpKind::piece_state:
      return step_piece_state(in);
    case OpKind::constrain:
      return step_constrain(in);
  }
  ASSAY_ASSERT(false && "not a kind of op");
}

}  // namespace

Result<StepValue> execute_step(const Subject& subject, const OpList& list, const StepPlace& place,
                               std::span<const std::uint32_t> running, StepInputs& inputs) {
  if (place.op >= list.ops.size())
    return fail(Errc::invalid, "op {}: this leaf has {}", place.op, list.ops.size());
  const Op& op = list.ops[place.op];
  const std::uint64_t chunk = place.element / kChunkValues;
  if (chunk >= op.chunks ||
      place.element % kChunkValues >= chunk_values(op, chunk, place.leaf.position))
    return fail(Errc::invalid, "op {} has no element {}", op.name, place.element);
  if (place.step >= steps_of(op, place.element, place.leaf.position) || running.size() < place.step)
    return fail(Errc::invalid,
                "element {} of op {}: step {} with {} values before it does not exist",
                place.element, op.name, place.step, running.size());
  // A judge is whatever thread a ledger or a party has: its mode decides nothing.
  const canon::FpEnvironment environment;
  StepReader in(subject, list, place, running, inputs);
  return dispatch(in);
}

}  // namespace assay::verify
