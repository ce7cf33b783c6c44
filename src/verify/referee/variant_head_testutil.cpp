// The variant of attention, sampling and log-probabilities.
#include "canon/gumbel.hpp"
#include "verify/referee/variant_impl_testutil.hpp"

namespace assay::verify::test {
namespace {

float number_of(std::uint32_t bits) { return std::bit_cast<float>(bits); }
constexpr std::uint32_t kOut = 0xff800000u;

float larger(const Variant& v, float r, float x) {
  if (x > r || (v.is(Wrong::last_of_equal_maxima) && x == r)) return x;
  if (v.is(Wrong::zero_above_minus_zero) && x == 0.0f && r == 0.0f && !std::signbit(x)) return x;
  return r;
}

StepResult score(const Variant& v) {
  const Program& p = v.in.program();
  const std::uint64_t chunk = v.e() / 256, head = chunk / v.in.segments();
  const auto position = static_cast<std::uint32_t>(chunk % v.in.segments() * 256 + v.e() % 256);
  const std::uint32_t begin = v.in.step() * 256, count = std::min(256u, p.head_dim - begin);
  TRY(const Floats q, v.in.range(v.op().a, head * p.head_dim + begin, count));
  const auto kv = static_cast<std::uint32_t>(head / (p.heads / p.kv_heads));
  TRY(const Floats k,
      v.in.cache(StepInputs::Row::k, v.op().b, position, kv * p.head_dim + begin, count));
  float acc = v.is(Wrong::no_restart) ? v.in.before() : 0.0f;
  for (std::size_t i = 0; i < count; ++i) acc = v.mul_add(Wrong::score_unfused, q[i], k[i], acc);
  const float scale = 1.0f / std::sqrt(static_cast<float>(p.head_dim));
  if (v.is(Wrong::scale_each_segment)) return v.num(v.in.before() + acc * scale);
  const float dot = v.is(Wrong::no_restart) ? acc : v.in.before() + acc;
  const bool last = v.in.step() + 1 == v.op().steps && !v.is(Wrong::scale_missing);
  return v.num(last ? dot * scale : dot);
}

StepResult segment_max(const Variant& v) {
  TRY(const Floats x, v.in.chunk(v.op().a, v.e()));
  float r = x[0];
  for (const float a : x.view()) r = larger(v, r, a);
  return v.num(r, true);
}

StepResult difference_exp(const Variant& v, std::uint64_t of) {
  TRY(const float x, v.in.value(v.op().a, v.e()));
  TRY(const float m, v.in.value(v.op().b, of));
  return v.exponential(x - m);
}

StepResult segment_sum(const Variant& v) {
  TRY(const Floats x, v.in.chunk(v.op().a, v.e()));
  float acc = 0.0f;
  for (std::size_t i = 0; i < x.view().size(); ++i)
    acc = acc + x[v.is(Wrong::fold_descending) ? x.view().size() - 1 - i : i];
  return v.num(acc);
}

StepResult weighted_value(const Variant& v) {
  const Program& p = v.in.program();
  const std::uint64_t chunk = v.e() / p.head_dim;
  const auto position = static_cast<std::uint32_t>(chunk % v.in.segments() * 256 + v.in.step());
  TRY(const float w, v.in.value(v.op().a, chunk * 256 + v.in.step()));
  const auto kv = static_cast<std::uint32_t>(chunk / v.in.segments() / (p.heads / p.kv_heads));
  const auto d = static_cast<std::uint32_t>(v.e() % p.head_dim);
  TRY(const Floats x, v.in.cache(StepInputs::Row::v, v.op().b, position, kv * p.head_dim + d, 1));
  return v.num(v.mul_add(Wrong::weights_unfused, w, x[0], v.in.before()));
}

StepResult running_max(const Variant& v) {
  TRY(const float x, v.in.value(v.op().a, v.e() * v.op().steps + v.in.step()));
  if (v.in.step() == 0) return v.num(x);
  if (v.is(Wrong::running_max_not_less)) return v.num(v.in.before() > x ? v.in.before() : x);
  return v.num(larger(v, v.in.before(), x));
}

StepResult over_segments(const Variant& v) {
  const bool out = v.op().kind == OpKind::attention_out;
  const std::uint64_t width = out ? v.in.program().head_dim : 1, head = v.e() / width;
  const std::uint64_t at = head * v.in.segments() + v.in.step();
  TRY(const float w, v.in.value(v.op().a, at));
  TRY(float x, v.in.value(v.op().b, at * width + v.e() % width));
  const std::uint32_t s = v.in.step();
  const bool last = s + 1 == v.op().steps, flat = v.is(Wrong::chain_without_segments);
  float total = 0.0f;
  if (last && out) {
    TRY(total, v.in.value(v.op().c, head));
    if (v.is(Wrong::divided_before_sum)) x = x / total;
  }
  const bool start = flat ? s == 0 : s % 256 == 0;
  float r = v.mul_add(Wrong::weights_unfused, w, x, start ? 0.0f : v.in.running(s - 1));
  if (!flat && (s % 256 == 255 || last)) {
    const bool before = s >= 256 && !v.is(Wrong::chain_drops_total);
    r = (before ? v.in.running(s - s % 256 - 1) : 0.0f) + r;
  }
  return v.num(last && out && !v.is(Wrong::divided_before_sum) ? r / total : r);
}

StepResult tape_count(const Variant& v) {
  const std::uint32_t n = v.in.subject().prompt();
  const std::uint32_t t = v.in.position() + (v.is(Wrong::position_off_by_one) ? 0 : 1);
  const std::uint32_t prompt_chunks = (std::min(n, v.in.position() + 1) + 255) / 256;
  const bool tape = v.in.step() >= prompt_chunks;
  const std::uint32_t chunk = tape ? v.in.step() - prompt_chunks : v.in.step();
  const std::uint32_t from = v.is(Wrong::prompt_counts) ? 0 : v.op().first;
  TRY(const ByteView ids, v.in.tokens(tape, chunk));
  std::uint32_t count = v.is(Wrong::total_restarts) ? 0 : v.in.bits_before();
  for (std::uint32_t i = 0; i < ids.size() / 4; ++i) {
    const std::uint32_t position = (tape ? n : 0) + chunk * 256 + i;
    count += position >= from && position < t && load_le<std::uint32_t>(&ids[4 * i]) == v.e();
  }
  return word(count);
}

StepResult adjust(const Variant& v) {
  const protocol::Request& r = v.in.request();
  TRY(float l, v.in.value(v.op().a, v.e()));
  float bias = 0.0f;
  for (const auto& b : r.logit_bias)
    if (b.token == v.e()) bias = number_of(b.bias_bits);
  if (!v.is(Wrong::penalties_before_bias) && bias != 0.0f) l = l + bias;
  if (StepReader::given(v.op().b)) {
    TRY(const std::uint32_t seen, v.in.bits(v.op().b, v.e()));
    const float penalty = number_of(r.repetition_penalty_bits);
    const bool divides =
        v.is(Wrong::repetition_divides) || (l > 0.0f && !v.is(Wrong::repetition_multiplies));
    if (seen > 0) l = divides ? l / penalty : l * penalty;
  }
  if (StepReader::given(v.op().c)) {
    TRY(const std::uint32_t count, v.in.bits(v.op().c, v.e()));
    if (count > 0) {
      const auto n = static_cast<float>(count);
      const float presence = number_of(r.presence_penalty_bits);
      l = v.product_sum(Wrong::frequency_fused, -n, number_of(r.frequency_penalty_bits), l);
      l = l - (v.is(Wrong::presence_per_occurrence) ? n * presence : presence);
    }
  }
  if (v.is(Wrong::penalties_before_bias) && bias != 0.0f) l = l + bias;
  return v.num(l);
}

StepResult count(const Variant& v) {
  TRY(const Floats x, v.in.chunk(v.op().a, v.e()));
  TRY(const float threshold, v.in.value(v.op().b, 0));
  const bool at = v.op().kind == OpKind::count_at ? !v.is(Wrong::threshold_strict)
                                                  : v.is(Wrong::above_not_strict);
  std::uint32_t n = 0;
  float sum = 0.0f;
  for (const float a : x.view())
    if (a > threshold || (at && a == threshold)) {
      ++n;
      sum = sum + a;
    }
  return v.op().type == ValueType::u32 ? word(n) : v.num(sum);
}

StepResult threshold_ok(const Variant& v) {
  TRY(const std::uint32_t at, v.in.bits(v.op().a, 0));
  TRY(const std::uint32_t above, v.in.bits(v.op().b, 0));
  if (!StepReader::given(v.op().c)) {
    const std::uint32_t k = v.in.request().top_k;
    return word((v.is(Wrong::ok_strict_k) ? at > k : at >= k) &&
                (v.is(Wrong::ok_loose_k) ? above <= k : above < k));
  }
  TRY(const float all, v.in.value(v.op().c, 0));
  const float target = number_of(v.in.request().top_p_bits) * all;
  const float a = number_of(at), b = number_of(above);
  return word((v.is(Wrong::ok_strict_p) ? a > target : a >= target) &&
              (v.is(Wrong::ok_loose_p) ? b <= target : b < target));
}

StepResult shifted_exp(const Variant& v) {
  TRY(const float z, v.in.value(v.op().a, v.e()));
  TRY(const float m, v.in.value(v.op().b, 0));
  if (StepReader::given(v.op().c)) {
    TRY(const float lowest, v.in.value(v.op().c, 0));
    if (z < lowest && !v.is(Wrong::filtered_keep_weight)) return word(0);
  }
  return v.exponential(z - m);
}

StepResult noisy(const Variant& v) {
  const protocol::Request& r = v.in.request();
  const auto out = [&](Wrong at_threshold, float x, float threshold) {
    return x < threshold || (v.is(at_threshold) && x == threshold);
  };
  TRY(const float z, v.in.value(v.op().a, v.e()));
  if (StepReader::given(v.op().b)) {
    TRY(const float lowest, v.in.value(v.op().b, 0));
    if (out(Wrong::top_k_out_at_threshold, z, lowest)) return word(kOut);
  }
  if (StepReader::given(v.op().c)) {
    TRY(const float p, v.in.value(v.op().c, v.e()));
    if (out(Wrong::min_p_out_at_threshold, p, number_of(r.min_p_bits))) return word(kOut);
    if (StepReader::given(v.op().d)) {
      TRY(const float nucleus, v.in.value(v.op().d, 0));
      if (out(Wrong::top_p_out_at_threshold, p, nucleus)) return word(kOut);
    }
  }
  const std::uint32_t t = v.in.position() + (v.is(Wrong::noise_of_next_position) ? 1 : 0);
  const std::uint64_t seed =
      v.is(Wrong::noise_of_swapped_key) ? r.seed << 32 | r.seed >> 32 : r.seed;
  return v.num(z + canon::gumbel(seed, t, static_cast<std::uint32_t>(v.e())), true);
}

StepResult best_id(const Variant& v) {
  TRY(const Floats x, v.in.chunk(v.op().a, v.e()));
  std::uint32_t best = 0;
  for (std::uint32_t i = 1; i < x.view().size(); ++i)
    if (x[i] > x[best] || (v.is(Wrong::best_is_last) && x[i] == x[best])) best = i;
  return word(best +
              (v.is(Wrong::token_within_chunk) ? 0 : static_cast<std::uint32_t>(v.e()) * 256));
}

StepResult best_token(const Variant& v) {
  TRY(const std::uint32_t id, v.in.bits(v.op().a, v.in.step()));
  if (v.in.step() == 0) return word(id);
  const std::uint32_t best = v.in.bits_before();
  if (best >= v.in.program().vocab) return fault();
  TRY(const float x, v.in.value(v.op().b, v.in.step()));
  TRY(const float m, v.in.value(v.op().b, best / 256));
  return word(x > m || (v.is(Wrong::token_is_last) && x == m) ? id : best);
}

StepResult log_sum(const Variant& v) {
  TRY(const float x, v.in.value(v.op().a, 0));
  if (!(x >= 0x1p-24f && x <= 0x1p24f)) return fault();
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::int32_t e = static_cast<std::int32_t>(bits - 0x3f3504f3u) >> 23;
  const float m = number_of(bits - (static_cast<std::uint32_t>(e) << 23));
  const float f = m - 1.0f, z = f * f;
  float p = 0x1.204376p-4f;
  for (const float c : {-0x1.d7a37p-4f, 0x1.de4a34p-4f, -0x1.fcba9ep-4f, 0x1.23d37ep-3f,
                        -0x1.555cap-3f, 0x1.999d58p-3f, -0x1.fffff8p-3f, 0x1.555554p-2f})
    p = std::fma(p, f, c);
  float y = (p * f) * z;
  y = std::fma(static_cast<float>(e), -0x1.bd0106p-13f, y);
  y = std::fma(-0.5f, z, y);
  y = f + y;
  return v.num(std::fma(static_cast<float>(e), 0x1.63p-1f, y));
}

StepResult logprob(const Variant& v) {
  const auto e = static_cast<std::uint32_t>(v.e());
  if (e % 2 == 1) {
    TRY(const std::uint32_t id, v.in.bits(v.in.self(), e));
    if (id >= v.in.program().vocab) return fault();
    if (e == 1) return word(id);
    TRY(const std::uint32_t above, v.in.bits(v.in.self(), e - 2));
    if (above >= v.in.program().vocab) return fault();
    TRY(const float x, v.in.value(v.op().a, id));
    TRY(const float y, v.in.value(v.op().a, above));
    const bool ties = v.is(Wrong::rank_ties_free) || above < id;
    return y > x || (y == x && ties) || v.is(Wrong::rank_unchecked) ? word(id) : fault();
  }
  std::uint32_t id;
  if (e == 0) {
    TRY(id, v.in.bits(v.op().b, 0));
  } else {
    TRY(id, v.in.bits(v.in.self(), e - 1));
  }
  if (id >= v.in.program().vocab) return fault();
  TRY(const float x, v.in.value(v.op().a, id));
  TRY(const float m, v.in.value(v.op().c, 0));
  TRY(const float l, v.in.value(v.op().d, 0));
  return v.num(v.is(Wrong::one_subtraction) ? x - (m + l) : (x - m) - l, true);
}

StepResult rank_count(const Variant& v) {
  const std::uint32_t others = v.in.request().logprobs - 1;
  TRY(const std::uint32_t last, v.in.bits(v.op().b, 2 * others - 1));
  if (last >= v.in.program().vocab) return fault();
  TRY(const float lowest, v.in.value(v.op().a, last));
  TRY(const Floats x, v.in.chunk(v.op().a, v.e()));
  std::uint32_t n = 0;
  for (std::uint32_t i = 0; i < x.view().size(); ++i) {
    const std::uint64_t id = v.e() * 256 + i;
    const bool tied =
        x[i] == lowest && !v.is(Wrong::rank_strict) && (id <= last || v.is(Wrong::rank_ties_free));
    n += x[i] > lowest || tied;
  }
  return word(n);
}

// Byte `step` of the token's piece from `before`.
StepResult led(const Variant& v, const protocol::ConstraintParts& parts, std::uint32_t before,
               std::uint32_t token) {
  constexpr std::uint32_t kNowhere = 0xffff, kDone = 0xfffe;
  if (token >= v.in.program().vocab)
    return word(v.is(Wrong::stray_token_stays) ? before : kNowhere);
  TRY(const ByteView leaf, v.in.piece(token));
  const std::size_t n = leaf.size() - 1;
  const bool end = leaf[0] == 2 && (n == 0 || v.is(Wrong::end_with_bytes));
  const bool text = leaf[0] == 1 && n > 0 && (n <= 64 || v.is(Wrong::long_text_passes));
  if (v.in.step() >= (text ? n : 1))
    return word(v.is(Wrong::beyond_piece_dead) ? kNowhere : before);
  if (!text && !end) return word(kNowhere);
  if (before >= parts.states && !v.is(Wrong::state_unchecked)) return word(kNowhere);
  if (end && v.is(Wrong::end_anywhere)) return word(kDone);
  const std::size_t byte = text ? leaf[v.in.step() + (v.is(Wrong::byte_before) ? 0 : 1)] : 0;
  TRY(const ByteView row, v.in.automaton_row(before));
  if (end) {
    const bool accepts = v.is(Wrong::accepting_is_one) ? row[512] == 1 : row[512] > 0;
    return word(accepts ? kDone : kNowhere);
  }
  const std::uint32_t low = row[2 * byte], high = row[2 * byte + 1];
  return word(v.is(Wrong::next_state_swapped) ? low << 8 | high : high << 8 | low);
}

StepResult walked(const Variant& v) {
  TRY(const protocol::ConstraintParts parts, v.in.constraint());
  const bool answer = v.op().kind == OpKind::answer_state;
  std::uint32_t before = v.in.bits_before();
  if (v.in.step() == 0 && !v.is(Wrong::state_restarts)) {
    if (answer && v.e() > 0) {
      TRY(before, v.in.bits(v.in.self(), v.e() - 1));
    } else if (!answer && StepReader::given(v.op().a)) {
      TRY(before, v.in.bits(v.op().a, v.in.values_of(v.op().a) - 1));
    }
  }
  auto token = static_cast<std::uint32_t>(v.e());
  if (answer) {
    const protocol::Request& r = v.in.request();
    const std::uint32_t first = v.is(Wrong::answer_of_prompt) ? 0 : r.prompt_count - r.continuation;
    TRY(token, v.in.token(first + token));
  }
  return led(v, parts, before, token);
}

StepResult held(const Variant& v) {
  TRY(const float score, v.in.value(v.op().a, v.e()));
  TRY(const std::uint32_t state, v.in.bits(v.op().b, v.e()));
  const bool out = state == 0xffff || (v.is(Wrong::ended_forbidden) && state == 0xfffe);
  const float least = v.is(Wrong::forbidden_infinite) ? -INFINITY : -0x1.fffffep127f;
  return v.num(out ? least : score);
}

}  // namespace

StepResult variant_of_attention(const Variant& v) {
  switch (v.op().kind) {
    case OpKind::score:
      return score(v);
    case OpKind::segment_max:
      return segment_max(v);
    case OpKind::segment_exp:
      return difference_exp(v, v.e() / 256);
    case OpKind::segment_sum:
      return segment_sum(v);
    case OpKind::weighted_value:
      return weighted_value(v);
    case OpKind::running_max:
      return running_max(v);
    case OpKind::segment_weight:
      return difference_exp(v, v.e() / v.in.segments());
    case OpKind::attention_sum:
    case OpKind::attention_out:
      return over_segments(v);
    default:
      return variant_of_head(v);
  }
}

StepResult variant_of_head(const Variant& v) {
  switch (v.op().kind) {
    case OpKind::tape_count:
      return tape_count(v);
    case OpKind::adjust:
      return adjust(v);
    case OpKind::temperature: {
      TRY(const float l, v.in.value(v.op().a, v.e()));
      const float t = number_of(v.in.request().temperature_bits);
      return v.num(v.is(Wrong::temperature_reciprocal) ? l * (1.0f / t) : l / t);
    }
    case OpKind::count_at:
    case OpKind::count_above:
      return count(v);
    case OpKind::running_total: {
      TRY(const std::uint32_t x, v.in.bits(v.op().a, v.in.step()));
      const std::uint32_t before = v.is(Wrong::total_restarts) ? 0 : v.in.bits_before();
      if (v.op().type == ValueType::u32) return word(before + x);
      return v.num(number_of(before) + number_of(x));
    }
    case OpKind::threshold_ok:
      return threshold_ok(v);
    case OpKind::shifted_exp:
      return shifted_exp(v);
    case OpKind::noisy:
      return noisy(v);
    case OpKind::best_id:
      return best_id(v);
    case OpKind::best_token:
      return best_token(v);
    case OpKind::next_token: {
      TRY(const std::uint32_t id, v.in.token(v.in.position() + (v.is(Wrong::this_token) ? 0 : 1)));
      return word(id);
    }
    case OpKind::log_sum:
      return log_sum(v);
    case OpKind::logprob:
      return logprob(v);
    case OpKind::rank_count:
      return rank_count(v);
    case OpKind::answer_state:
    case OpKind::piece_state:
      return walked(v);
    case OpKind::constrain:
      return held(v);
    default: {
      TRY(const std::uint32_t bits,
          v.in.logprob_number(v.in.position() + 1 - v.in.subject().prompt(), v.e()));
      return word(bits);
    }
  }
}

}  // namespace assay::verify::test
