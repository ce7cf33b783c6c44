// Every table but the products (product_test.cpp) and attention (attention_test.cpp) against the
// scalar one, bit for bit, on hostile numbers; and the choice of tables.
#include "engine/kernels/kernels.hpp"

#include <cmath>
#include <gtest/gtest.h>

#include "engine/kernels/kernels_testutil.hpp"
#include "engine/kernels/self_check.hpp"

namespace assay::engine {
namespace {

using canon::test::bits;
using canon::test::Random;
using test::bits_of;

class KernelsTest : public testing::TestWithParam<test::Table> {
 protected:
  const Kernels& scalar_ = *scalar_kernels();
  const Kernels& vector_ = *GetParam().kernels;
};

constexpr std::size_t kLengths[] = {1,   2,   3,   4,    5,    7,    8,    9,    15,  16,
                                    17,  31,  32,  40,   128,  255,  256,  257,  288, 512,
                                    600, 768, 896, 1024, 1536, 2048, 2304, 3072, 4353};

// Ordinary, extreme and non-finite inputs; where a fault is reported, outputs are unspecified.
std::vector<std::vector<float>> inputs(std::size_t n, Random& random) {
  std::vector<std::vector<float>> out;
  for (const float largest : {1e-30f, 1.0f, 1e4f, 1e7f, 1e20f, 3e38f})
    out.push_back(random.hostile_values(n, largest));
  for (const float bad : {canon::test::kInfinity, -canon::test::kInfinity, canon::test::kNan}) {
    out.push_back(random.hostile_values(n, 1.0f));
    out.back()[random.below(static_cast<std::uint32_t>(n))] = bad;
  }
  return out;
}

TEST_P(KernelsTest, TwoRows) {
  int fine = 0, faults = 0;
  test::repeat(24, [&](std::uint32_t seed) {
    Random random(seed);
    for (const std::size_t n : kLengths)
      for (const auto& a : inputs(n, random))
        for (const auto& b : inputs(n, random)) {
          std::vector<float> y(n), z(n);
          const auto compare = [&](bool ok, bool also_ok, const char* what) {
            ASSERT_EQ(ok, also_ok) << what << " of " << n;
            ++(ok ? fine : faults);
            if (ok) {
              ASSERT_EQ(bits_of(y), bits_of(z)) << what << " of " << n;
            }
          };
          compare(scalar_.swiglu(a.data(), b.data(), n, y.data()),
                  vector_.swiglu(a.data(), b.data(), n, z.data()), "swiglu");
          compare(scalar_.rms_norm(a.data(), b.data(), n, 1e-5f, y.data()),
                  vector_.rms_norm(a.data(), b.data(), n, 1e-5f, z.data()), "rms_norm");
          y = z = a;
          compare(scalar_.rms_norm(y.data(), b.data(), n, 1e-6f, y.data()),
                  vector_.rms_norm(z.data(), b.data(), n, 1e-6f, z.data()), "rms_norm in place");
          y = z = a;
          compare(scalar_.add(y.data(), b.data(), n), vector_.add(z.data(), b.data(), n), "add");
          if (HasFatalFailure()) return;
        }
  });
  EXPECT_GT(fine, 1000);
  EXPECT_GT(faults, 1000);
}

TEST_P(KernelsTest, OneRow) {
  test::repeat(25, [&](std::uint32_t seed) {
    Random random(seed);
    for (const std::size_t n : kLengths)
      for (const auto& a : inputs(n, random)) {
        ASSERT_EQ(scalar_.all_finite(a.data(), n), vector_.all_finite(a.data(), n)) << n;
        std::vector<std::uint16_t> h(n), g(n + 1, 0xabcd);
        const bool ok = scalar_.to_fp16(a.data(), n, h.data());
        ASSERT_EQ(ok, vector_.to_fp16(a.data(), n, g.data())) << n;
        ASSERT_EQ(g.back(), 0xabcd) << "writes beyond its row";
        g.pop_back();
        if (ok) {
          ASSERT_EQ(h, g) << n;
        }
        std::uint32_t at = 0, also_at = 0;
        const bool finite = scalar_.arg_max(a.data(), n, &at);
        ASSERT_EQ(finite, vector_.arg_max(a.data(), n, &also_at)) << n;
        if (!finite) continue;
        ASSERT_EQ(at, also_at) << n;
        std::vector<float> p(n), q(n + 1, 7.0f);
        scalar_.exp_below(a.data(), n, a[at], p.data());
        vector_.exp_below(a.data(), n, a[at], q.data());
        ASSERT_EQ(q.back(), 7.0f) << "writes beyond its row";
        q.pop_back();
        ASSERT_EQ(bits_of(p), bits_of(q)) << n;
      }
  });
}

// The largest value in every place alone, then in a later one too; zeros of either sign tie.
TEST_P(KernelsTest, ArgMaxIsTheFirstOfTies) {
  for (const std::size_t n : {1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 100})
    for (std::size_t first = 0; first < n; ++first)
      for (const float largest : {-1.0f, -0.0f, 0.0f, 3e38f}) {
        std::vector<float> x(n, -2.0f);
        x[first] = largest;
        for (std::size_t second = first; second < n; second += 5) {
          x[second] = second == first ? largest : largest == 0.0f ? -largest : largest;
          std::uint32_t at = 1000;
          ASSERT_TRUE(vector_.arg_max(x.data(), n, &at));
          ASSERT_EQ(at, first) << second << " of " << n;
        }
        x[n - 1 - first] = canon::test::kNan;
        std::uint32_t at = 0;
        ASSERT_FALSE(vector_.arg_max(x.data(), n, &at));
      }
}

// Every float between two neighbouring fp16 values that matter: ties, the step into subnormals, the
// edge of overflow.
TEST_P(KernelsTest, Fp16Edges) {
  std::vector<float> x;
  for (const std::uint32_t around : {0x33000000u, 0x33800000u, 0x387fc000u, 0x38800000u,
                                     0x3f801000u, 0x3f803000u, 0x477fe000u, 0x477ff000u})
    for (std::uint32_t i = 0; i < 64; ++i)
      for (const std::uint32_t sign : {0u, 0x80000000u})
        x.push_back(std::bit_cast<float>((around + i - 32) | sign));
  for (const float v : x) {
    std::uint16_t h = 0, g = 0;
    ASSERT_EQ(scalar_.to_fp16(&v, 1, &h), vector_.to_fp16(&v, 1, &g)) << bits(v);
    ASSERT_TRUE((h & 0x7c00u) == 0x7c00u || h == g) << bits(v);
  }
}

TEST_P(KernelsTest, Rope) {
  test::repeat(26, [&](std::uint32_t seed) {
    Random random(seed);
    for (const std::size_t n :
         {2, 4, 6, 8, 10, 12, 16, 18, 30, 32, 34, 48, 62, 64, 66, 80, 96, 100, 128, 130, 256, 300})
      for (int repeat = 0; repeat < 20; ++repeat) {
        const auto row = random.hostile_values(n, 1.0f);
        auto a = random.hostile_values(n, 1e10f), b = a, c = a, d = a;
        scalar_.rope_neighbours(a.data(), row.data(), n);
        vector_.rope_neighbours(b.data(), row.data(), n);
        ASSERT_EQ(bits_of(a), bits_of(b)) << n;
        scalar_.rope_halves(c.data(), row.data(), n);
        vector_.rope_halves(d.data(), row.data(), n);
        ASSERT_EQ(bits_of(c), bits_of(d)) << n;
      }
  });
}

TEST_P(KernelsTest, PassesTheSelfTest) {
  EXPECT_EQ(self_test(vector_).value_or(""), "");
  EXPECT_EQ(kPagePositions % vector_.key_lanes, 0u);
}

// A machine with none of them has nothing to compare.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(KernelsTest);
INSTANTIATE_TEST_SUITE_P(Every, KernelsTest, testing::ValuesIn(test::tables()),
                         [](const auto& p) { return p.param.name; });

// The comparisons are not vacuous: another order of the same sum gives other bits.
TEST(KernelsTestItself, TheOrderOfAChainShows) {
  Random random(22);
  int differ = 0;
  for (int i = 0; i < 200; ++i) {
    const auto x = random.hostile_values(512, 10.0f), w = random.hostile_values(512, 10.0f);
    const auto chain = [&](std::size_t segment) {
      float total = 0;
      for (std::size_t s = 0; s < 512; s += segment) {
        float acc = 0;
        for (std::size_t k = s; k < s + segment; ++k) acc = std::fma(w[k], x[k], acc);
        total += acc;
      }
      return total;
    };
    differ += bits(chain(256)) != bits(chain(128));
  }
  EXPECT_GT(differ, 100);
}

// Every entry of a table, replaced by one that is almost right, is found.
TEST(SelfTest, FindsEveryWrongEntry) {
  static const Kernels& good = *scalar_kernels();
  ASSERT_EQ(self_test(good), std::nullopt);
  std::vector<std::pair<std::string, Kernels>> wrong;
  const auto with = [&](std::string what, auto change) {
    Kernels k = good;
    k.isa = Isa::avx2;
    change(k);
    wrong.emplace_back(std::move(what), k);
  };
  with("product", [&](Kernels& k) {
    k.product = [](const Matrix& w, std::uint32_t begin, std::uint32_t end, const Activations& a,
                   std::uint32_t tokens, float* y, std::size_t stride, std::byte* scratch) {
      good.product(w, begin, end, a, tokens, y, stride, scratch);
      if (w.format == canon::Format::q6_k) y[end - 1] += std::fabs(y[end - 1]) * 0x1p-23f;
    };
  });
  with("rms_norm", [&](Kernels& k) {
    k.rms_norm = [](const float* x, const float* w, std::size_t n, float, float* y) {
      return good.rms_norm(x, w, n, 1e-6f, y);
    };
  });
  with("quantize_q8", [&](Kernels& k) {
    k.quantize_q8 = [](const float* x, std::size_t n, std::int8_t* q, float* scale) {
      const bool ok = good.quantize_q8(x, n, q, scale);
      for (std::size_t i = 0; ok && i < n; ++i)  // half away from zero
        if (scale[i / 32] > 0 && std::fabs(x[i] / scale[i / 32]) < 127)
          q[i] = static_cast<std::int8_t>(std::lround(x[i] / scale[i / 32]));
      return ok;
    };
  });
  with("quantize_q8k", [&](Kernels& k) {
    k.quantize_q8k = [](const float* x, std::size_t n, std::int8_t* q, float* scale,
                        std::int16_t* sums) {
      const bool ok = good.quantize_q8k(x, n, q, scale, sums);
      sums[0] = static_cast<std::int16_t>(sums[0] + 1);
      return ok;
    };
  });
  with("rope of neighbours", [&](Kernels& k) { k.rope_neighbours = good.rope_halves; });
  with("rope of halves", [&](Kernels& k) { k.rope_halves = good.rope_neighbours; });
  with("to_fp16", [&](Kernels& k) {
    k.to_fp16 = [](const float* x, std::size_t n, std::uint16_t* out) {
      const bool ok = good.to_fp16(x, n, out);
      for (std::size_t i = 0; i < n; ++i)  // subnormals flushed
        if ((out[i] & 0x7c00u) == 0) out[i] &= 0x8000u;
      return ok;
    };
  });
  with("swiglu", [&](Kernels& k) {
    k.swiglu = [](const float* gate, const float* up, std::size_t n, float* y) {
      const bool ok = good.swiglu(gate, up, n, y);
      y[n - 1] = y[n - 1] == 0 ? 0 : y[n - 1];  // loses the sign of a zero
      return ok;
    };
  });
  with("add", [&](Kernels& k) {
    k.add = [](float* x, const float* y, std::size_t n) {
      good.add(x, y, n);
      return true;  // misses faults
    };
  });
  with("all_finite", [&](Kernels& k) {
    k.all_finite = [](const float* x, std::size_t n) { return good.all_finite(x, n / 2); };
  });
  with("arg_max", [&](Kernels& k) {
    k.arg_max = [](const float* x, std::size_t n, std::uint32_t* at) {
      const bool ok = good.arg_max(x, n, at);
      for (std::size_t i = *at; ok && i < n; ++i)  // the last on ties
        if (x[i] == x[*at]) *at = static_cast<std::uint32_t>(i);
      return ok;
    };
  });
  with("exp_below", [&](Kernels& k) {
    k.exp_below = [](const float* z, std::size_t n, float maximum, float* p) {
      for (std::size_t i = 0; i < n; ++i) p[i] = std::exp(z[i] - maximum);
    };
  });
  with("attention", [&](Kernels& k) {
    k.attend = [](const AttentionRow* rows, std::uint32_t count, const AttentionCache& cache,
                  float scale, float* scratch) {
      good.attend(rows, count, cache, scale, scratch);
      if (count > 20) rows[20].out[cache.head_dim - 1] *= 1.0f + 0x1p-23f;
    };
  });
  for (const auto& [what, kernels] : wrong) {
    const auto failure = self_test(kernels);
    ASSERT_TRUE(failure) << what;
    EXPECT_NE(failure->find(what), std::string::npos) << *failure;
    // It is never chosen, though it claims to be faster.
    const Kernels* tables[] = {&good, &kernels};
    const auto verdicts = judge(tables);
    EXPECT_EQ(fastest(verdicts), &good) << what;
    EXPECT_EQ(verdicts[1].failure, failure);
  }
}

TEST(SelfTest, EveryTableOfThisMachineIsUsed) {
  EXPECT_EQ(self_test_failures(), "");
  for (const Isa isa : all_isas()) EXPECT_EQ(isa_available(isa), find_kernels(isa) != nullptr);
  EXPECT_EQ(best_isa(), verdicts().back().kernels->isa);
}

TEST(Isa, UnavailableOnesSaySo) {
  EXPECT_EQ(*parse_isa("scalar"), Isa::scalar);
  EXPECT_EQ(parse_isa("sse9").error().code, Errc::invalid);
  int unavailable = 0;
  for (const Isa isa : all_isas())
    if (!isa_available(isa)) {
      ++unavailable;
      EXPECT_EQ(parse_isa(isa_name(isa)).error().code, Errc::unavailable);
    } else {
      EXPECT_EQ(*parse_isa(isa_name(isa)), isa);
    }
  EXPECT_GE(unavailable, 2);  // no machine has both AVX-512 and NEON
  EXPECT_TRUE(isa_available(best_isa()));
}

}  // namespace
}  // namespace assay::engine
