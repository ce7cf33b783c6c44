// The canon itself behind the table.
#include "canon/attention.hpp"
#include "canon/layer.hpp"
#include "canon/q8.hpp"
#include "canon/rope.hpp"
#include "engine/kernels/kernels.hpp"
#include "engine/session.hpp"

namespace assay::engine {
namespace {

float row_product(const Matrix& w, std::uint32_t row, const Activations& a, std::uint32_t token) {
  const std::uint8_t* bytes = w.raw + row * w.row_bytes;
  const std::size_t n = w.cols;
  const std::span<const float> x{a.x + token * n, n};
  switch (w.kind) {
    case Matrix::Kind::f32:
      return canon::row_f32(bytes, x);
    case Matrix::Kind::f16:
      return canon::row_f16(bytes, x);
    case Matrix::Kind::bf16:
      return canon::row_bf16(bytes, x);
    case Matrix::Kind::q8_0:
    case Matrix::Kind::q4_0:
      break;
  }
  const std::span<const std::int8_t> q{a.q + token * n, n};
  const std::span<const float> scale{a.scale + token * (n / canon::kBlock), n / canon::kBlock};
  return w.kind == Matrix::Kind::q8_0 ? canon::row_q8_0(bytes, q, scale)
                                      : canon::row_q4_0(bytes, q, scale);
}

void product(const Matrix& w, std::uint32_t begin, std::uint32_t end, const Activations& a,
             std::uint32_t tokens, float* y, std::size_t y_stride) {
  for (std::uint32_t row = begin; row < end; ++row)
    for (std::uint32_t token = 0; token < tokens; ++token)
      y[token * y_stride + row] = row_product(w, row, a, token);
}

bool rms_norm(const float* x, const float* weight, std::size_t n, float epsilon, float* y) {
  return canon::rms_norm({x, n}, {weight, n}, epsilon, {y, n});
}

bool quantize(const float* x, std::size_t n, std::int8_t* q, float* scale) {
  return canon::quantize_q8({x, n}, {q, n}, {scale, n / canon::kBlock});
}

void rope(float* head, const float* row, std::size_t head_dim) {
  canon::rope_rotate({head, head_dim}, {row, head_dim});
}

bool to_fp16(const float* x, std::size_t n, std::uint16_t* out) {
  return canon::to_fp16({x, n}, {out, n});
}

bool swiglu(const float* gate, const float* up, std::size_t n, float* y) {
  return canon::swiglu({gate, n}, {up, n}, {y, n});
}

bool add_residual(float* x, const float* y, std::size_t n) {
  return canon::add_residual({x, n}, {y, n});
}

bool all_finite(const float* x, std::size_t n) { return canon::all_finite({x, n}); }

void attend(const AttentionRow* rows, std::uint32_t count, const AttentionCache& cache, float,
            float*) {
  const std::size_t n = cache.head_dim;
  const canon::CacheRows view{cache.keys, n, cache.values, cache.value_stride};
  for (std::uint32_t r = 0; r < count; ++r)
    if (!canon::attend({rows[r].q, n}, view, rows[r].positions, {rows[r].out, n}))
      *rows[r].fault = 1;
}

}  // namespace

const Kernels* scalar_kernels() {
  static constexpr Kernels table{Isa::scalar, 0,       1,      product,      rms_norm,   quantize,
                                 rope,        to_fp16, swiglu, add_residual, all_finite, attend};
  return &table;
}

}  // namespace assay::engine
