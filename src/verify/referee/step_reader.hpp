// What the steps share: the place they are at, and inputs as numbers. Internal to execute_step.
#pragma once
#include <array>

#include "protocol/constraint.hpp"
#include "verify/referee/step.hpp"

namespace assay::verify {

using StepResult = Result<StepValue>;

// NaN and infinities are faults.
StepValue number(float value);
inline StepValue word(std::uint32_t bits) { return {.bits = bits}; }
inline StepValue fault() { return {.fault = true}; }
// e^x; what is above 0 or NaN has none: a fault.
StepValue exp_of(float x);

// At most 256 numbers.
class Floats {
 public:
  void push(float v) { values_[size_++] = v; }
  std::span<const float> view() const { return {values_.data(), size_}; }
  float operator[](std::size_t i) const { return values_[i]; }

 private:
  std::array<float, kChunkValues> values_;
  std::size_t size_ = 0;
};

// Asks the inputs in the order of the calls; a chunk of an op or leaf that is needed twice in a row
// is asked for once. Every answer is checked for its length.
class StepReader {
 public:
  StepReader(const Subject& subject, const OpList& list, const StepPlace& place,
             std::span<const std::uint32_t> running, StepInputs& inputs)
      : subject_(subject), list_(list), place_(place), running_(running), inputs_(inputs) {}

  const Op& op() const { return list_.ops[place_.op]; }
  const Subject& subject() const { return subject_; }
  const Program& program() const { return subject_.program; }
  const protocol::Request& request() const { return subject_.request; }
  std::uint64_t element() const { return place_.element; }
  std::uint32_t step() const { return place_.step; }
  std::uint32_t position() const { return place_.leaf.position; }
  std::uint32_t segments() const { return position() / kChunkValues + 1; }
  // The running value before this step; 0 before the first.
  std::uint32_t bits_before() const { return step() == 0 ? 0 : running_[step() - 1]; }
  float before() const;
  float running(std::uint32_t step) const;

  std::uint64_t values_of(const Source& op) const { return list_.ops[op.op].values; }

  static bool given(const Source& s) { return s.from != Source::From::none; }
  Source self() const { return {.from = Source::From::op, .op = place_.op}; }

  // Values by their element number: chunk n / 256, place n % 256 in it.
  Result<float> value(const Source& source, std::uint64_t element);
  Result<std::uint32_t> bits(const Source& source, std::uint64_t element);
  // count ≤ 256 in a row, from one chunk or two.
  Result<Floats> range(const Source& source, std::uint64_t begin, std::uint32_t count);
  Result<Floats> chunk(const Source& source, std::uint64_t chunk);
  Result<ByteView> bytes(const Source& source, std::uint64_t chunk);

  // Value `column` of a vector tensor.
  Result<float> weight(const TensorShape& tensor, std::uint64_t column);
  Result<ByteView> weights(const TensorShape& tensor, std::uint64_t row, std::uint32_t chunk);

  // Numbers of the row of the cache that this op's layer has at a position; own: the row of the
  // disputed position where no leaf has it.
  Result<Floats> cache(StepInputs::Row row, const Source& own, std::uint32_t position,
                       std::uint32_t begin, std::uint32_t count);
  // cos, sin; the position must be in the table.
  Result<std::array<float, 2>> rotation(std::uint32_t pair);

  Result<std::uint32_t> token(std::uint32_t index);  // of prompt ‖ answer
  Result<ByteView> tokens(bool answer, std::uint32_t chunk);
  Result<std::uint32_t> logprob_number(std::uint32_t answer_token, std::uint64_t index);

  Result<protocol::ConstraintParts> constraint();
  Result<ByteView> piece(std::uint32_t token);          // 1 … kPieceLeafMax bytes
  Result<ByteView> automaton_row(std::uint32_t state);  // protocol::kAutomatonRowBytes

 private:
  struct Asked {
    bool leaf = false;
    std::uint32_t which = 0;  // op; or row of the leaf
    std::uint32_t position = 0, index = 0;
    std::uint64_t chunk = 0;
    bool operator==(const Asked&) const = default;
  };
  Result<ByteView> leaf_bytes(StepInputs::Row row, std::uint32_t position, std::uint32_t leaf,
                              std::uint64_t chunk);
  // The answer, copied, so that it outlives the next question.
  Result<ByteView> keep(const Asked& asked, Result<ByteView> answer, std::size_t length);

  const Subject& subject_;
  const OpList& list_;
  const StepPlace& place_;
  std::span<const std::uint32_t> running_;
  StepInputs& inputs_;
  std::optional<Asked> held_{};
  std::size_t held_size_ = 0;
  std::array<std::uint8_t, kChunkValues * 4> buffer_;
};

// One function for each kind of op that has a step.
StepResult step_norm_sum(StepReader& in);
StepResult step_norm_inverse(StepReader& in);
StepResult step_norm_value(StepReader& in);
StepResult step_block_scale(StepReader& in);
StepResult step_block_quant(StepReader& in);
StepResult step_product(StepReader& in);
StepResult step_embedding(StepReader& in);
StepResult step_add_bias(StepReader& in);
StepResult step_add_residual(StepReader& in);
StepResult step_swiglu(StepReader& in);
StepResult step_rope(StepReader& in);
StepResult step_to_half(StepReader& in);

StepResult step_score(StepReader& in);
StepResult step_segment_max(StepReader& in);
StepResult step_segment_exp(StepReader& in);
StepResult step_segment_sum(StepReader& in);
StepResult step_weighted_value(StepReader& in);
StepResult step_running_max(StepReader& in);
StepResult step_segment_weight(StepReader& in);
StepResult step_attention_sum(StepReader& in);
StepResult step_attention_out(StepReader& in);

StepResult step_tape_count(StepReader& in);
StepResult step_adjust(StepReader& in);
StepResult step_temperature(StepReader& in);
StepResult step_count(StepReader& in);
StepResult step_running_total(StepReader& in);
StepResult step_threshold_ok(StepReader& in);
StepResult step_shifted_exp(StepReader& in);
StepResult step_noisy(StepReader& in);
StepResult step_best_id(StepReader& in);
StepResult step_best_token(StepReader& in);
StepResult step_next_token(StepReader& in);

StepResult step_log_sum(StepReader& in);
StepResult step_logprob(StepReader& in);
StepResult step_rank_count(StepReader& in);
StepResult step_logprob_leaf(StepReader& in);

StepResult step_answer_state(StepReader& in);
StepResult step_piece_state(StepReader& in);
StepResult step_constrain(StepReader& in);

}  // namespace assay::verify
