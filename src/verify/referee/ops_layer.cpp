// Parts E, A and B: embedding, a layer, a row of the cache.
#include "base/assert.hpp"
#include "verify/referee/ops_build.hpp"

namespace assay::verify {
Source OpsBuilder::add(Op op) {
  if (!op.by_segment) op.chunks = op_chunks(op.values);
  list_.ops.push_back(op);
  return last();
}

Source OpsBuilder::scalar(OpKind kind, const char* name, ValueType type, std::uint32_t steps,
                          Source a, Source b, Source c) {
  return add({.kind = kind,
              .name = name,
              .type = type,
              .values = 1,
              .scalar = true,
              .steps = steps,
              .a = a,
              .b = b,
              .c = c});
}

void OpsBuilder::tie(Source op, Op::Tie what) {
  if (!place_.fault) list_.ops[op.op].tie = what;
}

Source OpsBuilder::norm(const NormNames& names, Source x, std::uint32_t heads, std::uint32_t width,
                        TensorRole role, std::uint32_t layer) {
  const Source sum = add({.kind = OpKind::norm_sum,
                          .name = names.sum,
                          .values = heads,
                          .steps = op_chunks(width),
                          .a = x,
                          .width = width});
  const Source inverse = add({.kind = OpKind::norm_inverse,
                              .name = names.inverse,
                              .values = heads,
                              .a = sum,
                              .width = width});
  return add({.kind = OpKind::norm_value,
              .name = names.value,
              .values = std::uint64_t{heads} * width,
              .layer = layer,
              .tensor = tensor_shape(p_, role, layer),
              .a = x,
              .b = inverse,
              .width = width});
}

Activations OpsBuilder::quant(const QuantNames& names, Source x, std::uint64_t values,
                              std::initializer_list<TensorShape> weights) {
  bool q8 = false, q8k = false;
  for (const TensorShape& w : weights) {
    q8 |= canon::info(w.format).activation == canon::Activation::q8;
    q8k |= canon::info(w.format).activation == canon::Activation::q8k;
  }
  const auto pair = [&](bool k, const char* scale_name, const char* quant_name, std::uint32_t block,
                        Source& scale, Source& quants) {
    scale = add({.kind = k ? OpKind::q8k_scale : OpKind::q8_scale,
                 .name = scale_name,
                 .values = values / block,
                 .a = x,
                 .width = block});
    quants = add({.kind = k ? OpKind::q8k_quant : OpKind::q8_quant,
                  .name = quant_name,
                  .type = ValueType::i8,
                  .values = values,
                  .a = x,
                  .b = scale,
                  .width = block});
  };
  Activations out{.plain = x};
  if (q8) pair(false, names.q8_scale, names.q8_quant, 32, out.q8_scale, out.q8);
  if (q8k) pair(true, names.q8k_scale, names.q8k_quant, 256, out.q8k_scale, out.q8k);
  return out;
}

Source OpsBuilder::product(const char* name, const Activations& a, const TensorShape& weights) {
  Op op{.kind = OpKind::product,
        .name = name,
        .values = weights.rows,
        .steps = op_chunks(weights.cols),
        .tensor = weights};
  switch (canon::info(weights.format).activation) {
    case canon::Activation::plain:
      op.a = a.plain;
      break;
    case canon::Activation::q8:
      op.a = a.q8;
      op.b = a.q8_scale;
      break;
    case canon::Activation::q8k:
      op.a = a.q8k;
      op.b = a.q8k_scale;
      break;
  }
  return add(op);
}

Source OpsBuilder::bias(const char* name, Source x, TensorRole role, std::uint32_t layer) {
  const TensorShape shape = tensor_shape(p_, role, layer);
  return add({.kind = OpKind::add_bias,
              .name = name,
              .values = shape.cols,
              .layer = layer,
              .tensor = shape,
              .a = x});
}

void OpsBuilder::embedding() {
  add({.kind = OpKind::embedding,
       .name = "x",
       .values = p_.dim,
       .tensor = tensor_shape(p_, TensorRole::token_embd, 0)});
}

Source OpsBuilder::attention(std::uint32_t l, Source q) {
  const std::uint64_t heads = p_.heads, pairs = heads * segments();
  const auto by_segment = [&](OpKind kind, const char* name, std::uint32_t steps, Source a,
                              Source b) {
    return add({.kind = kind,
                .name = name,
                .values = heads * positions(),
                .chunks = pairs,
                .by_segment = true,
                .steps = steps,
                .layer = l,
                .a = a,
                .b = b});
  };
  const auto plain = [&](OpKind kind, const char* name, std::uint64_t values, std::uint32_t steps,
                         Source a, Source b = {}, Source c = {}) {
    return add({.kind = kind,
                .name = name,
                .values = values,
                .steps = steps,
                .layer = l,
                .a = a,
                .b = b,
                .c = c,
                .width = p_.head_dim});
  };
  const Source sc = by_segment(OpKind::score, "sc", op_chunks(p_.head_dim), q, own_k_);
  const Source sm = plain(OpKind::segment_max, "sm", pairs, 1, sc);
  const Source sp = by_segment(OpKind::segment_exp, "sp", 1, sc, sm);
  const Source sl = plain(OpKind::segment_sum, "sl", pairs, 1, sp);
  const Source so = plain(OpKind::weighted_value, "so", pairs * p_.head_dim,
                          std::min(kChunkValues, positions()), sp, own_v_);
  const Source m = plain(OpKind::running_max, "m", heads, segments(), sm);
  const Source w = plain(OpKind::segment_weight, "w", pairs, 1, sm, m);
  const Source total = plain(OpKind::attention_sum, "l", heads, segments(), w, sl);
  return plain(OpKind::attention_out, "o", p_.q_dim(), segments(), w, so, total);
}

void OpsBuilder::layer(std::uint32_t l, Source x) {
  const auto shape = [&](TensorRole role) { return tensor_shape(p_, role, l); };
  const TensorShape wq = shape(TensorRole::attn_q), wo = shape(TensorRole::attn_output),
                    gate = shape(TensorRole::ffn_gate), up = shape(TensorRole::ffn_up),
                    down = shape(TensorRole::ffn_down);
  const Source h = norm({"a.ss", "a.inv", "a.y"}, x, 1, p_.dim, TensorRole::attn_norm, l);
  Source q = product("q", quant({"a.d8", "a.q8", "a.dk", "a.qk"}, h, p_.dim, {wq}), wq);
  if (p_.qkv_bias) q = bias("qb", q, TensorRole::q_bias, l);
  if (p_.qk_norm)
    q = norm({"qn.ss", "qn.inv", "qn.y"}, q, p_.heads, p_.head_dim, TensorRole::q_norm, l);
  q = add({.kind = OpKind::rope, .name = "qr", .values = p_.q_dim(), .a = q});

  const Source o = attention(l, q);
  const Source pr = product("pr", quant({"o.d8", "o.q8", "o.dk", "o.qk"}, o, p_.q_dim(), {wo}), wo);
  const Source x1 =
      add({.kind = OpKind::add_residual, .name = "x1", .values = p_.dim, .a = x, .b = pr});

  const Source f = norm({"f.ss", "f.inv", "f.y"}, x1, 1, p_.dim, TensorRole::ffn_norm, l);
  const Activations fa = quant({"f.d8", "f.q8", "f.dk", "f.qk"}, f, p_.dim, {gate, up});
  const Source g = product("g", fa, gate);
  const Source u = product("u", fa, up);
  const Source mm = add({.kind = OpKind::swiglu, .name = "mm", .values = p_.ffn, .a = g, .b = u});
  const Source dn =
      product("dn", quant({"mm.d8", "mm.q8", "mm.dk", "mm.qk"}, mm, p_.ffn, {down}), down);
  add({.kind = OpKind::add_residual, .name = "x", .values = p_.dim, .a = x1, .b = dn});
}

void OpsBuilder::cache_row(std::uint32_t l, Source x) {
  const TensorShape wk = tensor_shape(p_, TensorRole::attn_k, l),
                    wv = tensor_shape(p_, TensorRole::attn_v, l);
  const auto half = [&](const char* name, Source a) {
    return add({.kind = OpKind::to_half,
                .name = name,
                .type = ValueType::f16,
                .values = p_.kv_dim(),
                .a = a});
  };
  const Source h = norm({"b.ss", "b.inv", "b.y"}, x, 1, p_.dim, TensorRole::attn_norm, l);
  const Activations a = quant({"b.d8", "b.q8", "b.dk", "b.qk"}, h, p_.dim, {wk, wv});
  Source k = product("k", a, wk);
  if (p_.qkv_bias) k = bias("kb", k, TensorRole::k_bias, l);
  if (p_.qk_norm)
    k = norm({"kn.ss", "kn.inv", "kn.y"}, k, p_.kv_heads, p_.head_dim, TensorRole::k_norm, l);
  k = add({.kind = OpKind::rope, .name = "kr", .values = p_.kv_dim(), .a = k});
  k = half("kh", k);
  tie(k, Op::Tie::k);
  Source v = product("v", a, wv);
  if (p_.qkv_bias) v = bias("vb", v, TensorRole::v_bias, l);
  v = half("vh", v);
  tie(v, Op::Tie::v);
  own_k_ = k;
  own_v_ = v;
}

}  // namespace assay::verify
