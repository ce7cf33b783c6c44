#include "verify/referee/variant_testutil.hpp"

#include "base/assert.hpp"
#include "canon/fp16.hpp"
#include "verify/referee/variant_impl_testutil.hpp"

namespace assay::verify::test {
namespace {

float half(float x) { return canon::from_fp16(canon::to_fp16(x)); }
float half_at(const std::uint8_t* p) { return canon::from_fp16(load_le<std::uint16_t>(p)); }

StepResult norm_sum(const Variant& v) {
  const std::uint32_t begin = v.in.step() * 256, count = std::min(256u, v.op().width - begin);
  TRY(const Floats x, v.in.range(v.op().a, v.e() * v.op().width + begin, count));
  float acc = v.is(Wrong::no_restart) ? v.in.before() : 0.0f;
  for (const float a : x.view()) acc = v.mul_add(Wrong::squares_unfused, a, a, acc);
  return v.num(v.is(Wrong::no_restart) ? acc : v.in.before() + acc);
}

StepResult norm_inverse(const Variant& v) {
  TRY(const float sum, v.in.value(v.op().a, v.e()));
  const float epsilon = v.in.program().rms_epsilon;
  const std::uint32_t n =
      v.is(Wrong::mean_of_segment) ? std::min(256u, v.op().width) : v.op().width;
  const float mean = sum / static_cast<float>(n);
  if (v.is(Wrong::epsilon_outside)) return v.num(1.0f / (std::sqrt(mean) + epsilon));
  if (v.is(Wrong::root_of_quotient)) return v.num(std::sqrt(1.0f / (mean + epsilon)));
  return v.num(1.0f / std::sqrt(mean + epsilon));
}

StepResult norm_value(const Variant& v) {
  TRY(const float x, v.in.value(v.op().a, v.e()));
  TRY(const float inverse, v.in.value(v.op().b, v.e() / v.op().width));
  TRY(const float w, v.in.weight(*v.op().tensor, v.e() % v.op().width));
  if (v.is(Wrong::weight_first)) return v.num(x * (inverse * w));
  return v.num((x * inverse) * w);
}

StepResult block_scale(const Variant& v) {
  TRY(const Floats x, v.in.range(v.op().a, v.e() * v.op().width, v.op().width));
  float largest = 0.0f;
  bool nan = false;
  for (const float a : x.view()) {
    largest = std::max(largest, std::fabs(a));
    nan |= std::isnan(a);
  }
  const float d = (nan ? NAN : largest) / (v.is(Wrong::scale_of_128) ? 128.0f : 127.0f);
  return v.num(v.is(Wrong::scale_kept_as_float) ? d : half(d));
}

StepResult block_quant(const Variant& v) {
  TRY(const float x, v.in.value(v.op().a, v.e()));
  std::uint64_t block = v.e() / v.op().width;
  if (v.is(Wrong::other_blocks_scale)) block ^= 1;
  TRY(const float d, v.in.value(v.op().b, block));
  if (d == 0.0f) return word(0);
  const float q = v.is(Wrong::reciprocal_scale) ? x * (1.0f / d) : x / d;
  if (std::isnan(q)) return fault();
  const float low = v.is(Wrong::clamp_to_128) ? -128.0f : -127.0f;
  const float rounded = v.is(Wrong::halves_away) ? std::round(q) : std::nearbyint(q);
  const float held = v.is(Wrong::no_clamp) ? std::remainder(rounded, 256.0f)
                                           : std::min(std::max(rounded, low), 127.0f);
  return word(static_cast<std::uint8_t>(std::isnan(held) ? 0 : static_cast<int>(held)));
}

// Integers, scales and minimums of a block as spec/canon.md section 3 writes them.
struct Block {
  int q[256];
  int scale[16] = {}, minimum[8] = {};
  float d = 0, dmin = 0;
  std::uint32_t values = 32, group = 256;
};

Block unpack(canon::Format format, const std::uint8_t* b) {
  Block out;
  const auto k_scales = [&](const std::uint8_t* s) {
    for (int j = 0; j < 8; ++j) {
      out.scale[j] = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
      out.minimum[j] = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | (s[j] >> 6) << 4;
    }
    out.values = 256;
    out.group = 32;
    out.dmin = half_at(b + 2);
  };
  out.d = half_at(b);
  switch (format) {
    case canon::Format::q8_0:
      for (int i = 0; i < 32; ++i) out.q[i] = static_cast<std::int8_t>(b[2 + i]);
      break;
    case canon::Format::q4_0:
      for (int i = 0; i < 32; ++i) out.q[i] = (i < 16 ? b[2 + i] & 15 : b[2 + i - 16] >> 4) - 8;
      break;
    case canon::Format::q4_k:
    case canon::Format::q5_k: {
      k_scales(b + 4);
      const bool five = format == canon::Format::q5_k;
      const std::uint8_t *h = b + 16, *c = b + (five ? 48 : 16);
      for (int i = 0; i < 256; ++i) {
        const int a = i / 64, half_of = i / 32 % 2, l = i % 32;
        out.q[i] = (c[32 * a + l] >> (4 * half_of)) & 15;
        if (five) out.q[i] += 16 * ((h[l] >> (2 * a + half_of)) & 1);
      }
      break;
    }
    case canon::Format::q6_k:
      out.values = 256;
      out.group = 16;
      out.d = half_at(b + 208);
      for (int i = 0; i < 256; ++i) {
        const int a = i / 128, j = i / 32 % 4, l = i % 32;
        const int low = (b[64 * a + 32 * (j % 2) + l] >> (4 * (j / 2))) & 15;
        out.q[i] = (low | ((b[128 + 32 * a + l] >> (2 * j)) & 3) << 4) - 32;
      }
      for (int j = 0; j < 16; ++j) out.scale[j] = static_cast<std::int8_t>(b[192 + j]);
      break;
    default:
      ASSAY_ASSERT(false && "not quantized");
  }
  return out;
}

float plain_weight(canon::Format format, const std::uint8_t* w, std::size_t i) {
  if (format == canon::Format::f32) return std::bit_cast<float>(load_le<std::uint32_t>(w + 4 * i));
  const auto bits = load_le<std::uint16_t>(w + 2 * i);
  return format == canon::Format::f16
             ? canon::from_fp16(bits)
             : std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

float as_float(const Variant& v, std::int64_t n) {
  const auto rounded = static_cast<float>(n);
  if (!v.is(Wrong::truncated_sum) || std::fabs(rounded) <= std::fabs(static_cast<double>(n)))
    return rounded;
  return std::nextafter(rounded, 0.0f);
}

// acc of one block or superblock.
float block_term(const Variant& v, const Block& b, const std::int8_t* a, float dx, float acc) {
  std::int64_t isum = 0, msum = 0;
  for (std::uint32_t i = 0; i < b.values; ++i) {
    isum += (b.values == 32 ? 1 : b.scale[i / b.group]) * b.q[i] * a[i];
    if (b.group == 32) msum += b.minimum[i / 32] * a[i];
  }
  const auto sum = [&](float into) {
    if (v.is(Wrong::scales_in_turn)) return (as_float(v, isum) * b.d) * dx + into;
    return v.mul_add(Wrong::product_unfused, as_float(v, isum), b.d * dx, into);
  };
  if (b.group != 32) return sum(acc);
  const float m = v.is(Wrong::minimum_added) ? static_cast<float>(msum) : -static_cast<float>(msum);
  if (v.is(Wrong::minimum_first)) return sum(std::fma(m, b.dmin * dx, acc));
  return v.mul_add(Wrong::product_unfused, m, b.dmin * dx, sum(acc));
}

StepResult product(const Variant& v) {
  const TensorShape& t = *v.op().tensor;
  const std::uint32_t s = v.in.step();
  const auto cols = static_cast<std::uint32_t>(std::min<std::uint64_t>(256, t.cols - s * 256));
  TRY(const ByteView view, v.in.weights(t, v.e(), s));
  const Bytes w(view.begin(), view.end());
  const canon::FormatInfo& f = canon::info(t.format);
  float acc = v.is(Wrong::no_restart) ? v.in.before() : 0.0f;
  if (f.activation == canon::Activation::plain) {
    TRY(const Floats x, v.in.range(v.op().a, s * 256, cols));
    for (std::uint32_t i = 0; i < cols; ++i)
      acc = v.mul_add(Wrong::product_unfused, plain_weight(t.format, w.data(), i), x[i], acc);
  } else {
    TRY(const ByteView bytes, v.in.bytes(v.op().a, s));
    const std::vector<std::int8_t> a(bytes.begin(), bytes.end());
    TRY(const Floats d, v.in.range(v.op().b, s * (256 / f.block_values), cols / f.block_values));
    for (std::uint32_t b = 0; b < cols / f.block_values; ++b) {
      const std::size_t scale =
          v.is(Wrong::other_blocks_scale) && b + 1 < d.view().size() ? b + 1 : b;
      acc = block_term(v, unpack(t.format, &w[b * f.block_bytes]), &a[b * f.block_values], d[scale],
                       acc);
    }
  }
  if (v.is(Wrong::no_restart) || v.is(Wrong::product_drops_total)) return v.num(acc);
  return v.num(v.in.before() + acc);
}

StepResult embedding(const Variant& v) {
  const TensorShape& t = *v.op().tensor;
  TRY(const std::uint32_t token, v.in.token(v.in.position()));
  if (token >= t.rows) return fault();
  TRY(const ByteView w, v.in.weights(t, token, static_cast<std::uint32_t>(v.e() / 256)));
  const canon::FormatInfo& f = canon::info(t.format);
  const std::size_t i = v.e() % 256;
  if (f.activation == canon::Activation::plain) return v.num(plain_weight(t.format, w.data(), i));
  const Block b = unpack(t.format, &w[i / f.block_values * f.block_bytes]);
  if (b.values == 32) return v.num(static_cast<float>(b.q[i % 32]) * b.d);
  const float scale = b.d * static_cast<float>(b.scale[i / b.group]);
  if (b.group == 16) return v.num(scale * static_cast<float>(b.q[i]));
  const float minimum = b.dmin * static_cast<float>(b.minimum[i / 32]);
  const auto q = static_cast<float>(b.q[i]);
  return v.num(v.is(Wrong::minimum_added) ? scale * q + minimum : scale * q - minimum);
}

StepResult rope(const Variant& v) {
  const Program& p = v.in.program();
  if (v.in.position() >= p.context) return fault();
  const bool halves = p.rope_halves && !v.is(Wrong::neighbours_always);
  const auto d = static_cast<std::uint32_t>(v.e() % p.head_dim);
  const std::uint32_t half_dim = p.head_dim / 2;
  const std::uint32_t pair = halves ? d % half_dim : d / 2;
  const std::uint64_t head = v.e() - d;
  TRY(const float a, v.in.value(v.op().a, head + (halves ? pair : 2 * pair)));
  TRY(const float b, v.in.value(v.op().a, head + (halves ? pair + half_dim : 2 * pair + 1)));
  TRY(const auto rotation, v.in.rotation(pair));
  const float c = rotation[0], s = v.is(Wrong::rotation_reversed) ? -rotation[1] : rotation[1];
  const bool first = halves ? d < half_dim : d % 2 == 0;
  if (first) return v.num(v.mul_add(Wrong::rotation_unfused, a, c, -(b * s)));
  return v.num(v.mul_add(Wrong::rotation_unfused, a, s, b * c));
}

StepResult to_half(const Variant& v) {
  TRY(const float x, v.in.value(v.op().a, v.e()));
  std::uint16_t h = canon::to_fp16(x);
  const float magnitude = std::fabs(x);
  if (v.is(Wrong::half_truncated) && std::fabs(canon::from_fp16(h)) > magnitude) --h;
  if (v.is(Wrong::half_flushed) && magnitude < 0x1p-14f) h &= 0x8000u;
  if (v.is(Wrong::half_saturated) && (h & 0x7fffu) == 0x7c00u) --h;
  return canon::fp16_finite(h) || v.is(Wrong::infinities_pass) ? word(h) : fault();
}

StepResult swiglu(const Variant& v) {
  TRY(float g, v.in.value(v.op().a, v.e()));
  TRY(float u, v.in.value(v.op().b, v.e()));
  if (v.is(Wrong::gate_is_up)) std::swap(g, u);
  const auto exp_bits = v.exponential(-std::fabs(g));
  const float ex = std::isnan(g) ? 0.0f : std::bit_cast<float>(exp_bits.bits);
  if (g >= 0.0f) return v.num(g / (1.0f + ex) * u);
  if (v.is(Wrong::silu_naive)) return v.num(g / (1.0f + 1.0f / ex) * u);
  return v.num((g * ex) / (1.0f + ex) * u);
}

}  // namespace

StepValue Variant::exponential(float x) const {
  if (!(x <= 0.0f)) return fault();
  const float cut = is(Wrong::exp_flushed_early) ? -60.0f : -69.0f;
  if (!(x >= cut) && !(is(Wrong::exp_cut_missing) && x > -87.0f)) return num(0.0f);
  const float t = std::fma(x, 0x1.715476p+0f, 0x1.8p+23f), n = t - 0x1.8p+23f;
  float r = std::fma(n, -0x1.62e43p-1f, x);
  r = std::fma(n, 0x1.05c61p-29f, r);
  float p = 0x1.a0d2cep-13f;
  for (const float c :
       {0x1.6e879cp-10f, 0x1.11121p-7f, 0x1.555382p-5f, 0x1.555554p-3f, 0x1p-1f, 1.0f, 1.0f})
    p = std::fma(p, r, c);
  return num(std::bit_cast<float>(std::bit_cast<std::uint32_t>(p) +
                                  (std::bit_cast<std::uint32_t>(t) << 23)));
}

StepResult variant_of_layer(const Variant& v) {
  switch (v.op().kind) {
    case OpKind::norm_sum:
      return norm_sum(v);
    case OpKind::norm_inverse:
      return norm_inverse(v);
    case OpKind::norm_value:
      return norm_value(v);
    case OpKind::q8_scale:
    case OpKind::q8k_scale:
      return block_scale(v);
    case OpKind::q8_quant:
    case OpKind::q8k_quant:
      return block_quant(v);
    case OpKind::product:
      return product(v);
    case OpKind::embedding:
      return embedding(v);
    case OpKind::rope:
      return rope(v);
    case OpKind::to_half:
      return to_half(v);
    case OpKind::swiglu:
      return swiglu(v);
    case OpKind::add_bias: {
      TRY(const float x, v.in.value(v.op().a, v.e()));
      TRY(const float w, v.in.weight(*v.op().tensor, v.e()));
      return v.num(x + w);
    }
    case OpKind::add_residual: {
      TRY(const float x, v.in.value(v.op().a, v.e()));
      TRY(const float y, v.in.value(v.op().b, v.e()));
      return v.num(x + y);
    }
    default:
      return variant_of_attention(v);
  }
}

Result<StepValue> variant_step(Wrong wrong, const Subject& subject, const OpList& list,
                               const StepPlace& place, std::span<const std::uint32_t> running,
                               StepInputs& inputs) {
  StepReader in(subject, list, place, running, inputs);
  auto out = variant_of_layer({wrong, in});
  if (wrong == Wrong::bad_weights_pass && !out && out.error().code == Errc::unsupported)
    return fault();
  return out;
}

}  // namespace assay::verify::test
