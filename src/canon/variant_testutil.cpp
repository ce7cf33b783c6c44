#include "canon/variant_testutil.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <map>

#include "base/bytes.hpp"
#include "canon/elementary.hpp"
#include "canon/fp16.hpp"
#include "canon/q8.hpp"
#include "canon/q8k.hpp"

namespace assay::canon::test {
namespace {

using Term = std::function<float(std::size_t)>;

float mul_add(const Rules& r, float a, float b, float c) {
  if (!r.is(Wrong::unfused)) return std::fma(a, b, c);
  const float product = a * b;
  return product + c;
}

// Where the canon rounds the product.
float product_then_sum(const Rules& r, float a, float b, float c) {
  if (r.is(Wrong::contracted)) return std::fma(a, b, c);
  const float product = a * b;
  return product + c;
}

float divide(const Rules& r, float a, float b) {
  return r.is(Wrong::reciprocal) ? a * (1.0f / b) : a / b;
}

float segment_sum(const Rules& r, std::size_t begin, std::size_t end, const Term& a,
                  const Term& b) {
  if (r.is(Wrong::tree)) {
    if (end - begin == 1) return mul_add(r, a(begin), b(begin), 0.0f);
    const std::size_t middle = begin + (end - begin) / 2;
    return segment_sum(r, begin, middle, a, b) + segment_sum(r, middle, end, a, b);
  }
  float acc = 0.0f;
  for (std::size_t i = begin; i < end; ++i) acc = mul_add(r, a(i), b(i), acc);
  return acc;
}

float chain_of(const Rules& r, std::size_t n, const Term& a, const Term& b,
               std::size_t per_segment) {
  float total = 0.0f;
  for (std::size_t i = 0; i < n; i += per_segment)
    total = total + segment_sum(r, i, std::min(n, i + per_segment), a, b);
  return total;
}

float one(std::size_t) { return 1.0f; }
float half_at(const std::uint8_t* p) { return from_fp16(load_le<std::uint16_t>(p)); }

float to_float(const Rules& r, std::int64_t integer) {
  const auto nearest = static_cast<float>(integer);
  if (!r.is(Wrong::truncated_isum) ||
      static_cast<std::int64_t>(std::fabs(nearest)) <= std::abs(integer))
    return nearest;
  return std::nextafter(nearest, 0.0f);
}

float block_row(const Rules& r, std::size_t block_bytes,
                void (*unpack)(const std::uint8_t*, std::int8_t*), const std::uint8_t* row,
                const Quantized& a) {
  const auto dot = [&](std::size_t b) {
    std::int8_t w[kBlock];
    unpack(row + b * block_bytes, w);
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < kBlock; ++i) sum += std::int64_t{w[i]} * a.q[b * kBlock + i];
    return to_float(r, sum);
  };
  const auto scale = [&](std::size_t b) { return half_at(row + b * block_bytes) * a.scale[b]; };
  return chain_of(r, a.scale.size(), dot, scale, r.segment / kBlock);
}

float superblock_row(const Rules& r, std::size_t block_bytes,
                     void (*unpack)(const std::uint8_t*, Superblock&), bool minimums,
                     const std::uint8_t* row, const Quantized& a) {
  const std::size_t part = std::min(kSuperblock, r.segment), group = minimums ? 32 : 16;
  float total = 0.0f, acc = 0.0f;
  for (std::size_t at = 0; at < a.q.size(); at += part) {
    if (at % r.segment == 0) total = total + acc, acc = 0.0f;
    Superblock s;
    unpack(row + at / kSuperblock * block_bytes, s);
    const std::size_t inside = at % kSuperblock;
    std::int64_t isum = 0, msum = 0;
    for (std::size_t i = 0; i < part; ++i) {
      const std::size_t j = inside + i;
      isum += std::int64_t{s.scales[j / group]} * s.quants[j] * a.q[at + i];
      if (minimums) msum += std::int64_t{s.mins[j / group]} * a.q[at + i];
    }
    const float dx = a.scale[at / kSuperblock], d = from_fp16(s.d) * dx,
                dmin = from_fp16(s.dmin) * dx;
    const auto take_minimums = [&] {
      if (minimums) acc = mul_add(r, -static_cast<float>(msum), dmin, acc);
    };
    if (r.is(Wrong::minimum_first)) take_minimums();
    acc = mul_add(r, to_float(r, isum), d, acc);
    if (!r.is(Wrong::minimum_first)) take_minimums();
  }
  return total + acc;
}

// m, l and o of one segment, rescaled whenever the maximum of so many positions is a new one.
struct Softmax {
  float maximum, sum = 0.0f;
  std::vector<float> out;
};
Softmax rescaled_within(const Rules& r, std::span<const float> scores, std::size_t block,
                        const Term& v, std::size_t width) {
  Softmax s{scores[0], 0.0f, std::vector<float>(width, 0.0f)};
  for (std::size_t begin = 0; begin < scores.size(); begin += block) {
    const auto part = scores.subspan(begin, std::min(block, scores.size() - begin));
    const float grown = std::max(s.maximum, std::ranges::max(part)),
                rescale = variant_exp(r, s.maximum - grown);
    s.maximum = grown;
    s.sum = s.sum * rescale;
    for (float& o : s.out) o = o * rescale;
    for (std::size_t j = begin; j < begin + part.size(); ++j) {
      const float p = variant_exp(r, scores[j] - grown);
      s.sum = s.sum + p;
      for (std::size_t d = 0; d < width; ++d) s.out[d] = std::fma(p, v(j * width + d), s.out[d]);
    }
  }
  return s;
}

}  // namespace

float variant_exp(const Rules& r, float x) {
  using namespace constants;
  if (!(x >= kExpCut)) return 0.0f;
  const float t = mul_add(r, x, kLog2E, kMagic), n = t - kMagic;
  const float f = mul_add(r, n, -kLn2Low, mul_add(r, n, -kLn2High, x));
  float p = kExp[0];
  for (std::size_t i = 1; i < std::size(kExp); ++i) p = mul_add(r, p, f, kExp[i]);
  return std::ldexp(p, static_cast<int>(n));
}

float variant_log(const Rules& r, float x) {
  using namespace constants;
  int e;
  float m = std::frexp(x, &e);  // [1/2, 1)
  if (std::bit_cast<std::uint32_t>(m) < kSqrtHalfBits) m = m * 2.0f, --e;
  const float f = m - 1.0f, z = f * f, exponent = static_cast<float>(e);
  float p = kLog[0];
  for (std::size_t i = 1; i < std::size(kLog); ++i) p = mul_add(r, p, f, kLog[i]);
  float y = (p * f) * z;
  y = mul_add(r, exponent, kLogLn2Low, y);
  y = mul_add(r, -0.5f, z, y);
  y = f + y;
  return mul_add(r, exponent, kLogLn2High, y);
}

std::optional<Quantized> variant_quantize(const Rules& r, std::span<const float> x,
                                          std::size_t block) {
  Quantized out{std::vector<std::int8_t>(x.size()), {}};
  for (std::size_t at = 0; at < x.size(); at += block) {
    float largest = 0.0f;
    for (const float v : x.subspan(at, block)) largest = std::max(largest, std::fabs(v));
    const float d = from_fp16(to_fp16(divide(r, largest, 127.0f)));
    if (!finite(d)) return std::nullopt;
    out.scale.push_back(d);
    for (std::size_t i = at; i < at + block; ++i) {
      if (d == 0.0f) continue;
      const float quotient = divide(r, x[i], d);
      const float rounded =
          r.is(Wrong::ties_away) ? std::round(quotient) : std::nearbyint(quotient);
      const float lowest = r.is(Wrong::clamp_to_128) ? -128.0f : -127.0f;
      out.q[i] = static_cast<std::int8_t>(std::clamp(rounded, lowest, 127.0f));
    }
  }
  return out;
}

float variant_row(const Rules& r, Format format, const std::uint8_t* row, std::span<const float> x,
                  const Quantized& a) {
  const auto at = [&](std::size_t i) { return x[i]; };
  switch (format) {
    case Format::q8_0:
      return block_row(r, 34, block_q8_0, row, a);
    case Format::q4_0:
      return block_row(r, 18, block_q4_0, row, a);
    case Format::q4_k:
      return superblock_row(r, 144, superblock_q4_k, true, row, a);
    case Format::q5_k:
      return superblock_row(r, 176, superblock_q5_k, true, row, a);
    case Format::q6_k:
      return superblock_row(r, 210, superblock_q6_k, false, row, a);
    default: {
      std::vector<float> w(x.size());
      dequantize_row(format, row, w);
      return chain_of(r, x.size(), [&](std::size_t i) { return w[i]; }, at, r.segment);
    }
  }
}

std::vector<float> variant_rms_norm(const Rules& r, std::span<const float> x,
                                    std::span<const float> weight, float epsilon) {
  const auto at = [&](std::size_t i) { return x[i]; };
  const float squares = chain_of(r, x.size(), at, at, r.segment);
  const float mean = divide(r, squares, static_cast<float>(x.size()));
  const float inverse = 1.0f / std::sqrt(mean + epsilon);
  std::vector<float> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = (x[i] * inverse) * weight[i];
  return y;
}

float variant_silu(const Rules& r, float g) {
  const float e = variant_exp(r, -std::fabs(g));
  return g >= 0.0f ? divide(r, g, 1.0f + e) : divide(r, g * e, 1.0f + e);
}

void variant_rotate(const Rules& r, float& a, float& b, float c, float s) {
  const float x = a, y = b, ys = y * s, yc = y * c;
  a = mul_add(r, x, c, -ys);
  b = mul_add(r, x, s, yc);
}

std::vector<float> variant_attend(const Rules& r, std::span<const float> q,
                                  std::span<const std::uint16_t> k,
                                  std::span<const std::uint16_t> v) {
  const std::size_t width = q.size(), n = k.size() / width;
  const float scale = 1.0f / std::sqrt(static_cast<float>(width));
  std::vector<float> dots(n), scores(n);
  for (std::size_t j = 0; j < n; ++j) {
    dots[j] = chain_of(
        r, width, [&](std::size_t d) { return q[d]; },
        [&](std::size_t d) { return from_fp16(k[j * width + d]); }, r.segment);
    scores[j] = dots[j] * scale;
  }
  const auto value = [&](std::size_t i) { return from_fp16(v[i]); };
  std::vector<float> maximums, sums, values;  // values: [segment][width]
  for (std::size_t begin = 0; begin < n; begin += r.segment) {
    const std::size_t end = std::min(n, begin + r.segment);
    if (r.is(Wrong::online_softmax) || r.is(Wrong::page_softmax)) {
      const auto s = rescaled_within(
          r, std::span(scores).subspan(begin, end - begin), r.is(Wrong::page_softmax) ? 64 : 1,
          [&](std::size_t i) { return value(begin * width + i); }, width);
      maximums.push_back(s.maximum);
      sums.push_back(s.sum);
      values.insert(values.end(), s.out.begin(), s.out.end());
      continue;
    }
    const float m = r.is(Wrong::one_maximum)
                        ? std::ranges::max(scores)
                        : *std::max_element(&scores[begin], &scores[begin] + (end - begin));
    std::vector<float> p(n);
    for (std::size_t j = begin; j < end; ++j)
      p[j] = variant_exp(r, product_then_sum(r, dots[j], scale, -m));
    const auto weight = [&](std::size_t j) { return p[j]; };
    maximums.push_back(m);
    sums.push_back(segment_sum(r, begin, end, weight, one));
    for (std::size_t d = 0; d < width; ++d)
      values.push_back(
          segment_sum(r, begin, end, weight, [&](std::size_t j) { return value(j * width + d); }));
  }
  const float maximum = std::ranges::max(maximums);
  const auto weight = [&](std::size_t s) { return variant_exp(r, maximums[s] - maximum); };
  const float total =
      chain_of(r, sums.size(), weight, [&](std::size_t s) { return sums[s]; }, r.segment);
  std::vector<float> out(width);
  for (std::size_t d = 0; d < width; ++d) {
    const auto of = [&](std::size_t s) { return values[s * width + d]; };
    out[d] = divide(r, chain_of(r, sums.size(), weight, of, r.segment), total);
  }
  return out;
}

void variant_adjust(const Rules& r, std::span<float> logits, const Draw& draw) {
  const auto bias = [&] {
    for (const LogitBias& b : draw.logit_bias)
      if (b.token < logits.size()) logits[b.token] += b.bias;
  };
  if (!r.is(Wrong::penalties_first)) bias();
  std::map<std::uint32_t, std::pair<int, int>> counts;  // on the tape, in the answer
  for (std::uint32_t p = 0; p < draw.tape.size(); ++p) {
    auto& [all, answer] = counts[draw.tape[p]];
    ++all;
    answer += p >= draw.answer_from || r.is(Wrong::prompt_counts);
  }
  for (const auto& [token, count] : counts) {
    float& l = logits[token];
    for (int i = 0; i < (r.is(Wrong::repeated_penalty) ? count.first : 1); ++i)
      l = l > 0.0f ? divide(r, l, draw.repetition_penalty) : l * draw.repetition_penalty;
    if (count.second == 0) continue;
    l = product_then_sum(r, -static_cast<float>(count.second), draw.frequency_penalty, l);
    l = l - draw.presence_penalty;
  }
  if (r.is(Wrong::penalties_first)) bias();
}

std::optional<std::uint32_t> variant_sample(const Rules& r, std::span<const float> logits,
                                            const Draw& draw) {
  std::vector<float> z(logits.begin(), logits.end());
  variant_adjust(r, z, draw);
  const auto all_finite = [&] { return std::ranges::all_of(z, finite); };
  const auto largest = [&] { return std::ranges::max_element(z); };
  if (!all_finite()) return std::nullopt;
  if (draw.temperature == 0.0f) return static_cast<std::uint32_t>(largest() - z.begin());
  for (float& v : z) v = divide(r, v, draw.temperature);
  if (!all_finite()) return std::nullopt;

  std::vector<std::uint32_t> order(z.size());  // likeliest first
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::sort(order, [&](auto a, auto b) { return z[a] > z[b] || (z[a] == z[b] && a < b); });
  std::vector<bool> kept(z.size(), true);
  if (draw.top_k != 0 && draw.top_k < z.size()) {
    const float lowest = z[order[draw.top_k - 1]];
    for (std::size_t i = draw.top_k; i < order.size(); ++i)
      kept[order[i]] = z[order[i]] == lowest && !r.is(Wrong::ties_cut);
  }
  std::vector<float> p(z.size());
  const float maximum = *largest();
  for (std::size_t i = 0; i < z.size(); ++i) p[i] = variant_exp(r, z[i] - maximum);
  const auto sum_from = [&](float threshold) {
    const auto in = [&](std::size_t i) {
      return p[i] >= threshold && (kept[i] || r.is(Wrong::nucleus_before_k)) ? p[i] : 0.0f;
    };
    return chain_of(r, p.size(), in, one, r.segment);
  };
  float bar = draw.min_p * (r.is(Wrong::minimum_of_sum) ? sum_from(0.0f) : 1.0f);
  if (draw.top_p < 1.0f) {
    const float target = draw.top_p * sum_from(0.0f);
    std::size_t i = 0;
    while (sum_from(p[order[i]]) < target) ++i;
    bar = std::max(bar, p[order[i]]);
  }
  std::optional<std::uint32_t> best;
  float best_score = 0.0f;
  for (std::uint32_t id = 0; id < z.size(); ++id) {
    if (!kept[id] || p[id] < bar) continue;
    const std::uint32_t k =
        philox({draw.position, id, 0, 0}, {static_cast<std::uint32_t>(draw.seed),
                                           static_cast<std::uint32_t>(draw.seed >> 32)})[0] >>
        9;
    const float u = static_cast<float>(2 * k + 1) * 0x1p-24f;
    const float score = z[id] - variant_log(r, -variant_log(r, u));
    if (!best || score > best_score) best = id, best_score = score;
  }
  return best;
}

float variant_log_sum(const Rules& r, std::span<const float> logits) {
  const float maximum = std::ranges::max(logits);
  const auto p = [&](std::size_t i) { return variant_exp(r, logits[i] - maximum); };
  return variant_log(r, chain_of(r, logits.size(), p, one, r.segment));
}

}  // namespace assay::canon::test
