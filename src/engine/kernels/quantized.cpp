#include "engine/kernels/quantized.hpp"

#include <algorithm>

namespace assay::engine {

void Quantized::resize(std::size_t tokens, std::size_t cols) {
  const std::size_t places = tokens * ((cols + kActivationSegment - 1) / kActivationSegment);
  for (auto* v : {&q8_, &q8k_}) v->resize(places * kActivationSegment);
  q8_scale_.resize(places * (kActivationSegment / 32));
  q8k_scale_.resize(places);
  q8k_sums_.resize(places * (kActivationSegment / 16));
}

bool Quantized::row(const Kernels& kernels, canon::Activation form, std::size_t token,
                    std::size_t tokens, const float* x, std::size_t cols) {
  if (form == canon::Activation::plain) return true;
  for (std::size_t at = 0, place = token; at < cols; at += kActivationSegment, place += tokens) {
    const std::size_t n = std::min<std::size_t>(cols - at, kActivationSegment);
    const std::size_t q = place * kActivationSegment;
    const bool finite =
        form == canon::Activation::q8
            ? kernels.quantize_q8(x + at, n, &q8_[q], &q8_scale_[q / 32])
            : kernels.quantize_q8k(x + at, n, &q8k_[q], &q8k_scale_[place], &q8k_sums_[q / 16]);
    if (!finite) return false;
  }
  return true;
}

}  // namespace assay::engine
