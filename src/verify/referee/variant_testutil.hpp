// The steps once more, with one rule wrong on request: a second implementation, and the mutants
// that spec/vectors/referee must tell from it (mutations_test.cpp).
#pragma once
#include "verify/referee/step.hpp"

namespace assay::verify::test {

enum class Wrong : std::uint8_t {
  nothing,
  // Norms, activations, products.
  squares_unfused,      // x · x + acc rounds twice
  no_restart,           // a segment goes on from the total
  epsilon_outside,      // 1 / (sqrt(ss / n) + ε)
  root_of_quotient,     // sqrt(1 / (ss / n + ε))
  mean_of_segment,      // n is the segment's
  weight_first,         // x · (inv · w)
  halves_away,          // quants: ties away from zero
  clamp_to_128,         // quants: −128 admitted
  no_clamp,             // quants wrap around
  reciprocal_scale,     // x · (1 / d)
  scale_kept_as_float,  // d is not rounded to fp16
  scale_of_128,         // d = a / 128
  other_blocks_scale,   // the scale of the next block
  product_unfused,      // w · x + acc rounds twice
  scales_in_turn,       // (Σ · d_w) · d_x
  minimum_first,        // msum before isum
  truncated_sum,        // f32(isum) toward zero
  minimum_added,        // + dmin · m
  product_drops_total,  // running value ignored
  bad_weights_pass,     // non-finite scales are not noticed
  // Rotation, halves, residuals.
  rotation_unfused,
  rotation_reversed,  // sin negated
  neighbours_always,
  half_truncated,
  half_flushed,    // subnormal halves become 0
  half_saturated,  // 65504 instead of a fault
  silu_naive,      // g / (1 + exp(−g)) below 0
  gate_is_up,
  // Attention.
  scale_each_segment,
  scale_missing,
  score_unfused,
  last_of_equal_maxima,  // shows in the sign of 0
  zero_above_minus_zero,
  exp_cut_missing,
  exp_flushed_early,  // cut at −60
  weights_unfused,
  fold_descending,  // the fold starts anew
  divided_before_sum,
  chain_without_segments,
  chain_drops_total,
  running_max_not_less,
  // Sampling.
  position_off_by_one,
  prompt_counts,  // presence and frequency over the whole tape
  repetition_divides,
  repetition_multiplies,
  presence_per_occurrence,
  frequency_fused,
  penalties_before_bias,
  temperature_reciprocal,
  threshold_strict,
  above_not_strict,
  ok_strict_k,
  ok_loose_k,
  ok_strict_p,
  ok_loose_p,
  top_k_out_at_threshold,
  top_p_out_at_threshold,
  min_p_out_at_threshold,
  filtered_keep_weight,  // p of what top-k dropped
  noise_of_next_position,
  noise_of_swapped_key,
  best_is_last,
  token_is_last,
  token_within_chunk,  // ids counted from the chunk's start
  this_token,          // nx: token t
  total_restarts,
  // Log-probabilities.
  one_subtraction,  // logit − (max + log)
  rank_strict,
  rank_ties_free,
  rank_unchecked,
  // Constraints.
  state_restarts,     // every token from state 0
  state_unchecked,    // a row of what is no state
  stray_token_stays,  // a token outside the vocabulary leads nowhere else
  byte_before,        // the byte before the step's
  next_state_swapped,
  beyond_piece_dead,  // steps after the last byte
  long_text_passes,
  end_with_bytes,
  end_anywhere,  // also where the state does not accept
  accepting_is_one,
  answer_of_prompt,  // tokens from the prompt's first on
  forbidden_infinite,
  ended_forbidden,
  // Faults.
  infinities_pass,
  minus_infinity_faults,
  end
};

// As execute_step, for places that exist.
Result<StepValue> variant_step(Wrong wrong, const Subject& subject, const OpList& list,
                               const StepPlace& place, std::span<const std::uint32_t> running,
                               StepInputs& inputs);

}  // namespace assay::verify::test
