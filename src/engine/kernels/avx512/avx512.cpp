// AVX-512 F, BW, VL, DQ: sixteen lanes.
#include "engine/kernels/kernels.hpp"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#include <immintrin.h>
#include <type_traits>

#include "engine/kernels/lanes/attend.hpp"
#include "engine/kernels/lanes/lanes.hpp"
#include "engine/kernels/lanes/product.hpp"
#include "engine/session.hpp"

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
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
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

  // |w| ≤ 128 as unsigned times x in ±127 with the sign of w: pairs stay within int16.
  template <int T>
  [[gnu::always_inline]] static void dot_block(const std::int8_t* quants, const std::int8_t* q,
                                               std::size_t cols, F (&dot)[T]) {
    const __m512i ones = _mm512_set1_epi16(1), none = _mm512_setzero_si512();
    __m512i sum[T];
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) sum[t] = none;
#pragma GCC unroll 8
    for (int quad = 0; quad < 8; ++quad) {
      const __m512i w = _mm512_loadu_si512(quants + quad * 4 * width);
      const __m512i magnitude = _mm512_abs_epi8(w);
      const __mmask64 negative = _mm512_movepi8_mask(w);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        std::int32_t four;
        __builtin_memcpy(&four, q + t * cols + quad * 4, 4);
        const __m512i x = _mm512_set1_epi32(four);
        const __m512i with_sign = _mm512_mask_sub_epi8(x, negative, none, x);
        sum[t] = _mm512_add_epi32(
            sum[t], _mm512_madd_epi16(_mm512_maddubs_epi16(magnitude, with_sign), ones));
      }
    }
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) dot[t] = _mm512_cvtepi32_ps(sum[t]);
  }
};

bool quantize(const float* x, std::size_t n, std::int8_t* q, float* scale) {
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  for (std::size_t b = 0; b < n / 32; ++b, x += 32, q += 32) {
    const __m512 low = _mm512_loadu_ps(x), high = _mm512_loadu_ps(x + 16);
    const int largest = _mm512_reduce_max_epi32(
        _mm512_max_epi32(_mm512_and_si512(_mm512_castps_si512(low), magnitude),
                         _mm512_and_si512(_mm512_castps_si512(high), magnitude)));
    const __m128i half =
        _mm_cvtps_ph(_mm_div_ss(_mm_castsi128_ps(_mm_cvtsi32_si128(largest)), _mm_set_ss(127.0f)),
                     _MM_FROUND_TO_NEAREST_INT);
    if ((_mm_extract_epi16(half, 0) & 0x7c00) == 0x7c00) return false;
    const float d = _mm_cvtss_f32(_mm_cvtph_ps(half));
    scale[b] = d;
    // Without a scale every quant is 0: the mask drops what the division by 0 gave.
    const __mmask16 keep = d == 0.0f ? 0 : 0xffff;
    const __m512 divisor = _mm512_set1_ps(d);
    const auto quants = [&](__m512 v) {
      const __m512i r = _mm512_maskz_cvtps_epi32(keep, _mm512_div_ps(v, divisor));
      return _mm_max_epi8(_mm512_cvtsepi32_epi8(r), _mm_set1_epi8(-127));
    };
    _mm_storeu_si128(reinterpret_cast<__m128i*>(q), quants(low));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(q + 16), quants(high));
  }
  return true;
}

void rope(float* head, const float* row, std::size_t head_dim) {
  std::size_t i = 0;
  for (; i + 16 <= head_dim; i += 16) {
    const __m512 x = _mm512_loadu_ps(head + i), cs = _mm512_loadu_ps(row + i);
    const __m512 sc = _mm512_permute_ps(cs, 0xb1);
    _mm512_storeu_ps(head + i, _mm512_fmaddsub_ps(_mm512_moveldup_ps(x), cs,
                                                  _mm512_mul_ps(_mm512_movehdup_ps(x), sc)));
  }
  for (; i < head_dim; i += 2) {
    const float a = head[i], b = head[i + 1], c = row[i], s = row[i + 1];
    head[i] = Avx512::fma1(a, c, -(b * s));
    head[i + 1] = Avx512::fma1(a, s, b * c);
  }
}

bool to_fp16(const float* x, std::size_t n, std::uint16_t* out) {
  const __m256i exponent = _mm256_set1_epi16(0x7c00);
  __mmask16 bad = 0;
  for (std::size_t i = 0; i < n; i += 16) {
    const __mmask16 lanes = Avx512::below(n - i < 16 ? static_cast<int>(n - i) : 16);
    const __m256i half =
        _mm512_cvtps_ph(_mm512_maskz_loadu_ps(lanes, x + i), _MM_FROUND_TO_NEAREST_INT);
    bad = static_cast<__mmask16>(
        bad | _mm256_cmpeq_epi16_mask(_mm256_and_si256(half, exponent), exponent));
    _mm256_mask_storeu_epi16(out + i, lanes, half);
  }
  return bad == 0;
}

}  // namespace

const Kernels* avx512_kernels() {
  static constexpr Kernels table{Isa::avx512,
                                 Avx512::width,
                                 Avx512::width,
                                 lanes::product<Avx512>,
                                 lanes::rms_norm<Avx512>,
                                 quantize,
                                 rope,
                                 to_fp16,
                                 lanes::swiglu<Avx512>,
                                 lanes::add_residual<Avx512>,
                                 lanes::all_finite<Avx512>,
                                 lanes::attend<Avx512>};
  return &table;
}

}  // namespace assay::engine
#else
namespace assay::engine {
const Kernels* avx512_kernels() { return nullptr; }
}  // namespace assay::engine
#endif
