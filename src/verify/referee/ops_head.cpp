// Part Z: the head, the choice of a token, and its log-probabilities.
#include <bit>

#include "canon/automaton.hpp"
#include "verify/referee/ops_build.hpp"

namespace assay::verify {
// Bias and penalties, where the request has any.
void OpsBuilder::adjusted(Source& logits) {
  const protocol::Request& r = subject_.request;
  const bool repetition = std::bit_cast<float>(r.repetition_penalty_bits) != 1.0f;
  const bool counted = std::bit_cast<float>(r.presence_penalty_bits) != 0.0f ||
                       std::bit_cast<float>(r.frequency_penalty_bits) != 0.0f;
  const std::uint32_t n = subject_.prompt(), on_prompt = std::min(n, positions());
  const std::uint32_t steps = op_chunks(on_prompt) + op_chunks(positions() - on_prompt);
  const auto count = [&](const char* name, std::uint32_t first) {
    return add({.kind = OpKind::tape_count,
                .name = name,
                .type = ValueType::u32,
                .values = p_.vocab,
                .steps = steps,
                .first = first});
  };
  if (!repetition && !counted && r.logit_bias.empty()) return;
  Op op{.kind = OpKind::adjust, .name = "ad", .values = p_.vocab, .a = logits};
  if (repetition) op.b = count("ct", 0);
  if (counted) op.c = count("ca", n - r.continuation);
  logits = add(op);
}

// Where the answer so far leads in the automaton, where each token leads from there, and the scores
// of those that lead somewhere.
Source OpsBuilder::constrained(Source scores) {
  const std::uint32_t answered = positions() - (subject_.prompt() - subject_.request.continuation);
  Op gw{.kind = OpKind::piece_state,
        .name = "gw",
        .type = ValueType::u32,
        .values = p_.vocab,
        .steps = canon::kPieceMax};
  if (answered > 0)
    gw.a = add({.kind = OpKind::answer_state,
                .name = "gt",
                .type = ValueType::u32,
                .values = answered,
                .steps = canon::kPieceMax,
                .first = subject_.prompt() - subject_.request.continuation});
  const Source states = add(gw);
  return add(
      {.kind = OpKind::constrain, .name = "gl", .values = p_.vocab, .a = scores, .b = states});
}

// How many of z are at or above the threshold, and how many above it. Returns the threshold.
Source OpsBuilder::top_k(Source z) {
  const std::uint32_t n = op_chunks(p_.vocab);
  const Source k = scalar(OpKind::threshold, "tk", ValueType::f32, 1);
  const auto count = [&](OpKind kind, const char* name) {
    return add({.kind = kind, .name = name, .type = ValueType::u32, .values = n, .a = z, .b = k});
  };
  const Source kg = count(OpKind::count_at, "kg"), kl = count(OpKind::count_above, "kl");
  const Source kgt = scalar(OpKind::running_total, "kgt", ValueType::u32, n, kg);
  const Source klt = scalar(OpKind::running_total, "klt", ValueType::u32, n, kl);
  scalar(OpKind::threshold_ok, "kok", ValueType::u32, 1, kgt, klt);
  return k;
}

Source OpsBuilder::nucleus(Source p) {
  const std::uint32_t n = op_chunks(p_.vocab);
  const Source ps = add({.kind = OpKind::segment_sum, .name = "ps", .values = n, .a = p});
  const Source pt = scalar(OpKind::running_total, "pt", ValueType::f32, n, ps);
  const Source tau = scalar(OpKind::threshold, "tp", ValueType::f32, 1);
  const Source pg = add({.kind = OpKind::count_at, .name = "pg", .values = n, .a = p, .b = tau});
  const Source pl = add({.kind = OpKind::count_above, .name = "pl", .values = n, .a = p, .b = tau});
  const Source pgt = scalar(OpKind::running_total, "pgt", ValueType::f32, n, pg);
  const Source plt = scalar(OpKind::running_total, "plt", ValueType::f32, n, pl);
  scalar(OpKind::threshold_ok, "pok", ValueType::u32, 1, pgt, plt, pt);
  return tau;
}

Source OpsBuilder::drawn(Source z) {
  const protocol::Request& r = subject_.request;
  const bool top_p = std::bit_cast<float>(r.top_p_bits) < 1.0f;
  const bool weighs = top_p || std::bit_cast<float>(r.min_p_bits) > 0.0f;
  Op y{.kind = OpKind::noisy, .name = "y", .values = p_.vocab, .a = z};
  if (r.top_k > 0 && r.top_k < p_.vocab) y.b = top_k(z);
  if (weighs) {
    const std::uint32_t n = op_chunks(p_.vocab);
    const Source zc = add({.kind = OpKind::segment_max, .name = "zc", .values = n, .a = z});
    const Source zm = scalar(OpKind::running_max, "zm", ValueType::f32, n, zc);
    y.c = add(
        {.kind = OpKind::shifted_exp, .name = "p", .values = p_.vocab, .a = z, .b = zm, .c = y.b});
    if (top_p) y.d = nucleus(y.c);
  }
  return add(y);
}

void OpsBuilder::choice(Source scores) {
  const std::uint32_t n = op_chunks(p_.vocab);
  const Source bv = add({.kind = OpKind::segment_max, .name = "bv", .values = n, .a = scores});
  const Source bi = add(
      {.kind = OpKind::best_id, .name = "bi", .type = ValueType::u32, .values = n, .a = scores});
  token_ = scalar(OpKind::best_token, "tok", ValueType::u32, n, bi, bv);
  tie(token_, Op::Tie::token);
  scalar(OpKind::next_token, "nx", ValueType::u32, 1);
}

void OpsBuilder::logprobs(Source logits) {
  const std::uint32_t n = op_chunks(p_.vocab), others = subject_.request.logprobs - 1;
  const Source xc = add({.kind = OpKind::segment_max, .name = "xc", .values = n, .a = logits});
  const Source xm = scalar(OpKind::running_max, "xm", ValueType::f32, n, xc);
  const Source e =
      add({.kind = OpKind::shifted_exp, .name = "e", .values = p_.vocab, .a = logits, .b = xm});
  const Source es = add({.kind = OpKind::segment_sum, .name = "es", .values = n, .a = e});
  const Source et = scalar(OpKind::running_total, "et", ValueType::f32, n, es);
  const Source ln = scalar(OpKind::log_sum, "ln", ValueType::f32, 1, et);
  const std::uint64_t numbers = 1 + 2 * std::uint64_t{others};
  const Source lp = add({.kind = OpKind::logprob,
                         .name = "lp",
                         .type = ValueType::u32,
                         .values = numbers,
                         .a = logits,
                         .b = token_,
                         .c = xm,
                         .d = ln});
  if (others > 0) {
    const Source lc = add({.kind = OpKind::rank_count,
                           .name = "lc",
                           .type = ValueType::u32,
                           .values = n,
                           .a = logits,
                           .b = lp});
    scalar(OpKind::running_total, "lct", ValueType::u32, n, lc);
  }
  add({.kind = OpKind::logprob_leaf, .name = "lo", .type = ValueType::u32, .values = numbers});
}

void OpsBuilder::head(Source x) {
  const TensorShape output = tensor_shape(p_, TensorRole::output, 0);
  const Source h = norm({"n.ss", "n.inv", "n.y"}, x, 1, p_.dim, TensorRole::output_norm, 0);
  const Source lg =
      product("lg", quant({"n.d8", "n.q8", "n.dk", "n.qk"}, h, p_.dim, {output}), output);
  tie(lg, Op::Tie::logits);
  Source scores = lg;
  adjusted(scores);
  const auto temperature = std::bit_cast<float>(subject_.request.temperature_bits);
  if (temperature != 0.0f)
    scores = add({.kind = OpKind::temperature, .name = "z", .values = p_.vocab, .a = scores});
  if (place_.fault) return;  // nothing after it can be NaN or infinite
  if (subject_.request.constraint != Hash{}) scores = constrained(scores);
  if (temperature != 0.0f) scores = drawn(scores);
  choice(scores);
  if (subject_.request.logprobs != 0 && place_.position + 1 >= subject_.prompt()) logprobs(lg);
}

}  // namespace assay::verify
