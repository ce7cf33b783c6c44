// AVX-512 F, BW, VL, DQ: sixteen lanes.
#include "engine/kernels/avx512/avx512.hpp"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#include <immintrin.h>

#include "engine/kernels/lanes/attend.hpp"
#include "engine/kernels/lanes/lanes.hpp"

namespace assay::engine {
namespace {

struct Avx512 {
  using F = __m512;
  using M = __mmask16;
  static constexpr std::size_t width = 16;

  static F zero() { return _mm512_setzero_ps(); }
  static F set(float x) { return _mm512_set1_ps(x); }
  static F load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, F v) { _mm512_storeu_ps(p, v); }
  static F load_fp16(const std::uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F div(F a, F b) { return _mm512_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  // Without a mask g++ 12 warns of the header's own variable (GCC bug 105593).
  static F max(F a, F b) { return _mm512_maskz_max_ps(M{0xffff}, a, b); }
  static F abs(F a) { return _mm512_abs_ps(a); }
  static F keep(M mask, F a) { return _mm512_maskz_mov_ps(mask, a); }
  static F blend(M mask, F a, F b) { return _mm512_mask_mov_ps(b, mask, a); }
  static M ge(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
  static M below(int n) {
    return n <= 0 ? M{0} : n >= 16 ? M{0xffff} : static_cast<M>((1u << n) - 1);
  }
  static M not_finite(F a) {
    const __m512i exponent = _mm512_set1_epi32(0x7f800000);
    return _mm512_cmpeq_epi32_mask(_mm512_and_si512(_mm512_castps_si512(a), exponent), exponent);
  }
  static M either(M a, M b) { return static_cast<M>(a | b); }
  static M both(M a, M b) { return static_cast<M>(a & b); }
  static bool any(M m) { return m != 0; }
  static F shift_in(F p, F t) {
    return _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_castps_si512(p), _mm512_slli_epi32(_mm512_castps_si512(t), 23)));
  }
  static float fma1(float a, float b, float c) {
    return _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));
  }
  static float sqrt1(float a) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(a))); }

  static F double_even(F a) { return _mm512_moveldup_ps(a); }
  static F double_odd(F a) { return _mm512_movehdup_ps(a); }
  static F swap_pairs(F a) { return _mm512_permute_ps(a, 0xb1); }
  static F fma_minus_plus(F a, F b, F c) { return _mm512_fmaddsub_ps(a, b, c); }
  static void unzip(F a, F b, F& even, F& odd) {
    const __m512i first =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    even = _mm512_permutex2var_ps(a, first, b);
    odd = _mm512_permutex2var_ps(a, _mm512_add_epi32(first, _mm512_set1_epi32(1)), b);
  }
  static void to_fp16(F a, std::uint16_t* out) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out),
                        _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
  }

  static constexpr int tile_vectors = 2, tile_positions = 8, tile_dims = 8, row_accumulators = 16;
  static constexpr std::uint32_t tile_from = 16;
};

Kernels table(Isa isa) {
  return {isa,
          lanes::kKeyLanes,
          isa == Isa::avx512vnni ? std::uint8_t{0x80} : std::uint8_t{0},
          isa == Isa::avx512vnni ? avx512vnni_product : avx512_product,
          lanes::rms_norm<Avx512>,
          isa == Isa::avx512vnni ? avx512vnni_quantize_q8 : avx512_quantize_q8,
          avx512_quantize_q8k,
          lanes::rope_neighbours<Avx512>,
          lanes::rope_halves<Avx512>,
          lanes::to_fp16<Avx512>,
          lanes::swiglu<Avx512>,
          lanes::add<Avx512>,
          lanes::all_finite<Avx512>,
          lanes::arg_max<Avx512>,
          lanes::exp_below<Avx512>,
          lanes::attend<Avx512>};
}

}  // namespace

const Kernels* avx512_kernels() {
  static const Kernels kernels = table(Isa::avx512);
  return &kernels;
}

const Kernels* avx512vnni_kernels() {
  static const Kernels kernels = table(Isa::avx512vnni);
  return &kernels;
}

}  // namespace assay::engine
#else
namespace assay::engine {
const Kernels* avx512_kernels() { return nullptr; }
const Kernels* avx512vnni_kernels() { return nullptr; }
}  // namespace assay::engine
#endif
