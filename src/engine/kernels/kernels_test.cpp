// Every table available on this machine against the scalar one, bit for bit, on hostile numbers.
#include "engine/kernels/kernels.hpp"

#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "canon/attention.hpp"
#include "canon/canon_testutil.hpp"
#include "canon/fp16.hpp"
#include "engine/kernels/fp_environment.hpp"
#include "engine/session.hpp"
#include "engine/weights.hpp"

namespace assay::engine {
namespace {

using canon::test::bits;
using canon::test::Random;

std::vector<std::uint32_t> bits_of(std::span<const float> v) {
  std::vector<std::uint32_t> out;
  for (float x : v) out.push_back(bits(x));
  return out;
}

class KernelsTest : public testing::TestWithParam<Isa> {
 protected:
  const Kernels& scalar_ = *scalar_kernels();
  const Kernels* vector_ = find_kernels(GetParam());
};

constexpr std::size_t kLengths[] = {1,   2,   7,   8,   9,   15,  16,  17,   31,   32,  40,
                                    255, 256, 257, 288, 512, 600, 768, 2048, 2304, 4353};
constexpr TensorType kTypes[] = {TensorType::f32, TensorType::f16, TensorType::bf16,
                                 TensorType::q8_0, TensorType::q4_0};

// Finite weights of every kind: −128 quants, subnormal and huge scales.
Bytes hostile_weights(TensorType type, std::uint64_t count, Random& random) {
  Bytes out;
  for (std::uint64_t i = 0; i < count / block_shape(type).values; ++i) {
    if (type == TensorType::f32) {
      append_le(out, bits(random.hostile(1e3f)));
    } else if (type == TensorType::bf16) {
      append_le(out, static_cast<std::uint16_t>(bits(random.hostile(1e3f)) >> 16));
    } else {
      append_le(out, random.finite_half());
      for (std::uint32_t b = 2; b < block_shape(type).bytes; ++b)
        out.push_back(static_cast<std::uint8_t>(random.below(5) == 0 ? 0x80 : random.bits()));
    }
  }
  return out;
}

struct Rows {
  std::vector<float> x, scale;
  std::vector<std::int8_t> q;
  Activations view() const { return {x.data(), q.data(), scale.data()}; }
};

Rows hostile_rows(std::size_t tokens, std::size_t cols, Random& random) {
  Rows r{random.hostile_values(tokens * cols, 1e5f), std::vector<float>(tokens * (cols / 32) + 1),
         std::vector<std::int8_t>(tokens * cols + 1)};
  for (std::size_t t = 0; t < tokens && cols % 32 == 0; ++t)
    EXPECT_TRUE(scalar_kernels()->quantize(&r.x[t * cols], cols, &r.q[t * cols],
                                           &r.scale[t * (cols / 32)]));
  return r;
}

TEST_P(KernelsTest, Products) {
  Random random(21);
  std::size_t compared = 0;
  for (const TensorType type : kTypes)
    for (const std::uint64_t cols : {32, 64, 224, 256, 288, 512, 800, 1, 33, 257, 300})
      for (const std::uint64_t rows : {1, 7, 8, 16, 17, 40}) {
        if (cols % block_shape(type).values != 0) continue;
        const Bytes data = hostile_weights(type, cols * rows, random);
        const Tensor tensor{"w", type, {cols, rows}, data};
        MatrixStore raw(scalar_.group), packed(vector_->group);
        const Matrix a = raw.add(tensor), b = packed.add(tensor);
        for (const std::uint32_t tokens : {1, 2, 3, 4, 7, 9}) {
          const Rows x = hostile_rows(tokens, cols, random);
          std::vector<float> want(tokens * rows, -1.0f), got(tokens * rows, -2.0f);
          const auto end = static_cast<std::uint32_t>(rows);
          scalar_.product(a, 0, end, x.view(), tokens, want.data(), rows);
          // In two parts, as threads would.
          const std::uint32_t split = end > kRowGroup ? kRowGroup : end;
          vector_->product(b, 0, split, x.view(), tokens, got.data(), rows);
          if (split < end) vector_->product(b, split, end, x.view(), tokens, got.data(), rows);
          ASSERT_EQ(bits_of(want), bits_of(got)) << type_name(static_cast<std::uint32_t>(type))
                                                 << " " << cols << "x" << rows << " " << tokens;
          compared += want.size();
        }
      }
  EXPECT_GT(compared, 10000u);
}

// The comparison above is not vacuous: another order of the same sum gives other bits.
TEST(KernelsTestItself, TheOrderOfAChainShows) {
  Random random(22);
  int differ = 0;
  for (int i = 0; i < 200; ++i) {
    auto x = random.hostile_values(512, 10.0f);
    const auto w = random.hostile_values(512, 10.0f);
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

TEST_P(KernelsTest, Quantize) {
  Random random(23);
  int faults = 0, fine = 0;
  for (const std::size_t n : {32, 64, 256, 800})
    for (int repeat = 0; repeat < 20; ++repeat)
      for (const auto& x : inputs(n, random)) {
        std::vector<std::int8_t> q(n), q2(n);
        std::vector<float> d(n / 32), d2(n / 32);
        const bool ok = scalar_.quantize(x.data(), n, q.data(), d.data());
        ASSERT_EQ(ok, vector_->quantize(x.data(), n, q2.data(), d2.data()));
        (ok ? fine : faults)++;
        if (!ok) continue;
        ASSERT_EQ(q, q2);
        ASSERT_EQ(bits_of(d), bits_of(d2));
      }
  EXPECT_GT(faults, 100);
  EXPECT_GT(fine, 100);
}

TEST_P(KernelsTest, Elementwise) {
  Random random(24);
  for (const std::size_t n : kLengths) {
    const auto first = inputs(n, random), second = inputs(n, random);
    for (const auto& a : first)
      for (const auto& b : second) {
        std::vector<float> y(n), y2(n);
        bool ok = scalar_.swiglu(a.data(), b.data(), n, y.data());
        ASSERT_EQ(ok, vector_->swiglu(a.data(), b.data(), n, y2.data())) << n;
        if (ok) {
          ASSERT_EQ(bits_of(y), bits_of(y2)) << n;
        }

        ok = scalar_.rms_norm(a.data(), b.data(), n, 1e-5f, y.data());
        ASSERT_EQ(ok, vector_->rms_norm(a.data(), b.data(), n, 1e-5f, y2.data())) << n;
        if (ok) {
          ASSERT_EQ(bits_of(y), bits_of(y2)) << n;
        }

        y = y2 = a;
        ok = scalar_.add_residual(y.data(), b.data(), n);
        ASSERT_EQ(ok, vector_->add_residual(y2.data(), b.data(), n)) << n;
        if (ok) {
          ASSERT_EQ(bits_of(y), bits_of(y2)) << n;
        }
      }
    for (const auto& a : first) {
      ASSERT_EQ(scalar_.all_finite(a.data(), n), vector_->all_finite(a.data(), n));
      std::vector<std::uint16_t> h(n), h2(n);
      const bool ok = scalar_.to_fp16(a.data(), n, h.data());
      ASSERT_EQ(ok, vector_->to_fp16(a.data(), n, h2.data()));
      if (ok) {
        ASSERT_EQ(h, h2);
      }
    }
  }
}

TEST_P(KernelsTest, Rope) {
  Random random(25);
  for (const std::size_t n : {2, 4, 6, 8, 10, 48, 64, 128, 130}) {
    const auto row = random.hostile_values(n, 1.0f);
    auto a = random.hostile_values(n, 1e10f), b = a;
    scalar_.rope(a.data(), row.data(), n);
    vector_->rope(b.data(), row.data(), n);
    ASSERT_EQ(bits_of(a), bits_of(b)) << n;
  }
}

// One cache in both layouts.
struct CachePair {
  std::vector<std::uint16_t> plain, lanes, values;
  std::uint32_t head_dim, stride;
  std::uint32_t key_lanes;
  CachePair(std::uint32_t dim, std::uint32_t positions, std::uint32_t lane_count, Random& random,
            float largest)
      : head_dim(dim), stride((dim + 15) / 16 * 16), key_lanes(lane_count) {
    const std::size_t capacity =
        (positions + kPositionPadding - 1) / kPositionPadding * kPositionPadding;
    plain.assign(capacity * dim, 0);
    lanes.assign(capacity * dim, 0);
    values.assign(capacity * stride, 0);
    for (std::size_t p = 0; p < positions; ++p)
      for (std::size_t d = 0; d < dim; ++d) {
        plain[p * dim + d] = canon::to_fp16(random.hostile(largest));
        lanes[(p / lane_count * dim + d) * lane_count + p % lane_count] = plain[p * dim + d];
        values[p * stride + d] = random.finite_half();
      }
  }
  AttentionCache scalar() const { return {plain.data(), values.data(), head_dim, stride}; }
  AttentionCache vector() const { return {lanes.data(), values.data(), head_dim, stride}; }
};

void compare_attention(const Kernels& scalar, const Kernels& vector, const CachePair& cache,
                       const std::vector<std::uint32_t>& positions, Random& random, float largest,
                       int& faults) {
  const std::size_t n = positions.size(), dim = cache.head_dim;
  auto q = random.hostile_values(n * dim, largest);
  std::vector<float> want(n * dim), got(n * dim);
  std::vector<std::uint8_t> fault(n, 0), fault2(n, 0);
  std::vector<AttentionRow> a, b;
  for (std::size_t r = 0; r < n; ++r) {
    a.push_back({&q[r * dim], &want[r * dim], positions[r], &fault[r]});
    b.push_back({&q[r * dim], &got[r * dim], positions[r], &fault2[r]});
  }
  const auto count = static_cast<std::uint32_t>(n);
  const float scale = canon::attention_scale(cache.head_dim);
  std::vector<float> scratch(attention_scratch(positions.back(), cache.stride));
  scalar.attend(a.data(), count, cache.scalar(), scale, scratch.data());
  vector.attend(b.data(), count, cache.vector(), scale, scratch.data());
  ASSERT_EQ(fault, fault2);
  for (std::size_t r = 0; r < n; ++r) {
    faults += fault[r];
    if (fault[r]) continue;
    ASSERT_EQ(bits_of({&want[r * dim], dim}), bits_of({&got[r * dim], dim}))
        << "dim " << dim << " row " << r << " of " << n << " positions " << positions[r];
  }
}

TEST_P(KernelsTest, Attention) {
  Random random(26);
  int faults = 0;
  for (const std::uint32_t dim : {2, 8, 18, 48, 64, 128, 320})
    for (const float largest : {1.0f, 30.0f, 1e38f}) {
      const CachePair cache(dim, 800, vector_->key_lanes, random, 4.0f);
      for (std::uint32_t n = 1; n <= kAttentionRows; ++n) {
        // Neighbouring positions in twos, as two heads of each token; starts straddle segments.
        for (const std::uint32_t first : {1u, 7u, 254u, 256u, 509u, 700u}) {
          std::vector<std::uint32_t> positions;
          for (std::uint32_t r = 0; r < n; ++r) positions.push_back(first + r / 2);
          compare_attention(scalar_, *vector_, cache, positions, random, largest, faults);
          if (HasFatalFailure()) return;
        }
      }
    }
  EXPECT_GT(faults, 0);
}

TEST_P(KernelsTest, AttentionOverMoreThan256Segments) {
  Random random(27);
  int faults = 0;
  const std::uint32_t positions = 257 * 256 + 3;
  const CachePair cache(2, positions, vector_->key_lanes, random, 0.5f);
  compare_attention(scalar_, *vector_, cache, {positions - 1, positions}, random, 1.0f, faults);
  EXPECT_EQ(faults, 0);
}

std::vector<Isa> vector_tables() {
  std::vector<Isa> out;
  for (const Isa isa : {Isa::avx2, Isa::avx512, Isa::neon})
    if (isa_available(isa)) out.push_back(isa);
  return out;
}
// A machine with none of them has nothing to compare.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(KernelsTest);
INSTANTIATE_TEST_SUITE_P(Every, KernelsTest, testing::ValuesIn(vector_tables()),
                         [](const auto& p) { return std::string(isa_name(p.param)); });

TEST(Isa, UnavailableOnesSaySo) {
  EXPECT_EQ(*parse_isa("scalar"), Isa::scalar);
  EXPECT_EQ(parse_isa("sse9").error().code, Errc::invalid);
  for (const Isa isa : {Isa::avx2, Isa::avx512, Isa::neon})
    if (!isa_available(isa)) {
      EXPECT_EQ(parse_isa(isa_name(isa)).error().code, Errc::unavailable);
    }
  EXPECT_TRUE(isa_available(best_isa()));
}

#if defined(__x86_64__)
TEST(FpEnvironment, IsSetAndRestored) {
  const unsigned before = _mm_getcsr(), hostile = 0xffc0 & ~0x3fu;  // FTZ, DAZ, round to zero
  _mm_setcsr(hostile);
  {
    const FpEnvironment environment;
    EXPECT_EQ(_mm_getcsr() & 0xffc0u, 0x1f80u);
  }
  const unsigned after = _mm_getcsr();
  _mm_setcsr(before);
  EXPECT_EQ(after & 0xffc0u, hostile & 0xffc0u);
}
#endif

}  // namespace
}  // namespace assay::engine
