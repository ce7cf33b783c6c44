// The canon itself behind the table.
#include <algorithm>
#include <vector>

#include "canon/attention.hpp"
#include "canon/elementary.hpp"
#include "canon/layer.hpp"
#include "canon/q8.hpp"
#include "canon/q8k.hpp"
#include "canon/rope.hpp"
#include "canon/sampling.hpp"
#include "engine/kernels/kernels.hpp"

namespace assay::engine {
namespace {

// One token's values, put together.
struct TokenRow {
  std::vector<std::int8_t> q;
  std::vector<float> scale;
};

// `each` values of q have one scale, `scales` of which belong to a segment.
TokenRow gather(const std::int8_t* q, const float* scale, std::size_t each, std::size_t n,
                std::size_t token, std::size_t tokens) {
  TokenRow out{std::vector<std::int8_t>(n), std::vector<float>(n / each)};
  for (std::size_t at = 0, place = token; at < n; at += kActivationSegment, place += tokens) {
    const std::size_t here = std::min<std::size_t>(n - at, kActivationSegment);
    std::copy_n(q + place * kActivationSegment, here, &out.q[at]);
    std::copy_n(scale + place * (kActivationSegment / each), here / each, &out.scale[at / each]);
  }
  return out;
}

void product(const Matrix& w, std::uint32_t begin, std::uint32_t end, const Activations& a,
             std::uint32_t tokens, float* y, std::size_t y_stride, std::byte*) {
  for (std::uint32_t token = 0; token < tokens; ++token) {
    const std::size_t n = w.cols;
    canon::ActivationRow row;
    TokenRow values;
    switch (canon::info(w.format).activation) {
      case canon::Activation::plain:
        row.x = {a.x + token * n, n};
        break;
      case canon::Activation::q8:
        values = gather(a.q8, a.q8_scale, canon::kBlock, n, token, a.tokens);
        row.q8 = values.q;
        row.q8_scale = values.scale;
        break;
      case canon::Activation::q8k:
        values = gather(a.q8k, a.q8k_scale, canon::kSuperblock, n, token, a.tokens);
        row.q8k = values.q;
        row.q8k_scale = values.scale;
        break;
    }
    for (std::uint32_t r = begin; r < end; ++r)
      y[token * y_stride + r] = canon::row_product(w.format, w.data + r * w.row_bytes, w.cols, row);
  }
}

bool rms_norm(const float* x, const float* weight, std::size_t n, float epsilon, float* y) {
  return canon::rms_norm({x, n}, {weight, n}, epsilon, {y, n});
}

bool quantize_q8(const float* x, std::size_t n, std::int8_t* q, float* scale) {
  return canon::quantize_q8({x, n}, {q, n}, {scale, n / canon::kBlock});
}

bool quantize_q8k(const float* x, std::size_t n, std::int8_t* q, float* scale, std::int16_t* sums) {
  if (!canon::quantize_q8k({x, n}, {q, n}, {scale, n / canon::kSuperblock})) return false;
  for (std::size_t i = 0; i < n; i += 16) {
    int sum = 0;
    for (std::size_t j = i; j < i + 16; ++j) sum += q[j];
    sums[i / 16] = static_cast<std::int16_t>(sum);
  }
  return true;
}

void rope_neighbours(float* head, const float* row, std::size_t head_dim) {
  canon::rope_rotate({head, head_dim}, {row, head_dim});
}

void rope_halves(float* head, const float* row, std::size_t head_dim) {
  canon::rope_rotate_halves({head, head_dim}, {row, head_dim});
}

bool to_fp16(const float* x, std::size_t n, std::uint16_t* out) {
  return canon::to_fp16({x, n}, {out, n});
}

bool swiglu(const float* gate, const float* up, std::size_t n, float* y) {
  return canon::swiglu({gate, n}, {up, n}, {y, n});
}

bool add(float* x, const float* y, std::size_t n) { return canon::add_residual({x, n}, {y, n}); }

bool all_finite(const float* x, std::size_t n) { return canon::all_finite({x, n}); }

bool arg_max(const float* x, std::size_t n, std::uint32_t* at) {
  if (!canon::all_finite({x, n})) return false;
  *at = canon::arg_max({x, n});
  return true;
}

void exp_below(const float* z, std::size_t n, float maximum, float* p) {
  for (std::size_t i = 0; i < n; ++i) p[i] = canon::exp(z[i] - maximum);
}

void attend(const AttentionRow* rows, std::uint32_t count, const AttentionCache& cache, float,
            float*) {
  const std::size_t n = cache.head_dim, longest = rows[count - 1].positions;
  std::vector<std::uint16_t> keys(longest * n), values(longest * n);
  for (std::size_t p = 0; p < longest; ++p) {
    const std::uint16_t* page = cache.pages[p / kPagePositions];
    const std::size_t at = p % kPagePositions;
    std::copy_n(page + cache.keys_offset + at * n, n, &keys[p * n]);
    std::copy_n(page + cache.values_offset + at * cache.value_stride, n, &values[p * n]);
  }
  const canon::CacheRows view{keys.data(), n, values.data(), n};
  for (std::uint32_t r = 0; r < count; ++r)
    if (!canon::attend({rows[r].q, n}, view, rows[r].positions, {rows[r].out, n}))
      *rows[r].fault = 1;
}

}  // namespace

const Kernels* scalar_kernels() {
  static constexpr Kernels table{
      Isa::scalar, 1,       0,      product, rms_norm,   quantize_q8, quantize_q8k, rope_neighbours,
      rope_halves, to_fp16, swiglu, add,     all_finite, arg_max,     exp_below,    attend};
  return &table;
}

}  // namespace assay::engine
