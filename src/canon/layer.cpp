#include "canon/layer.hpp"

#include <algorithm>
#include <cmath>

#include "base/bytes.hpp"
#include "canon/chain.hpp"
#include "canon/elementary.hpp"
#include "canon/fp16.hpp"
#include "canon/q8.hpp"

namespace assay::canon {

bool rms_norm(std::span<const float> x, std::span<const float> weight, float epsilon,
              std::span<float> y) {
  const auto at = [&](std::size_t i) { return x[i]; };
  const float squares = chain(x.size(), at, at);
  const float mean = squares / static_cast<float>(x.size());
  const float inv = 1.0f / std::sqrt(mean + epsilon);
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = (x[i] * inv) * weight[i];
  // An infinite sum would make every y zero: it must not pass unseen.
  return finite(squares) && all_finite(y);
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

void dequantize_row(RowFormat format, const std::uint8_t* row, std::span<float> out) {
  switch (format) {
    case RowFormat::f32:
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = std::bit_cast<float>(load_le<std::uint32_t>(row + 4 * i));
      return;
    case RowFormat::f16:
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = from_fp16(load_le<std::uint16_t>(row + 2 * i));
      return;
    case RowFormat::bf16:
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = from_bf16(load_le<std::uint16_t>(row + 2 * i));
      return;
    case RowFormat::q8_0:
    case RowFormat::q4_0: {
      const bool q8 = format == RowFormat::q8_0;
      for (std::size_t b = 0; b < out.size() / kBlock; ++b) {
        const std::uint8_t* block = row + b * (q8 ? 34 : 18);
        std::int8_t values[kBlock];
        q8 ? block_q8_0(block, values) : block_q4_0(block, values);
        const float d = from_fp16(load_le<std::uint16_t>(block));
        for (std::size_t i = 0; i < kBlock; ++i)
          out[b * kBlock + i] = static_cast<float>(values[i]) * d;
      }
      return;
    }
  }
}

}  // namespace assay::canon
