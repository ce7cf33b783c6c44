// Products and quantizers in AVX2. Blocks of 32 multiply as int16: madd and add per two columns
// are fewer operations than the sign, maddubs, madd and add that int8 needs per four.
#include "engine/kernels/avx2/avx2.hpp"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include "engine/kernels/lanes/product.hpp"
#include "engine/kernels/lanes/product_quantize_x86.hpp"
#include "engine/kernels/lanes/product_rows_x86.hpp"
#include "engine/kernels/lanes/product_unpack_x86.hpp"

namespace assay::engine {
namespace {

struct Avx2Product {
  using F = __m256;
  using I = __m256i;
  using Partial = __m256i;
  static constexpr std::size_t width = 8;
  static constexpr int tile_vectors = 2, tile_tokens = 4, block_steps = 16;
  static constexpr bool starts = false, short_sums = true, takes_q8 = false, reads_rows = true;
  static constexpr std::uint8_t q8_flip = 0;

  static F zero() { return _mm256_setzero_ps(); }
  static F set(float x) { return _mm256_set1_ps(x); }
  static F load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, F v) { _mm256_storeu_ps(p, v); }
  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F negated_fma(F a, F b, F c) { return _mm256_fnmadd_ps(a, b, c); }
  static F to_float(I v) { return _mm256_cvtepi32_ps(v); }
  static I zero_words() { return _mm256_setzero_si256(); }
  static I load_words(const void* p) { return lanes::load256<Avx2Product>(p); }
  static I broadcast(const void* p) {
    std::int32_t word;
    __builtin_memcpy(&word, p, 4);
    return _mm256_set1_epi32(word);
  }
  static void pair_step(I& sum, I w, I x) {
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(w, x));
    lanes::keep<Avx2Product>(sum);
  }
  static void block_step(I& sum, I w, I x) { pair_step(sum, w, x); }
  static Partial first_quad(I w, I x) { return _mm256_maddubs_epi16(w, x); }
  static void next_quad(Partial& sum, I w, I x) {
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(w, x));
    lanes::keep<Avx2Product>(sum);
  }
  static void add_scaled(I& sum, Partial part, I scale) { pair_step(sum, part, scale); }
  static I minus_32_times(I a, I b) { return _mm256_sub_epi32(a, _mm256_slli_epi32(b, 5)); }

  static void prepare(const std::int8_t* q, int blocks, std::int32_t* words) {
    lanes::prepare_pairs<Avx2Product>(q, blocks, words);
  }
};

}  // namespace

void avx2_product(const Matrix& w, std::uint32_t begin, std::uint32_t end, const Activations& a,
                  std::uint32_t tokens, float* y, std::size_t y_stride, std::byte* scratch) {
  lanes::product<Avx2Product>(w, begin, end, a, tokens, y, y_stride, scratch);
}

bool avx2_quantize_q8(const float* x, std::size_t n, std::int8_t* q, float* scale) {
  return lanes::quantize_q8<Avx2Product>(x, n, q, scale);
}

bool avx2_quantize_q8k(const float* x, std::size_t n, std::int8_t* q, float* scale,
                       std::int16_t* sums) {
  return lanes::quantize_q8k<Avx2Product>(x, n, q, scale, sums);
}

}  // namespace assay::engine
#endif
