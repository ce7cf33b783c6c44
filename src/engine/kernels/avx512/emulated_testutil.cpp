// This folder's sources, every intrinsic of 512 bits replaced by its emulation.
#include "engine/kernels/avx512/emulated_testutil.hpp"

#if defined(__AVX2__)
#include <immintrin.h>

#include "engine/kernels/avx512/emulation_testutil.hpp"
#include "engine/kernels/lanes/attend.hpp"
#include "engine/kernels/lanes/lanes.hpp"
#include "engine/kernels/lanes/product.hpp"

// Names that the real objects have too.
#define avx512_kernels emulated_avx512_table
#define avx512vnni_kernels emulated_avx512vnni_table
#define avx512_product emulated_avx512_product
#define avx512vnni_product emulated_avx512vnni_product
#define avx512_quantize_q8 emulated_avx512_quantize_q8
#define avx512vnni_quantize_q8 emulated_avx512vnni_quantize_q8
#define avx512_quantize_q8k emulated_avx512_quantize_q8k

namespace assay::engine {
namespace {
namespace e = emulation;
using F512 = e::Floats<64>;
using I512 = e::Ints<64>;

__m256i real(const e::Ints<32>& v) { return std::bit_cast<__m256i>(v); }
e::Ints<32> emulated(__m256i v) { return std::bit_cast<e::Ints<32>>(v); }
}  // namespace
const Kernels* emulated_avx512_table();
const Kernels* emulated_avx512vnni_table();
}  // namespace assay::engine

// Some of these are macros of the compiler, depending on its options.
#undef _mm512_cmpeq_epi32_mask
#undef _mm512_permute_ps
#undef _mm512_cmp_ps_mask
#undef _mm512_slli_epi32
#undef _mm512_srai_epi32
#undef _mm512_cvtps_ph
#undef _mm512_setr_epi32
#undef _mm512_srli_epi16
#undef _mm512_ternarylogic_epi32
#undef _mm512_inserti64x4
#undef _mm512_extracti64x4_epi64
#undef _mm256_dpbusd_epi32
#undef _mm256_dpwssd_epi32
#define __m512 F512
#define __m512i I512
#define _mm512_setzero_ps() e::broadcast<F512>(0.0f)
#define _mm512_setzero_si512() e::broadcast<I512>(0)
#define _mm512_set1_ps(x) e::broadcast<F512>(static_cast<float>(x))
#define _mm512_set1_epi32(x) e::broadcast<I512>(static_cast<std::int32_t>(x))
#define _mm512_setr_epi32(...) e::put<I512>(std::array<std::int32_t, 16>{__VA_ARGS__})
#define _mm512_loadu_ps(p) e::load<F512>(p)
#define _mm512_loadu_si512(p) e::load<I512>(p)
#define _mm512_storeu_ps(p, v) e::store(p, v)
#define _mm512_storeu_si512(p, v) e::store(p, v)
#define _mm512_castps_si512(a) e::bits(a)
#define _mm512_castsi512_ps(a) e::floats(a)
#define _mm512_add_ps(a, b) e::add_ps(a, b)
#define _mm512_sub_ps(a, b) e::sub_ps(a, b)
#define _mm512_mul_ps(a, b) e::mul_ps(a, b)
#define _mm512_div_ps(a, b) e::div_ps(a, b)
#define _mm512_maskz_max_ps(m, a, b) e::mask_mov_ps(_mm512_setzero_ps(), m, e::max_ps(a, b))
#define _mm512_abs_ps(a) e::abs_ps(a)
#define _mm512_fmadd_ps(a, b, c) e::fmadd_ps(a, b, c)
#define _mm512_fnmadd_ps(a, b, c) e::fnmadd_ps(a, b, c)
#define _mm512_fmaddsub_ps(a, b, c) e::fmaddsub_ps(a, b, c)
#define _mm512_moveldup_ps(a) e::moveldup_ps(a)
#define _mm512_movehdup_ps(a) e::movehdup_ps(a)
#define _mm512_permute_ps(a, i) e::permute_ps<i>(a)
#define _mm512_permutex2var_ps(a, i, b) e::permutex2var_ps(a, i, b)
#define _mm512_cmpeq_epi32_mask(a, b) static_cast<__mmask16>(e::cmpeq_epi32(a, b))
#define _mm512_cmp_ps_mask(a, b, how) static_cast<__mmask16>(e::cmp_ps<how>(a, b))
#define _mm512_mask_mov_ps(a, m, b) e::mask_mov_ps(a, m, b)
#define _mm512_maskz_mov_ps(m, b) e::mask_mov_ps(_mm512_setzero_ps(), m, b)
#define _mm512_add_epi16(a, b) e::add_epi16(a, b)
#define _mm512_add_epi32(a, b) e::add_epi32(a, b)
#define _mm512_sub_epi32(a, b) e::sub_epi32(a, b)
#define _mm512_mullo_epi32(a, b) e::mullo_epi32(a, b)
#define _mm512_and_si512(a, b) e::and_si(a, b)
#define _mm512_slli_epi32(a, n) e::slli_epi32(a, n)
#define _mm512_srai_epi32(a, n) e::srai_epi32(a, n)
#define _mm512_madd_epi16(a, b) e::madd_epi16(a, b)
#define _mm512_maddubs_epi16(a, b) e::maddubs_epi16(a, b)
#define _mm512_dpbusd_epi32(s, a, b) e::dpbusd_epi32(s, a, b)
#define _mm256_dpbusd_epi32(s, a, b) real(e::dpbusd_epi32(emulated(s), emulated(a), emulated(b)))
#define _mm256_dpwssd_epi32(s, a, b) real(e::dpwssd_epi32(emulated(s), emulated(a), emulated(b)))
#define _mm512_dpwssd_epi32(s, a, b) e::dpwssd_epi32(s, a, b)
#define _mm512_set1_epi64(x) e::broadcast<I512>(static_cast<std::int64_t>(x))
#define _mm512_srli_epi16(a, n) e::srli_epi16(a, n)
#define _mm512_sllv_epi16(a, n) e::sllv_epi16(a, n)
#define _mm512_srlv_epi16(a, n) e::srlv_epi16(a, n)
#define _mm512_ternarylogic_epi32(a, b, c, table) e::ternarylogic<table>(a, b, c)
#define _mm512_shuffle_epi8(a, b) e::shuffle_epi8(a, b)
#define _mm512_permutexvar_epi16(index, a) e::permutexvar_epi16(index, a)
#define _mm512_castsi512_si256(a) real(e::half(a, 0))
#define _mm512_extracti64x4_epi64(a, which) real(e::half(a, which))
#define _mm512_castsi256_si512(a) e::with_half(e::broadcast<I512>(0), emulated(a), 0)
#define _mm512_inserti64x4(a, b, which) e::with_half(a, emulated(b), which)
#define _mm512_broadcast_i64x4(a) \
  e::with_half(e::with_half(e::broadcast<I512>(0), emulated(a), 0), emulated(a), 1)
#define _mm512_cvtepi32_ps(a) e::cvtepi32_ps(a)
#define _mm512_cvtph_ps(a) e::cvtph_ps(emulated(a))
#define _mm512_cvtps_ph(a, how) real(e::cvtps_ph<how>(a))
#define __AVX512F__ 1
#define __AVX512BW__ 1
#define __AVX512VL__ 1
#define __AVX512DQ__ 1
#define __AVX512VNNI__ 1

#include "engine/kernels/avx512/avx512.cpp"
#include "engine/kernels/avx512/product.cpp"
#include "engine/kernels/avx512/product_vnni.cpp"

namespace assay::engine {
namespace {
bool machine_has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}
}  // namespace
const Kernels* emulated_avx512_kernels() {
  return machine_has_avx2() ? emulated_avx512_table() : nullptr;
}
const Kernels* emulated_avx512vnni_kernels() {
  return machine_has_avx2() ? emulated_avx512vnni_table() : nullptr;
}
}  // namespace assay::engine
#else
namespace assay::engine {
const Kernels* emulated_avx512_kernels() { return nullptr; }
const Kernels* emulated_avx512vnni_kernels() { return nullptr; }
}  // namespace assay::engine
#endif
