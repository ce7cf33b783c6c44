// Products and quantizers in AVX-512 without VNNI; blocks of 32 multiply as int16 (as in AVX2).
#include "engine/kernels/avx512/avx512.hpp"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#include "engine/kernels/avx512/product_lanes.hpp"

namespace assay::engine {
namespace {

struct Avx512Product : Avx512Lanes {
  static constexpr int block_steps = 16;
  static constexpr bool starts = false, short_sums = true, takes_q8 = false;
  static constexpr std::uint8_t q8_flip = 0;

  static void block_step(I& sum, I w, I x) { pair_step(sum, w, x); }
  static Partial first_quad(I w, I x) { return _mm512_maddubs_epi16(w, x); }
  static void next_quad(Partial& sum, I w, I x) {
    sum = _mm512_add_epi16(sum, _mm512_maddubs_epi16(w, x));
    keep(sum);
  }
  static void add_scaled(I& sum, Partial part, I scale) { pair_step(sum, part, scale); }
  static void prepare(const std::int8_t* q, int blocks, std::int32_t* words) {
    lanes::prepare_pairs<Avx512Product>(q, blocks, words);
  }
};

}  // namespace

void avx512_product(const Matrix& w, std::uint32_t begin, std::uint32_t end, const Activations& a,
                    std::uint32_t tokens, float* y, std::size_t y_stride, std::byte* scratch) {
  lanes::product<Avx512Product>(w, begin, end, a, tokens, y, y_stride, scratch);
}

bool avx512_quantize_q8(const float* x, std::size_t n, std::int8_t* q, float* scale) {
  return lanes::quantize_q8<Avx512Product>(x, n, q, scale);
}

bool avx512_quantize_q8k(const float* x, std::size_t n, std::int8_t* q, float* scale,
                         std::int16_t* sums) {
  return lanes::quantize_q8k<Avx512Product>(x, n, q, scale, sums);
}

}  // namespace assay::engine
#endif
