// AArch64's base vectors: four lanes. The dot-product table shares all but the products.
#include "engine/kernels/neon/neon.hpp"

#if defined(__aarch64__)
#include <arm_neon.h>

#include "engine/kernels/lanes/attend.hpp"
#include "engine/kernels/lanes/lanes.hpp"

namespace assay::engine {
namespace {

struct Neon {
  using F = float32x4_t;
  using M = uint32x4_t;  // all bits of a lane, or none
  static constexpr std::size_t width = 4;

  static F zero() { return vdupq_n_f32(0.0f); }
  static F set(float x) { return vdupq_n_f32(x); }
  static F load(const float* p) { return vld1q_f32(p); }
  static void store(float* p, F v) { vst1q_f32(p, v); }
  static F load_fp16(const std::uint16_t* p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
  }
  static F add(F a, F b) { return vaddq_f32(a, b); }
  static F sub(F a, F b) { return vsubq_f32(a, b); }
  static F mul(F a, F b) { return vmulq_f32(a, b); }
  static F div(F a, F b) { return vdivq_f32(a, b); }
  static F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
  static F max(F a, F b) { return vmaxq_f32(a, b); }
  static F abs(F a) { return vabsq_f32(a); }
  static F keep(M mask, F a) {
    return vreinterpretq_f32_u32(vandq_u32(mask, vreinterpretq_u32_f32(a)));
  }
  static F blend(M mask, F a, F b) { return vbslq_f32(mask, a, b); }
  static M ge(F a, F b) { return vcgeq_f32(a, b); }
  static M below(int n) {
    static constexpr std::int32_t kLane[] = {0, 1, 2, 3};
    return vcgtq_s32(vdupq_n_s32(n), vld1q_s32(kLane));
  }
  static M not_finite(F a) {
    const uint32x4_t exponent = vdupq_n_u32(0x7f800000u);
    return vceqq_u32(vandq_u32(vreinterpretq_u32_f32(a), exponent), exponent);
  }
  static M either(M a, M b) { return vorrq_u32(a, b); }
  static M both(M a, M b) { return vandq_u32(a, b); }
  static bool any(M m) { return vmaxvq_u32(m) != 0; }
  static F shift_in(F p, F t) {
    return vreinterpretq_f32_u32(
        vaddq_u32(vreinterpretq_u32_f32(p), vshlq_n_u32(vreinterpretq_u32_f32(t), 23)));
  }
  static float fma1(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
  static float sqrt1(float a) { return __builtin_sqrtf(a); }

  static F double_even(F a) { return vtrn1q_f32(a, a); }
  static F double_odd(F a) { return vtrn2q_f32(a, a); }
  static F swap_pairs(F a) { return vrev64q_f32(a); }
  static F fma_minus_plus(F a, F b, F c) {
    const uint32x4_t even_sign = vreinterpretq_u32_u64(vdupq_n_u64(0x80000000u));
    return vfmaq_f32(vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(c), even_sign)), a, b);
  }
  static void unzip(F a, F b, F& even, F& odd) {
    even = vuzp1q_f32(a, b);
    odd = vuzp2q_f32(a, b);
  }
  static void to_fp16(F a, std::uint16_t* out) {
    vst1_u16(out, vreinterpret_u16_f16(vcvt_f16_f32(a)));
  }

  static constexpr int tile_vectors = 3, tile_positions = 8, tile_dims = 4, row_accumulators = 16;
  static constexpr std::uint32_t tile_from = 5;
};

Kernels table(Isa isa) {
  return {isa,
          lanes::kKeyLanes,
          0,
          isa == Isa::neondot ? neondot_product : neon_product,
          lanes::rms_norm<Neon>,
          scalar_kernels()->quantize_q8,
          scalar_kernels()->quantize_q8k,
          lanes::rope_neighbours<Neon>,
          lanes::rope_halves<Neon>,
          lanes::to_fp16<Neon>,
          lanes::swiglu<Neon>,
          lanes::add<Neon>,
          lanes::all_finite<Neon>,
          lanes::arg_max<Neon>,
          lanes::exp_below<Neon>,
          lanes::attend<Neon>};
}

}  // namespace

const Kernels* neon_kernels() {
  static const Kernels kernels = table(Isa::neon);
  return &kernels;
}

const Kernels* neondot_kernels() {
  static const Kernels kernels = table(Isa::neondot);
  return &kernels;
}

}  // namespace assay::engine
#else
namespace assay::engine {
const Kernels* neon_kernels() { return nullptr; }
const Kernels* neondot_kernels() { return nullptr; }
}  // namespace assay::engine
#endif
