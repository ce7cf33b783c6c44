// Steps of attention, and the maxima, sums and exponentials that sampling shares with it.
#include <bit>
#include <cmath>

#include "canon/attention.hpp"
#include "canon/fp16.hpp"
#include "verify/referee/step_reader.hpp"

namespace assay::verify {
namespace {

std::uint32_t kv_head(const Program& p, std::uint64_t head) {
  return static_cast<std::uint32_t>(head / (p.heads / p.kv_heads));
}

// One term of a chain over segments. A step inside 256 of them is their accumulator, the last of
// them adds it to the total before.
float chain_step(const StepReader& in, float a, float b) {
  const std::uint32_t s = in.step(), begin = s - s % kChunkValues;
  const float acc = std::fma(a, b, s == begin ? 0.0f : in.running(s - 1));
  const bool last = s % kChunkValues == kChunkValues - 1 || s + 1 == in.op().steps;
  if (!last) return acc;
  return (begin == 0 ? 0.0f : in.running(begin - 1)) + acc;
}

}  // namespace

StepResult step_score(StepReader& in) {
  const Program& p = in.program();
  const Op& op = in.op();
  const std::uint64_t chunk = in.element() / kChunkValues;
  const std::uint64_t head = chunk / in.segments();
  const auto position = static_cast<std::uint32_t>(chunk % in.segments() * kChunkValues +
                                                   in.element() % kChunkValues);
  const std::uint32_t begin = in.step() * kChunkValues,
                      count = std::min(kChunkValues, p.head_dim - begin);
  TRY(const Floats q, in.range(op.a, head * p.head_dim + begin, count));
  TRY(const Floats k,
      in.cache(StepInputs::Row::k, op.b, position, kv_head(p, head) * p.head_dim + begin, count));
  float acc = 0.0f;
  for (std::size_t i = 0; i < count; ++i) acc = std::fma(q[i], k[i], acc);
  const float dot = in.before() + acc;
  const bool last = in.step() + 1 == op.steps;
  return number(last ? dot * canon::attention_scale(p.head_dim) : dot);
}

StepResult step_segment_max(StepReader& in) {
  TRY(const Floats values, in.chunk(in.op().a, in.element()));
  float largest = values[0];
  for (const float v : values.view())
    if (v > largest) largest = v;
  // A chunk of y has none left.
  if (largest == -INFINITY) return word(std::bit_cast<std::uint32_t>(largest));
  return number(largest);
}

StepResult step_segment_exp(StepReader& in) {
  TRY(const float score, in.value(in.op().a, in.element()));
  TRY(const float largest, in.value(in.op().b, in.element() / kChunkValues));
  return exp_of(score - largest);
}

StepResult step_segment_sum(StepReader& in) {
  TRY(const Floats values, in.chunk(in.op().a, in.element()));
  float acc = 0.0f;
  for (const float v : values.view()) acc = acc + v;
  return number(acc);
}

StepResult step_weighted_value(StepReader& in) {
  const Program& p = in.program();
  const std::uint64_t chunk = in.element() / p.head_dim;  // of sp
  const auto segment = static_cast<std::uint32_t>(chunk % in.segments());
  const auto dimension = static_cast<std::uint32_t>(in.element() % p.head_dim);
  TRY(const float weight, in.value(in.op().a, chunk * kChunkValues + in.step()));
  TRY(const Floats v, in.cache(StepInputs::Row::v, in.op().b, segment * kChunkValues + in.step(),
                               kv_head(p, chunk / in.segments()) * p.head_dim + dimension, 1));
  return number(std::fma(weight, v[0], in.before()));
}

StepResult step_running_max(StepReader& in) {
  TRY(const float v, in.value(in.op().a, in.element() * in.op().steps + in.step()));
  return number(in.step() == 0 || v > in.before() ? v : in.before());
}

StepResult step_segment_weight(StepReader& in) {
  TRY(const float local, in.value(in.op().a, in.element()));
  TRY(const float largest, in.value(in.op().b, in.element() / in.segments()));
  return exp_of(local - largest);
}

StepResult step_attention_sum(StepReader& in) {
  const std::uint64_t at = in.element() * in.segments() + in.step();
  TRY(const float w, in.value(in.op().a, at));
  TRY(const float sum, in.value(in.op().b, at));
  return number(chain_step(in, w, sum));
}

StepResult step_attention_out(StepReader& in) {
  const std::uint64_t width = in.program().head_dim, head = in.element() / width;
  const std::uint64_t at = head * in.segments() + in.step();
  TRY(const float w, in.value(in.op().a, at));
  TRY(const float value, in.value(in.op().b, at * width + in.element() % width));
  const float out = chain_step(in, w, value);
  if (in.step() + 1 < in.op().steps) return number(out);
  TRY(const float total, in.value(in.op().c, head));
  return number(out / total);
}

}  // namespace assay::verify
