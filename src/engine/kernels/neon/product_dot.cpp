// Products with FEAT_DotProd.
#include "engine/kernels/neon/neon.hpp"

#if defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD)
#include "engine/kernels/neon/product_lanes.hpp"

namespace assay::engine {
namespace {

struct NeonDotProduct : NeonLanes {
  static void block_step(I& sum, I w, I x) {
    sum = vdotq_s32(sum, vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(x));
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

void neondot_product(const Matrix& w, std::uint32_t begin, std::uint32_t end, const Activations& a,
                     std::uint32_t tokens, float* y, std::size_t y_stride, std::byte* scratch) {
  lanes::product<NeonDotProduct>(w, begin, end, a, tokens, y, y_stride, scratch);
}

}  // namespace assay::engine
#endif
