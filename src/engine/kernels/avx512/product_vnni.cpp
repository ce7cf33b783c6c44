// Products with VNNI: dpbusd multiplies unsigned with signed bytes. In blocks of 32 the activations
// are the unsigned side, + 128 as they lie in memory, and a block starts at -128 times the sum of
// its weights; K-quants are unsigned themselves.
#include "engine/kernels/avx512/avx512.hpp"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__) && \
    defined(__AVX512DQ__)
#include "engine/kernels/avx512/super_rows.hpp"

namespace assay::engine {
namespace {

struct Avx512VnniProduct : Avx512Lanes {
  static constexpr int block_steps = 8;
  static constexpr bool starts = true, short_sums = false, takes_q8 = true;
  static constexpr std::uint8_t q8_flip = 0x80;

  static void block_step(I& sum, I w, I x) { sum = _mm512_dpbusd_epi32(sum, x, w); }
  static Partial first_quad(I w, I x) { return _mm512_dpbusd_epi32(_mm512_setzero_si512(), w, x); }
  static void next_quad(Partial& sum, I w, I x) { sum = _mm512_dpbusd_epi32(sum, w, x); }
  static void add_scaled(I& sum, Partial part, I scale) {
    sum = _mm512_add_epi32(sum, _mm512_mullo_epi32(part, _mm512_srai_epi32(scale, 16)));
  }
};

}  // namespace

namespace lanes {
// w + 128 is unsigned; what that adds, 128 times the activations, is the same for every row.
template <>
struct RowBlock<Avx512VnniProduct> {
  __m256i w;
  [[gnu::always_inline]] static RowBlock of(__m256i w) {
    return {_mm256_xor_si256(w, _mm256_set1_epi8(-128))};
  }
  [[gnu::always_inline]] static __m256i token(const std::int8_t* q) {
    return _mm256_xor_si256(lanes::load256<Avx512VnniProduct>(q), _mm256_set1_epi8(-128));
  }
  [[gnu::always_inline]] static __m256i start(__m256i x) {
    const __m256i zero = _mm256_setzero_si256();
    return _mm256_sub_epi32(zero, _mm256_dpbusd_epi32(zero, _mm256_set1_epi8(-128), x));
  }
  [[gnu::always_inline]] __m256i times(__m256i x, __m256i start) const {
    return _mm256_dpbusd_epi32(start, w, x);
  }
};

template <class K, int T>
struct SuperSums<Avx512VnniProduct, K, T> : WideSums<Avx512VnniProduct, K, T> {};
}  // namespace lanes

void avx512vnni_product(const Matrix& w, std::uint32_t begin, std::uint32_t end,
                        const Activations& a, std::uint32_t tokens, float* y, std::size_t y_stride,
                        std::byte* scratch) {
  lanes::product<Avx512VnniProduct>(w, begin, end, a, tokens, y, y_stride, scratch);
}

bool avx512vnni_quantize_q8(const float* x, std::size_t n, std::int8_t* q, float* scale) {
  return lanes::quantize_q8<Avx512VnniProduct>(x, n, q, scale);
}

}  // namespace assay::engine
#endif
