#include "canon/layer.hpp"

#include <algorithm>
#include <cmath>

#include "canon/chain.hpp"
#include "canon/elementary.hpp"
#include "canon/fp16.hpp"
#include "canon/pieces.hpp"

namespace assay::canon {

bool rms_norm(std::span<const float> x, std::span<const float> weight, float epsilon,
              std::span<float> y) {
  const auto at = [&](std::size_t i) { return x[i]; };
  const float squares = chain(x.size(), at, at);
  const float inv = norm_inverse(squares, x.size(), epsilon);
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = (x[i] * inv) * weight[i];
  // An infinite sum would make every y zero: it must not pass unseen.
  return finite(squares) && all_finite(y);
}

bool rms_norm_heads(std::span<float> heads, std::span<const float> weight, float epsilon) {
  bool ok = true;
  for (std::size_t at = 0; at < heads.size(); at += weight.size()) {
    const auto head = heads.subspan(at, weight.size());
    ok &= rms_norm(head, weight, epsilon, head);
  }
  return ok;
}

float silu(float g) {
  const float e = exp(-std::fabs(g)), one_e = 1.0f + e;
  return g >= 0.0f ? g / one_e : (g * e) / one_e;
}

bool swiglu(std::span<const float> gate, std::span<const float> up, std::span<float> y) {
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = silu(gate[i]) * up[i];
  return all_finite(gate) && all_finite(up) && all_finite(y);
}

bool add_residual(std::span<float> x, std::span<const float> y) {
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = x[i] + y[i];
  return all_finite(x);
}

bool to_fp16(std::span<const float> x, std::span<std::uint16_t> out) {
  bool ok = true;
  for (std::size_t i = 0; i < x.size(); ++i) {
    out[i] = to_fp16(x[i]);
    ok &= fp16_finite(out[i]);
  }
  return ok;
}

bool all_finite(std::span<const float> x) {
  return std::ranges::all_of(x, [](float v) { return finite(v); });
}

}  // namespace assay::canon
