// The emulation's 256-bit forms against the instructions themselves, on random and hostile bits.
#include "engine/kernels/avx512/emulation_testutil.hpp"

#if defined(__AVX2__)
#include <gtest/gtest.h>
#include <immintrin.h>

#include "canon/canon_testutil.hpp"

namespace assay::engine::emulation {
namespace {

using F = Floats<32>;
using I = Ints<32>;
using canon::test::Random;

class EmulationTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        !__builtin_cpu_supports("f16c"))
      GTEST_FAIL() << "this machine has no AVX2 to compare with; every x86-64 since 2015 has";
  }

  // Floats of every kind, NaN and infinities among them.
  F some_floats() {
    std::array<float, 8> out;
    for (float& x : out) {
      const std::uint32_t kind = random_.below(8);
      x = kind == 0   ? std::bit_cast<float>(random_.bits())
          : kind == 1 ? std::bit_cast<float>((random_.bits() & 0x80000000u) | 0x7f800000u)
                      : random_.hostile(1e5f);
    }
    return put<F>(out);
  }
  I some_ints() {
    std::array<std::uint8_t, 32> out;
    for (auto& x : out) {
      const std::uint32_t kind = random_.below(4);
      x = static_cast<std::uint8_t>(kind == 0 ? 0x80 : kind == 1 ? 0x7f : random_.bits());
    }
    return put<I>(out);
  }
  static __m256 real(const F& v) { return std::bit_cast<__m256>(v); }
  static __m256i real(const I& v) { return std::bit_cast<__m256i>(v); }

  // Which NaN an operation gives is left open (no kernel depends on it).
  static void same(const F& got, __m256 want, const char* what) {
    const auto a = get<float>(got), b = get<float>(std::bit_cast<F>(want));
    for (std::size_t i = 0; i < a.size(); ++i)
      ASSERT_TRUE((std::isnan(a[i]) && std::isnan(b[i])) ||
                  canon::test::bits(a[i]) == canon::test::bits(b[i]))
          << what << ": " << a[i] << " is not " << b[i];
  }
  static void same(const I& got, __m256i want, const char* what) {
    ASSERT_EQ(get<std::uint32_t>(got), get<std::uint32_t>(std::bit_cast<I>(want))) << what;
  }

  Random random_{31};
};

TEST_F(EmulationTest, Floats) {
  for (int i = 0; i < 20000; ++i) {
    const F a = some_floats(), b = some_floats(), c = some_floats();
    const __m256 x = real(a), y = real(b), z = real(c);
    same(add_ps(a, b), _mm256_add_ps(x, y), "add");
    same(sub_ps(a, b), _mm256_sub_ps(x, y), "sub");
    same(mul_ps(a, b), _mm256_mul_ps(x, y), "mul");
    same(div_ps(a, b), _mm256_div_ps(x, y), "div");
    same(max_ps(a, b), _mm256_max_ps(x, y), "max");
    same(max_ps(a, a), _mm256_max_ps(x, x), "max");
    same(abs_ps(a), _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x), "abs");
    same(fmadd_ps(a, b, c), _mm256_fmadd_ps(x, y, z), "fmadd");
    same(fnmadd_ps(a, b, c), _mm256_fnmadd_ps(x, y, z), "fnmadd");
    same(fmaddsub_ps(a, b, c), _mm256_fmaddsub_ps(x, y, z), "fmaddsub");
    same(moveldup_ps(a), _mm256_moveldup_ps(x), "moveldup");
    same(movehdup_ps(a), _mm256_movehdup_ps(x), "movehdup");
    same(permute_ps<0xb1>(a), _mm256_permute_ps(x, 0xb1), "permute");
    same(permute_ps<0x1b>(a), _mm256_permute_ps(x, 0x1b), "permute");
    const auto ge = static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(x, y, _CMP_GE_OQ)));
    ASSERT_EQ((cmp_ps<_CMP_GE_OQ>(a, b)), ge);
    same(mask_mov_ps(a, ge, b), _mm256_blendv_ps(x, y, _mm256_cmp_ps(x, y, _CMP_GE_OQ)), "blend");
    // Both tables of the two-table permutation are permutations of one table.
    const I index = some_ints();
    const __m256i from = real(index);
    same(permutex2var_ps(a, index, b),
         _mm256_blendv_ps(_mm256_permutevar8x32_ps(x, from), _mm256_permutevar8x32_ps(y, from),
                          _mm256_castsi256_ps(_mm256_slli_epi32(from, 28))),
         "permutex2var");
    const Ints<16> half = cvtps_ph<_MM_FROUND_TO_NEAREST_INT>(a);
    const auto want = std::bit_cast<Ints<16>>(_mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
    for (std::size_t k = 0; k < 8; ++k)
      if (!std::isnan(get<float>(a)[k])) {
        ASSERT_EQ(get<std::uint16_t>(half)[k], get<std::uint16_t>(want)[k]);
      }
    same(cvtph_ps(half), _mm256_cvtph_ps(std::bit_cast<__m128i>(half)), "cvtph_ps");
    same(bits(a), _mm256_castps_si256(x), "cast");
    same(floats(bits(a)), x, "cast");
  }
}

TEST_F(EmulationTest, EveryHalf) {
  for (std::uint32_t first = 0; first < 65536; first += 8) {
    std::array<std::uint16_t, 8> halves;
    for (std::uint32_t i = 0; i < 8; ++i) halves[i] = static_cast<std::uint16_t>(first + i);
    const auto in = put<Ints<16>>(halves);
    same(cvtph_ps(in), _mm256_cvtph_ps(std::bit_cast<__m128i>(in)), "cvtph_ps");
  }
}

TEST_F(EmulationTest, Integers) {
  for (int i = 0; i < 20000; ++i) {
    const I a = some_ints(), b = some_ints(), c = some_ints();
    const __m256i x = real(a), y = real(b), z = real(c);
    same(add_epi16(a, b), _mm256_add_epi16(x, y), "add_epi16");
    same(add_epi32(a, b), _mm256_add_epi32(x, y), "add_epi32");
    same(sub_epi32(a, b), _mm256_sub_epi32(x, y), "sub_epi32");
    same(mullo_epi32(a, b), _mm256_mullo_epi32(x, y), "mullo_epi32");
    same(and_si(a, b), _mm256_and_si256(x, y), "and");
    same(slli_epi32(a, 5), _mm256_slli_epi32(x, 5), "slli");
    same(slli_epi32(a, 32), _mm256_slli_epi32(x, 32), "slli");
    same(srai_epi32(a, 16), _mm256_srai_epi32(x, 16), "srai");
    same(srai_epi32(a, 40), _mm256_srai_epi32(x, 40), "srai");
    same(madd_epi16(a, b), _mm256_madd_epi16(x, y), "madd");
    same(maddubs_epi16(a, b), _mm256_maddubs_epi16(x, y), "maddubs");
    same(srli_epi16(a, 4), _mm256_srli_epi16(x, 4), "srli_epi16");
    same(srli_epi16(a, 16), _mm256_srli_epi16(x, 16), "srli_epi16");
    same(shuffle_epi8(a, b), _mm256_shuffle_epi8(x, y), "shuffle_epi8");
    same(ternarylogic<0xca>(a, b, c),
         _mm256_or_si256(_mm256_and_si256(x, y), _mm256_andnot_si256(x, z)), "ternarylogic");
    same(ternarylogic<0x96>(a, b, c), _mm256_xor_si256(_mm256_xor_si256(x, y), z), "ternarylogic");
    same(with_half(a, half(b, 1), 1), _mm256_blend_epi32(x, y, 0xf0), "with_half");
    same(with_half(a, half(b, 0), 1), _mm256_permute2x128_si256(x, y, 0x20), "with_half");
    // Counts of words: of dwords whose upper half is empty.
    const auto words = [](__m256i v, int high) {
      return _mm256_cvtepu16_epi32(high ? _mm256_extracti128_si256(v, 1)
                                        : _mm256_castsi256_si128(v));
    };
    const __m256i counts = _mm256_and_si256(y, _mm256_set1_epi16(31));
    const auto shifted = [&](auto shift) {
      const __m256i word = _mm256_set1_epi32(0xffff);
      return _mm256_permute4x64_epi64(
          _mm256_packus_epi32(_mm256_and_si256(shift(words(x, 0), words(counts, 0)), word),
                              _mm256_and_si256(shift(words(x, 1), words(counts, 1)), word)),
          0xd8);
    };
    const I n = std::bit_cast<I>(counts);
    same(sllv_epi16(a, n), shifted([](__m256i v, __m256i by) { return _mm256_sllv_epi32(v, by); }),
         "sllv_epi16");
    same(srlv_epi16(a, n), shifted([](__m256i v, __m256i by) { return _mm256_srlv_epi32(v, by); }),
         "srlv_epi16");
    // A word is two bytes next to each other.
    const auto picked = get<std::uint16_t>(permutexvar_epi16(b, a));
    for (std::size_t k = 0; k < picked.size(); ++k) {
      const std::size_t from = get<std::uint16_t>(b)[k] % 16;
      ASSERT_EQ(picked[k],
                get<std::uint8_t>(a)[2 * from] | get<std::uint8_t>(a)[2 * from + 1] << 8);
    }
    same(cvtepi32_ps(a), _mm256_cvtepi32_ps(x), "cvtepi32_ps");
    ASSERT_EQ(cmpeq_epi32(a, b), static_cast<std::uint32_t>(_mm256_movemask_ps(
                                     _mm256_castsi256_ps(_mm256_cmpeq_epi32(x, y)))));
    // dpbusd of 64-bit halves of int16 pairs: the bytes widened, then madd twice.
    const auto products = [&](int high) {
      const __m128i u = high ? _mm256_extracti128_si256(x, 1) : _mm256_castsi256_si128(x),
                    s = high ? _mm256_extracti128_si256(y, 1) : _mm256_castsi256_si128(y);
      return _mm256_madd_epi16(_mm256_cvtepu8_epi16(u), _mm256_cvtepi8_epi16(s));
    };
    const __m256i four =
        _mm256_permute4x64_epi64(_mm256_hadd_epi32(products(0), products(1)), 0xd8);
    same(dpbusd_epi32(c, a, b), _mm256_add_epi32(z, four), "dpbusd");
  }
}

}  // namespace
}  // namespace assay::engine::emulation
#endif
