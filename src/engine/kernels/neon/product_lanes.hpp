// What the plain and the dot-product variants share: four rows in lanes.
#pragma once
#include <arm_neon.h>

#include "engine/kernels/lanes/product.hpp"
#include "engine/kernels/lanes/product_unpack.hpp"

namespace assay::engine {
namespace {

struct NeonLanes {
  using F = float32x4_t;
  using I = int32x4_t;
  using Partial = int32x4_t;
  static constexpr std::size_t width = 4;
  static constexpr int tile_vectors = 2, tile_tokens = 4, block_steps = 8;
  static constexpr bool starts = false, short_sums = false, takes_q8 = false, reads_rows = false;

  static F zero() { return vdupq_n_f32(0.0f); }
  static F set(float x) { return vdupq_n_f32(x); }
  static F load(const float* p) { return vld1q_f32(p); }
  static void store(float* p, F v) { vst1q_f32(p, v); }
  static F add(F a, F b) { return vaddq_f32(a, b); }
  static F mul(F a, F b) { return vmulq_f32(a, b); }
  static F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
  static F negated_fma(F a, F b, F c) { return vfmsq_f32(c, a, b); }
  static F to_float(I v) { return vcvtq_f32_s32(v); }
  static I zero_words() { return vdupq_n_s32(0); }
  static I load_words(const void* p) { return vld1q_s32(static_cast<const std::int32_t*>(p)); }
  static I broadcast(const void* p) {
    std::int32_t word;
    __builtin_memcpy(&word, p, 4);
    return vdupq_n_s32(word);
  }
  static void pair_step(I& sum, I w, I x) {
    const int16x8_t a = vreinterpretq_s16_s32(w), b = vreinterpretq_s16_s32(x);
    sum = vaddq_s32(sum,
                    vpaddq_s32(vmull_s16(vget_low_s16(a), vget_low_s16(b)), vmull_high_s16(a, b)));
  }
  static void add_scaled(I& sum, Partial part, I scale) {
    sum = vmlaq_s32(sum, part, vshrq_n_s32(scale, 16));
  }
  static I minus_32_times(I a, I b) { return vsubq_s32(a, vshlq_n_s32(b, 5)); }

  static void prepare(const std::int8_t* q, int blocks, std::int32_t* words) {
    __builtin_memcpy(words, q, static_cast<std::size_t>(blocks) * lanes::kBlockColumns);
  }
};

}  // namespace
}  // namespace assay::engine
