// Products in AArch64's base vectors: a product of two bytes fits in int16, -128 times -127 too.
#include "engine/kernels/neon/neon.hpp"

#if defined(__aarch64__)
#include "engine/kernels/neon/product_lanes.hpp"

namespace assay::engine {
namespace {

struct NeonProduct : NeonLanes {
  static void block_step(I& sum, I w, I x) {
    const int8x16_t a = vreinterpretq_s8_s32(w), b = vreinterpretq_s8_s32(x);
    const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);
    sum = vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
    asm("" : "+w"(sum));  // as lanes::keep for x86
  }
  // K-quants are below 64, so that they are signed bytes too.
  static Partial first_quad(I w, I x) {
    Partial sum = zero_words();
    block_step(sum, w, x);
    return sum;
  }
  static void next_quad(Partial& sum, I w, I x) { block_step(sum, w, x); }
};

}  // namespace

void neon_product(const Matrix& w, std::uint32_t begin, std::uint32_t end, const Activations& a,
                  std::uint32_t tokens, float* y, std::size_t y_stride, std::byte* scratch) {
  lanes::product<NeonProduct>(w, begin, end, a, tokens, y, y_stride, scratch);
}

}  // namespace assay::engine
#endif
