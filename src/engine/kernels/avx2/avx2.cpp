// AVX2 + FMA + F16C: eight lanes.
#include "engine/kernels/avx2/avx2.hpp"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include <immintrin.h>

#include "engine/kernels/lanes/attend.hpp"
#include "engine/kernels/lanes/lanes.hpp"

namespace assay::engine {
namespace {

struct Avx2 {
  using F = __m256;
  using M = __m256;  // all bits of a lane, or none
  static constexpr std::size_t width = 8;

  static F zero() { return _mm256_setzero_ps(); }
  static F set(float x) { return _mm256_set1_ps(x); }
  static F load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, F v) { _mm256_storeu_ps(p, v); }
  static F load_fp16(const std::uint16_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F div(F a, F b) { return _mm256_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F max(F a, F b) { return _mm256_max_ps(a, b); }
  static F abs(F a) { return _mm256_andnot_ps(set(-0.0f), a); }
  static F keep(M mask, F a) { return _mm256_and_ps(mask, a); }
  static F blend(M mask, F a, F b) { return _mm256_blendv_ps(b, a, mask); }
  static M ge(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_GE_OQ); }
  static M below(int n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane));
  }
  static M not_finite(F a) {
    const __m256i exponent = _mm256_set1_epi32(0x7f800000);
    return _mm256_castsi256_ps(
        _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_castps_si256(a), exponent), exponent));
  }
  static M either(M a, M b) { return _mm256_or_ps(a, b); }
  static M both(M a, M b) { return _mm256_and_ps(a, b); }
  static bool any(M m) { return _mm256_movemask_ps(m) != 0; }
  static F shift_in(F p, F t) {
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(t), 23)));
  }
  static float fma1(float a, float b, float c) {
    return _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));
  }
  static float sqrt1(float a) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(a))); }

  static F double_even(F a) { return _mm256_moveldup_ps(a); }
  static F double_odd(F a) { return _mm256_movehdup_ps(a); }
  static F swap_pairs(F a) { return _mm256_permute_ps(a, 0xb1); }
  static F fma_minus_plus(F a, F b, F c) { return _mm256_fmaddsub_ps(a, b, c); }
  static void unzip(F a, F b, F& even, F& odd) {
    const F low = _mm256_permute2f128_ps(a, b, 0x20), high = _mm256_permute2f128_ps(a, b, 0x31);
    even = _mm256_shuffle_ps(low, high, 0x88);
    odd = _mm256_shuffle_ps(low, high, 0xdd);
  }
  static void to_fp16(F a, std::uint16_t* out) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                     _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
  }

  static constexpr int tile_vectors = 3, tile_positions = 4, tile_dims = 4, row_accumulators = 8;
  static constexpr std::uint32_t tile_from = 9;
};

}  // namespace

const Kernels* avx2_kernels() {
  static const Kernels table{Isa::avx2,
                             lanes::kKeyLanes,
                             0,
                             avx2_product,
                             lanes::rms_norm<Avx2>,
                             avx2_quantize_q8,
                             avx2_quantize_q8k,
                             lanes::rope_neighbours<Avx2>,
                             lanes::rope_halves<Avx2>,
                             lanes::to_fp16<Avx2>,
                             lanes::swiglu<Avx2>,
                             lanes::add<Avx2>,
                             lanes::all_finite<Avx2>,
                             lanes::arg_max<Avx2>,
                             lanes::exp_below<Avx2>,
                             lanes::attend<Avx2>};
  return &table;
}

}  // namespace assay::engine
#else
namespace assay::engine {
const Kernels* avx2_kernels() { return nullptr; }
}  // namespace assay::engine
#endif
