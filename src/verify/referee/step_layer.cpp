// Steps of what lies around attention: norms, activations, products, rotation, residuals.
#include <bit>
#include <cmath>

#include "canon/fp16.hpp"
#include "canon/layer.hpp"
#include "canon/pieces.hpp"
#include "verify/referee/step_reader.hpp"

namespace assay::verify {

StepResult step_norm_sum(StepReader& in) {
  const Op& op = in.op();
  const std::uint32_t begin = in.step() * kChunkValues,
                      count = std::min(kChunkValues, op.width - begin);
  TRY(const Floats x, in.range(op.a, in.element() * op.width + begin, count));
  return number(in.before() + canon::segment_squares(x.view()));
}

StepResult step_norm_inverse(StepReader& in) {
  TRY(const float sum, in.value(in.op().a, in.element()));
  return number(canon::norm_inverse(sum, in.op().width, in.program().rms_epsilon));
}

StepResult step_norm_value(StepReader& in) {
  const Op& op = in.op();
  TRY(const float x, in.value(op.a, in.element()));
  TRY(const float inverse, in.value(op.b, in.element() / op.width));
  TRY(const float w, in.weight(*op.tensor, in.element() % op.width));
  return number((x * inverse) * w);
}

StepResult step_block_scale(StepReader& in) {
  const std::uint32_t block = in.op().width;
  TRY(const Floats x, in.range(in.op().a, in.element() * block, block));
  return number(canon::from_fp16(canon::block_scale(x.view())));
}

StepResult step_block_quant(StepReader& in) {
  TRY(const float x, in.value(in.op().a, in.element()));
  TRY(const float d, in.value(in.op().b, in.element() / in.op().width));
  if (d != 0.0f && std::isnan(x / d)) return fault();
  return word(static_cast<std::uint8_t>(canon::block_quant(x, d)));
}

StepResult step_product(StepReader& in) {
  const Op& op = in.op();
  const TensorShape& tensor = *op.tensor;
  const std::uint32_t segment = in.step();
  const auto cols = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(kChunkValues, tensor.cols - std::uint64_t{segment} * kChunkValues));
  TRY(const ByteView weights, in.weights(tensor, in.element(), segment));
  const Bytes w(weights.begin(), weights.end());  // the view ends with the next question
  const auto add = [&](const canon::ActivationRow& a) {
    return number(in.before() + canon::segment_product(tensor.format, w.data(), cols, a));
  };
  const canon::Activation kind = canon::info(tensor.format).activation;
  if (kind == canon::Activation::plain) {
    TRY(const Floats x, in.range(op.a, segment * kChunkValues, cols));
    return add({.x = x.view()});
  }
  TRY(const ByteView quants, in.bytes(op.a, segment));
  std::array<std::int8_t, kChunkValues> q{};
  std::ranges::transform(quants, q.begin(),
                         [](std::uint8_t b) { return std::bit_cast<std::int8_t>(b); });
  const bool q8 = kind == canon::Activation::q8;
  const std::uint32_t block = q8 ? 32 : 256;
  TRY(const Floats d,
      in.range(op.b, std::uint64_t{segment} * (kChunkValues / block), cols / block));
  return q8 ? add({.q8 = std::span(q).first(cols), .q8_scale = d.view()})
            : add({.q8k = std::span(q).first(cols), .q8k_scale = d.view()});
}

StepResult step_embedding(StepReader& in) {
  const TensorShape& tensor = *in.op().tensor;
  TRY(const std::uint32_t token, in.token(in.position()));
  if (token >= tensor.rows) return fault();
  const auto chunk = static_cast<std::uint32_t>(in.element() / kChunkValues);
  TRY(const ByteView weights, in.weights(tensor, token, chunk));
  std::array<float, kChunkValues> x;
  canon::dequantize_row(tensor.format, weights.data(),
                        std::span(x).first(chunk_values(in.op(), chunk, in.position())));
  return number(x[in.element() % kChunkValues]);
}

StepResult step_add_bias(StepReader& in) {
  TRY(const float x, in.value(in.op().a, in.element()));
  TRY(const float bias, in.weight(*in.op().tensor, in.element()));
  return number(x + bias);
}

StepResult step_add_residual(StepReader& in) {
  TRY(const float x, in.value(in.op().a, in.element()));
  TRY(const float y, in.value(in.op().b, in.element()));
  return number(x + y);
}

StepResult step_swiglu(StepReader& in) {
  TRY(const float gate, in.value(in.op().a, in.element()));
  TRY(const float up, in.value(in.op().b, in.element()));
  return number(canon::silu(gate) * up);
}

StepResult step_rope(StepReader& in) {
  const Program& p = in.program();
  if (in.position() >= p.context) return fault();
  const auto within = static_cast<std::uint32_t>(in.element() % p.head_dim);
  const std::uint32_t half = p.head_dim / 2;
  const std::uint32_t pair = p.rope_halves ? within % half : within / 2;
  const bool first = p.rope_halves ? within < half : within % 2 == 0;
  const std::uint64_t head = in.element() - within;
  TRY(const float a, in.value(in.op().a, head + (p.rope_halves ? pair : 2 * pair)));
  TRY(const float b, in.value(in.op().a, head + (p.rope_halves ? pair + half : 2 * pair + 1)));
  TRY(const auto rotation, in.rotation(pair));
  const auto [c, s] = rotation;
  return number(first ? canon::rotate_first(a, b, c, s) : canon::rotate_second(a, b, c, s));
}

StepResult step_to_half(StepReader& in) {
  TRY(const float x, in.value(in.op().a, in.element()));
  const std::uint16_t half = canon::to_fp16(x);
  return canon::fp16_finite(half) ? word(half) : fault();
}

}  // namespace assay::verify
