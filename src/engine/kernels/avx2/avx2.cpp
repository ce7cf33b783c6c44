// AVX2 + FMA + F16C: eight lanes.
#include "engine/kernels/kernels.hpp"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include <immintrin.h>
#include <type_traits>

#include "engine/kernels/lanes/attend.hpp"
#include "engine/kernels/lanes/lanes.hpp"
#include "engine/kernels/lanes/product.hpp"
#include "engine/session.hpp"

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

  // |w| ≤ 128 as unsigned times x in ±127 with the sign of w: pairs stay within int16.
  template <int T>
  [[gnu::always_inline]] static void dot_block(const std::int8_t* quants, const std::int8_t* q,
                                               std::size_t cols, F (&dot)[T]) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sum[T];
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) sum[t] = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int quad = 0; quad < 8; ++quad) {
      const __m256i w =
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(quants + quad * 4 * width));
      const __m256i magnitude = _mm256_abs_epi8(w);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        std::int32_t four;
        __builtin_memcpy(&four, q + t * cols + quad * 4, 4);
        const __m256i x = _mm256_sign_epi8(_mm256_set1_epi32(four), w);
        sum[t] =
            _mm256_add_epi32(sum[t], _mm256_madd_epi16(_mm256_maddubs_epi16(magnitude, x), ones));
      }
    }
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) dot[t] = _mm256_cvtepi32_ps(sum[t]);
  }
};

bool quantize(const float* x, std::size_t n, std::int8_t* q, float* scale) {
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  for (std::size_t b = 0; b < n / 32; ++b, x += 32, q += 32) {
    __m256 v[4];
    __m256i largest = _mm256_setzero_si256();
    for (int i = 0; i < 4; ++i) {
      v[i] = _mm256_loadu_ps(x + 8 * i);
      largest = _mm256_max_epi32(largest, _mm256_and_si256(_mm256_castps_si256(v[i]), magnitude));
    }
    __m128i m =
        _mm_max_epi32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));
    const __m128i half = _mm_cvtps_ph(_mm_div_ss(_mm_castsi128_ps(m), _mm_set_ss(127.0f)),
                                      _MM_FROUND_TO_NEAREST_INT);
    if ((_mm_extract_epi16(half, 0) & 0x7c00) == 0x7c00) return false;
    const float d = _mm_cvtss_f32(_mm_cvtph_ps(half));
    scale[b] = d;
    if (d == 0.0f) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), _mm256_setzero_si256());
      continue;
    }
    const __m256 divisor = _mm256_set1_ps(d);
    __m256i r[4];
    for (int i = 0; i < 4; ++i) r[i] = _mm256_cvtps_epi32(_mm256_div_ps(v[i], divisor));
    // Packing saturates to ±127 and -128; the latter is clamped, then lanes go back in order.
    const __m256i packed = _mm256_max_epi8(
        _mm256_packs_epi16(_mm256_packs_epi32(r[0], r[1]), _mm256_packs_epi32(r[2], r[3])),
        _mm256_set1_epi8(-127));
    _mm256_storeu_si256(
        reinterpret_cast<__m256i*>(q),
        _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
  }
  return true;
}

void rope(float* head, const float* row, std::size_t head_dim) {
  std::size_t i = 0;
  for (; i + 8 <= head_dim; i += 8) {
    const __m256 x = _mm256_loadu_ps(head + i), cs = _mm256_loadu_ps(row + i);
    const __m256 sc = _mm256_permute_ps(cs, 0xb1);
    _mm256_storeu_ps(head + i, _mm256_fmaddsub_ps(_mm256_moveldup_ps(x), cs,
                                                  _mm256_mul_ps(_mm256_movehdup_ps(x), sc)));
  }
  for (; i < head_dim; i += 2) {
    const float a = head[i], b = head[i + 1], c = row[i], s = row[i + 1];
    head[i] = Avx2::fma1(a, c, -(b * s));
    head[i + 1] = Avx2::fma1(a, s, b * c);
  }
}

bool to_fp16(const float* x, std::size_t n, std::uint16_t* out) {
  const __m128i exponent = _mm_set1_epi16(0x7c00);
  __m128i bad = _mm_setzero_si128();
  for (std::size_t i = 0; i < n; i += 8) {
    const std::size_t left = n - i;
    const __m256 v = left >= 8 ? _mm256_loadu_ps(x + i) : lanes::load_some<Avx2>(x + i, left);
    const __m128i half = _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
    bad = _mm_or_si128(bad, _mm_cmpeq_epi16(_mm_and_si128(half, exponent), exponent));
    std::uint16_t buffer[8];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(buffer), half);
    __builtin_memcpy(out + i, buffer, 2 * (left < 8 ? left : 8));
  }
  return _mm_movemask_epi8(bad) == 0;
}

}  // namespace

const Kernels* avx2_kernels() {
  static constexpr Kernels table{Isa::avx2,
                                 Avx2::width,
                                 Avx2::width,
                                 lanes::product<Avx2>,
                                 lanes::rms_norm<Avx2>,
                                 quantize,
                                 rope,
                                 to_fp16,
                                 lanes::swiglu<Avx2>,
                                 lanes::add_residual<Avx2>,
                                 lanes::all_finite<Avx2>,
                                 lanes::attend<Avx2>};
  return &table;
}

}  // namespace assay::engine
#else
namespace assay::engine {
const Kernels* avx2_kernels() { return nullptr; }
}  // namespace assay::engine
#endif
