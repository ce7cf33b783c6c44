#include "verify/referee/reference_testutil.hpp"

#include <numeric>

#include "canon/attention.hpp"
#include "canon/layer.hpp"
#include "canon/logprob.hpp"
#include "canon/q8.hpp"
#include "canon/q8k.hpp"
#include "canon/rope.hpp"

namespace assay::verify::test {
namespace {

using Vector = std::vector<float>;

class Part {
 public:
  Part(const World& world, std::uint32_t layer) : world_(world), layer_(layer) {}
  PartValues take() { return std::move(out_); }

  template <class T>
  void keep(const std::string& name, const std::vector<T>& values) {
    out_.ops[name] = bytes_of(values);
  }
  void check(bool ok) { out_.faulted |= !ok; }

  Vector norm(const std::string& name, const Vector& x, TensorRole role) {
    Vector y(x.size());
    check(canon::rms_norm(x, world_.vector(role, layer_), world_.program().rms_epsilon, y));
    keep(name + ".y", y);
    return y;
  }

  struct Activations {
    Vector x, q8_scale, q8k_scale;
    std::vector<std::int8_t> q8, q8k;
  };
  Activations quant(const std::string& name, const Vector& x, std::vector<TensorRole> weights) {
    Activations a{.x = x, .q8_scale = {}, .q8k_scale = {}, .q8 = {}, .q8k = {}};
    for (const TensorRole role : weights) {
      const canon::Activation kind =
          canon::info(tensor_shape(world_.program(), role, layer_).format).activation;
      if (kind == canon::Activation::q8 && a.q8.empty()) {
        a.q8.resize(x.size());
        a.q8_scale.resize(x.size() / 32);
        check(canon::quantize_q8(x, a.q8, a.q8_scale));
        keep(name + ".d8", a.q8_scale);
        keep(name + ".q8", a.q8);
      }
      if (kind == canon::Activation::q8k && a.q8k.empty()) {
        a.q8k.resize(x.size());
        a.q8k_scale.resize(x.size() / 256);
        check(canon::quantize_q8k(x, a.q8k, a.q8k_scale));
        keep(name + ".dk", a.q8k_scale);
        keep(name + ".qk", a.q8k);
      }
    }
    return a;
  }
  Vector product(const std::string& name, const Activations& a, TensorRole role) {
    const TensorShape t = tensor_shape(world_.program(), role, layer_);
    Vector y(t.rows);
    for (std::uint64_t row = 0; row < t.rows; ++row)
      y[row] = canon::row_product(
          t.format, world_.row(t, row).data(), t.cols,
          {.x = a.x, .q8 = a.q8, .q8_scale = a.q8_scale, .q8k = a.q8k, .q8k_scale = a.q8k_scale});
    check(canon::all_finite(y));
    keep(name, y);
    return y;
  }
  // Biases or head norms, then rotation where it is wanted.
  Vector shaped(const std::string& name, Vector y, std::uint32_t position, TensorRole bias,
                std::optional<TensorRole> head_norm) {
    const Program& p = world_.program();
    if (p.qkv_bias) {
      check(canon::add_residual(y, world_.vector(bias, layer_)));
      keep(name + "b", y);
    }
    if (!head_norm) return y;
    if (p.qk_norm) {
      check(canon::rms_norm_heads(y, world_.vector(*head_norm, layer_), p.rms_epsilon));
      keep(name + "n.y", y);
    }
    const std::span<const float> row =
        std::span(world_.rope).subspan(std::size_t{position} * p.head_dim, p.head_dim);
    for (std::size_t at = 0; at < y.size(); at += p.head_dim) {
      const auto head = std::span(y).subspan(at, p.head_dim);
      p.rope_halves ? canon::rope_rotate_halves(head, row) : canon::rope_rotate(head, row);
    }
    keep(name + "r", y);
    return y;
  }
  void half(const std::string& name, const Vector& x) {
    std::vector<std::uint16_t> y(x.size());
    check(canon::to_fp16(x, y));
    keep(name, y);
  }

 private:
  const World& world_;
  std::uint32_t layer_;
  PartValues out_;
};

}  // namespace

std::vector<float> reference_embedding(const World& world, std::uint32_t position) {
  const TensorShape t = tensor_shape(world.program(), TensorRole::token_embd, 0);
  std::vector<std::uint32_t> tokens = world.prompt;
  tokens.insert(tokens.end(), world.answer.begin(), world.answer.end());
  Vector x(t.cols);
  canon::dequantize_row(t.format, world.row(t, tokens[position]).data(), x);
  return x;
}

PartValues reference_layer(const World& world, std::uint32_t position, std::uint32_t layer,
                           std::vector<float> x, std::vector<std::uint16_t> keys,
                           std::vector<std::uint16_t> values) {
  const Program& p = world.program();
  Part part(world, layer);
  const Vector h = part.norm("a", x, TensorRole::attn_norm);
  Vector q = part.product("q", part.quant("a", h, {TensorRole::attn_q}), TensorRole::attn_q);
  q = part.shaped("q", q, position, TensorRole::q_bias, TensorRole::q_norm);
  part.check(canon::all_finite(q));
  Vector o(p.q_dim());
  for (std::uint32_t head = 0; head < p.heads; ++head) {
    const std::size_t at = head / (p.heads / p.kv_heads) * p.head_dim;
    part.check(canon::attend(std::span(q).subspan(head * p.head_dim, p.head_dim),
                             {&keys[at], p.kv_dim(), &values[at], p.kv_dim()}, position + 1,
                             std::span(o).subspan(head * p.head_dim, p.head_dim)));
  }
  part.check(canon::all_finite(o));
  part.keep("o", o);
  const Vector pr =
      part.product("pr", part.quant("o", o, {TensorRole::attn_output}), TensorRole::attn_output);
  part.check(canon::add_residual(x, pr));
  part.keep("x1", x);
  const Vector f = part.norm("f", x, TensorRole::ffn_norm);
  const auto fa = part.quant("f", f, {TensorRole::ffn_gate, TensorRole::ffn_up});
  const Vector g = part.product("g", fa, TensorRole::ffn_gate),
               u = part.product("u", fa, TensorRole::ffn_up);
  Vector mm(g.size());
  part.check(canon::swiglu(g, u, mm));
  part.keep("mm", mm);
  const Vector dn =
      part.product("dn", part.quant("mm", mm, {TensorRole::ffn_down}), TensorRole::ffn_down);
  part.check(canon::add_residual(x, dn));
  part.keep("x", x);
  return part.take();
}

PartValues reference_cache_row(const World& world, std::uint32_t position, std::uint32_t layer,
                               const std::vector<float>& x) {
  Part part(world, layer);
  const auto a = part.quant("b", part.norm("b", x, TensorRole::attn_norm),
                            {TensorRole::attn_k, TensorRole::attn_v});
  const Vector k = part.shaped("k", part.product("k", a, TensorRole::attn_k), position,
                               TensorRole::k_bias, TensorRole::k_norm);
  part.half("kh", k);
  const Vector v = part.shaped("v", part.product("v", a, TensorRole::attn_v), position,
                               TensorRole::v_bias, std::nullopt);
  part.half("vh", v);
  return part.take();
}

PartValues reference_head(const World& world, const std::vector<float>& x) {
  Part part(world, 0);
  const Vector h = part.norm("n", x, TensorRole::output_norm);
  part.product("lg", part.quant("n", h, {TensorRole::output}), TensorRole::output);
  return part.take();
}

canon::Draw draw_of(const World& world, std::uint32_t position,
                    std::vector<canon::LogitBias>& biases, std::vector<std::uint32_t>& tape) {
  const protocol::Request& r = world.subject.request;
  const auto f = [](std::uint32_t bits) { return std::bit_cast<float>(bits); };
  for (const protocol::LogitBias& b : r.logit_bias) biases.push_back({b.token, f(b.bias_bits)});
  tape = world.prompt;
  tape.insert(tape.end(), world.answer.begin(), world.answer.end());
  tape.resize(position + 1);
  return {.logit_bias = biases,
          .repetition_penalty = f(r.repetition_penalty_bits),
          .presence_penalty = f(r.presence_penalty_bits),
          .frequency_penalty = f(r.frequency_penalty_bits),
          .temperature = f(r.temperature_bits),
          .top_k = r.top_k,
          .top_p = f(r.top_p_bits),
          .min_p = f(r.min_p_bits),
          .seed = r.seed,
          .position = position,
          .tape = tape,
          .answer_from = r.prompt_count - r.continuation};
}

PartValues reference_choice(const World& world, std::uint32_t position, std::vector<float> logits) {
  std::vector<canon::LogitBias> biases;
  std::vector<std::uint32_t> tape;
  const canon::Draw draw = draw_of(world, position, biases, tape);
  PartValues out;
  const auto token = canon::sample(logits, draw);
  if (!token) {
    out.faulted = true;
    return out;
  }
  Vector adjusted = logits;
  canon::adjust_logits(adjusted, draw);
  out.ops["ad"] = bytes_of(adjusted);
  for (float& l : adjusted) l = l / draw.temperature;
  if (draw.temperature != 0.0f) out.ops["z"] = bytes_of(adjusted);
  out.ops["tok"] = bytes_of(std::vector{*token});

  const std::uint32_t wanted = world.subject.request.logprobs;
  if (wanted == 0) return out;
  const auto normalizer = canon::log_normalizer(logits);
  const auto bits = [&](std::uint32_t id) {
    return std::bit_cast<std::uint32_t>(canon::logprob(logits[id], normalizer));
  };
  std::vector<std::uint32_t> ids(logits.size()), lp{bits(*token)};
  std::iota(ids.begin(), ids.end(), 0u);
  std::ranges::sort(ids, [&](auto a, auto b) {
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
  });
  for (std::uint32_t i = 0; i + 1 < wanted; ++i) {
    lp.push_back(ids[i]);
    lp.push_back(bits(ids[i]));
  }
  out.ops["lp"] = bytes_of(lp);
  return out;
}

}  // namespace assay::verify::test
