// Steps of the choice of a token: penalties from the tape, filters as thresholds, noise, arg-max.
#include <bit>
#include <cmath>

#include "canon/fp16.hpp"
#include "canon/gumbel.hpp"
#include "verify/referee/step_reader.hpp"

namespace assay::verify {
namespace {

std::uint32_t chunks(std::uint32_t values) { return (values + kChunkValues - 1) / kChunkValues; }

float float_of(std::uint32_t bits) { return std::bit_cast<float>(bits); }

const std::uint32_t kOut = std::bit_cast<std::uint32_t>(-INFINITY);

}  // namespace

StepResult step_tape_count(StepReader& in) {
  const std::uint32_t n = in.subject().prompt(), positions = in.position() + 1;
  const std::uint32_t prompt_chunks = chunks(std::min(n, positions));
  const bool answer = in.step() >= prompt_chunks;
  const std::uint32_t chunk = answer ? in.step() - prompt_chunks : in.step();
  TRY(const ByteView ids, in.tokens(answer, chunk));
  std::uint32_t count = in.bits_before();
  for (std::uint32_t i = 0; i < ids.size() / 4; ++i) {
    const std::uint32_t position = (answer ? n : 0) + chunk * kChunkValues + i;
    if (position >= in.op().first && position < positions &&
        load_le<std::uint32_t>(&ids[4 * i]) == in.element())
      ++count;
  }
  return word(count);
}

StepResult step_adjust(StepReader& in) {
  const protocol::Request& r = in.request();
  TRY(float l, in.value(in.op().a, in.element()));
  const auto bias = std::ranges::find(r.logit_bias, in.element(), &protocol::LogitBias::token);
  if (bias != r.logit_bias.end()) l = l + float_of(bias->bias_bits);
  if (StepReader::given(in.op().b)) {
    TRY(const std::uint32_t seen, in.bits(in.op().b, in.element()));
    const float penalty = float_of(r.repetition_penalty_bits);
    if (seen > 0) l = l > 0.0f ? l / penalty : l * penalty;
  }
  if (StepReader::given(in.op().c)) {
    TRY(const std::uint32_t count, in.bits(in.op().c, in.element()));
    if (count > 0) {
      l = l - static_cast<float>(count) * float_of(r.frequency_penalty_bits);
      l = l - float_of(r.presence_penalty_bits);
    }
  }
  return number(l);
}

StepResult step_temperature(StepReader& in) {
  TRY(const float l, in.value(in.op().a, in.element()));
  return number(l / float_of(in.request().temperature_bits));
}

StepResult step_count(StepReader& in) {
  const Op& op = in.op();
  TRY(const Floats values, in.chunk(op.a, in.element()));
  TRY(const float threshold, in.value(op.b, 0));
  std::uint32_t count = 0;
  float sum = 0.0f;
  for (const float v : values.view())
    if (op.kind == OpKind::count_at ? v >= threshold : v > threshold) {
      ++count;
      sum = sum + v;
    }
  return op.type == ValueType::u32 ? word(count) : number(sum);
}

StepResult step_running_total(StepReader& in) {
  TRY(const std::uint32_t v, in.bits(in.op().a, in.step()));
  if (in.op().type == ValueType::u32) return word(in.bits_before() + v);
  return number(in.before() + float_of(v));
}

StepResult step_threshold_ok(StepReader& in) {
  const Op& op = in.op();
  TRY(const std::uint32_t at, in.bits(op.a, 0));
  TRY(const std::uint32_t above, in.bits(op.b, 0));
  if (!StepReader::given(op.c)) {
    const std::uint32_t k = in.request().top_k;
    return word(at >= k && above < k ? 1 : 0);
  }
  TRY(const float all, in.value(op.c, 0));
  const float target = float_of(in.request().top_p_bits) * all;
  return word(float_of(at) >= target && float_of(above) < target ? 1 : 0);
}

StepResult step_shifted_exp(StepReader& in) {
  TRY(const float z, in.value(in.op().a, in.element()));
  TRY(const float largest, in.value(in.op().b, 0));
  if (StepReader::given(in.op().c)) {
    TRY(const float lowest, in.value(in.op().c, 0));
    if (z < lowest) return number(0.0f);
  }
  return exp_of(z - largest);
}

StepResult step_noisy(StepReader& in) {
  const Op& op = in.op();
  TRY(const float z, in.value(op.a, in.element()));
  if (StepReader::given(op.b)) {
    TRY(const float lowest, in.value(op.b, 0));
    if (z < lowest) return word(kOut);
  }
  if (StepReader::given(op.c)) {
    TRY(const float p, in.value(op.c, in.element()));
    if (p < float_of(in.request().min_p_bits)) return word(kOut);
    if (StepReader::given(op.d)) {
      TRY(const float nucleus, in.value(op.d, 0));
      if (p < nucleus) return word(kOut);
    }
  }
  return number(z + canon::gumbel(in.request().seed, in.position(),
                                  static_cast<std::uint32_t>(in.element())));
}

StepResult step_best_id(StepReader& in) {
  TRY(const Floats values, in.chunk(in.op().a, in.element()));
  std::uint32_t best = 0;
  for (std::uint32_t i = 1; i < values.view().size(); ++i)
    if (values[i] > values[best]) best = i;
  return word(static_cast<std::uint32_t>(in.element()) * kChunkValues + best);
}

StepResult step_best_token(StepReader& in) {
  const Op& op = in.op();
  TRY(const std::uint32_t id, in.bits(op.a, in.step()));
  if (in.step() == 0) return word(id);
  const std::uint32_t best = in.bits_before();
  if (best >= in.program().vocab) return fault();
  TRY(const float value, in.value(op.b, in.step()));
  TRY(const float largest, in.value(op.b, best / kChunkValues));
  return word(value > largest ? id : best);
}

StepResult step_next_token(StepReader& in) {
  TRY(const std::uint32_t token, in.token(in.position() + 1));
  return word(token);
}

}  // namespace assay::verify
