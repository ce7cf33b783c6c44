// What the plain and the VNNI products share: sixteen rows in lanes.
#pragma once
#include <immintrin.h>

#include "engine/kernels/lanes/product.hpp"
#include "engine/kernels/lanes/product_quantize_x86.hpp"
#include "engine/kernels/lanes/product_rows_x86.hpp"
#include "engine/kernels/lanes/product_unpack_x86.hpp"

namespace assay::engine {
namespace {

struct Avx512Lanes {
  using F = __m512;
  using I = __m512i;
  using Partial = __m512i;
  static constexpr std::size_t width = 16;
  static constexpr int tile_vectors = 2, tile_tokens = 6;
  static constexpr bool reads_rows = true;

  static F zero() { return _mm512_setzero_ps(); }
  static F set(float x) { return _mm512_set1_ps(x); }
  static F load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, F v) { _mm512_storeu_ps(p, v); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F negated_fma(F a, F b, F c) { return _mm512_fnmadd_ps(a, b, c); }
  static F to_float(I v) { return _mm512_cvtepi32_ps(v); }
  static I zero_words() { return _mm512_setzero_si512(); }
  static I load_words(const void* p) { return _mm512_loadu_si512(p); }
  static I broadcast(const void* p) {
    std::int32_t word;
    __builtin_memcpy(&word, p, 4);
    return _mm512_set1_epi32(word);
  }
  // As lanes::keep; emulated vectors have no register.
  template <class V>
  static void keep(V& v) {
    if constexpr (requires { v[0]; }) asm("" : "+v"(v));
  }
  static void pair_step(I& sum, I w, I x) {
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(w, x));
    keep(sum);
  }
  static I minus_32_times(I a, I b) { return _mm512_sub_epi32(a, _mm512_slli_epi32(b, 5)); }
};

}  // namespace
}  // namespace assay::engine
