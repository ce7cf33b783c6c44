// Products and quantizers of every table that runs here against canon, bit for bit, on hostile
// numbers: extreme quants with extreme scales, subnormal, zero, negative and huge scales, tails,
// unaligned rows. ASSAY_SEED repeats a random run, ASSAY_SOAK_SECONDS lengthens it.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>

#include "canon/canon_testutil.hpp"
#include "canon/fp16.hpp"
#include "canon/q8.hpp"
#include "canon/q8k.hpp"
#include "engine/kernels/kernels.hpp"
#include "engine/kernels/kernels_testutil.hpp"

namespace assay::engine {
namespace {

using canon::Activation;
using canon::Format;
using canon::test::bits;
using canon::test::Random;

constexpr Format kFormats[] = {Format::f32,  Format::f16,  Format::bf16, Format::q8_0,
                               Format::q4_0, Format::q4_k, Format::q5_k, Format::q6_k};

// Memory that ends where the data ends, at an odd address, so that a sanitizer sees every overread.
class OddBytes {
 public:
  explicit OddBytes(std::size_t n) : storage_(new std::uint8_t[n + 1]), size_(n) {}
  std::uint8_t* data() { return storage_.get() + 1; }
  std::size_t size() const { return size_; }

 private:
  std::unique_ptr<std::uint8_t[]> storage_;
  std::size_t size_;
};

// Scales: all alike, so that the order of sums shows, or of every size.
enum class Data { calm, hostile };

Data any_data(Random& random) { return random.below(2) ? Data::calm : Data::hostile; }

std::uint16_t half(Data data, Random& random) {
  if (data == Data::calm)
    return static_cast<std::uint16_t>(0x2800 + random.below(0x800) + 0x8000 * random.below(2));
  constexpr std::uint16_t kSpecial[] = {0x0000, 0x8000, 0x0001, 0x83ff, 0x7bff, 0xfbff, 0x3c00};
  return random.below(3) == 0 ? kSpecial[random.below(7)] : random.finite_half();
}

void put_half(std::uint8_t* p, std::uint16_t h) { std::memcpy(p, &h, 2); }

void put_scales(Format format, Data data, std::uint8_t* block, Random& random) {
  switch (format) {
    case Format::q4_k:
    case Format::q5_k:
      put_half(block + 2, half(data, random));
      [[fallthrough]];
    case Format::f16:
    case Format::q8_0:
    case Format::q4_0:
      return put_half(block, half(data, random));
    case Format::q6_k:
      return put_half(block + 208, half(data, random));
    case Format::f32:
    case Format::bf16: {
      const std::uint32_t v = bits(random.hostile(data == Data::calm ? 1.0f : 1e6f));
      if (format == Format::f32) return void(std::memcpy(block, &v, 4));
      return put_half(block, static_cast<std::uint16_t>(v >> 16));
    }
  }
}

// Rows of random bytes, or of one byte everywhere: then quants, block scales and minimums are all
// extreme at once.
void fill_rows(Format format, Data data, OddBytes& out, Random& random) {
  constexpr std::uint8_t kPatterns[] = {0x00, 0xff, 0x80, 0x7f, 0x88, 0x81};
  const auto& f = canon::info(format);
  for (std::size_t at = 0; at < out.size(); at += f.block_bytes) {
    std::uint8_t* block = out.data() + at;
    const bool constant = random.below(3) == 0;
    const std::uint8_t pattern = kPatterns[random.below(6)];
    for (std::uint32_t i = 0; i < f.block_bytes; ++i)
      block[i] = constant ? pattern : static_cast<std::uint8_t>(random.bits());
    put_scales(format, data, block, random);
  }
}

struct Tokens {
  std::vector<float> x, q8_scale, q8k_scale;
  std::vector<std::int8_t> q8, q8k;
  std::vector<std::int16_t> q8k_sums;
  struct {
    std::vector<std::int8_t> q8, q8k;
    std::vector<float> q8_scale, q8k_scale;
    std::vector<std::int16_t> q8k_sums;
  } packed;
  std::size_t cols;

  Tokens(std::size_t count, std::size_t columns, Data data, Random& random) : cols(columns) {
    x = random.hostile_values(count * cols, data == Data::calm ? 1.0f : 1e6f);
    q8.resize(count * cols);
    for (std::size_t at = 0; at < q8.size(); at += 32) {
      const std::uint32_t kind = random.below(4);
      for (std::size_t i = at; i < std::min(at + 32, q8.size()); ++i)
        q8[i] = static_cast<std::int8_t>(kind == 0   ? 127
                                         : kind == 1 ? -127
                                                     : static_cast<int>(random.below(255)) - 127);
    }
    q8k = q8;
    for (std::size_t i = 0; i < count * (cols / 32); ++i) q8_scale.push_back(scale(data, random));
    for (std::size_t i = 0; i < count * (cols / 256); ++i) q8k_scale.push_back(scale(data, random));
    if (cols % 256 != 0) return;
    for (std::size_t at = 0; at < q8k.size(); at += 16) {
      int sum = 0;
      for (std::size_t i = at; i < at + 16; ++i) sum += q8k[i];
      q8k_sums.push_back(static_cast<std::int16_t>(sum));
    }
  }
  static float scale(Data data, Random& random) {
    return std::abs(canon::from_fp16(half(data, random)));
  }

  // As `kernels` keeps them: segments of 256 columns, each of all tokens.
  Activations view(const Kernels& kernels) {
    const std::size_t count = x.size() / cols, segments = (cols + 255) / 256;
    // What lies in places that no column has must not matter.
    packed = {std::vector<std::int8_t>(count * segments * 256, 99),
              std::vector<std::int8_t>(count * segments * 256, 99),
              std::vector<float>(count * segments * 8, -7.0f), std::vector<float>(count * segments),
              std::vector<std::int16_t>(count * segments * 16)};
    for (std::size_t t = 0; t < count && cols % 32 == 0; ++t)
      for (std::size_t c = 0; c < cols; ++c) {
        const std::size_t place = c / 256 * count + t, from = t * cols + c;
        packed.q8[place * 256 + c % 256] = static_cast<std::int8_t>(q8[from] ^ kernels.q8_flip);
        packed.q8_scale[place * 8 + c % 256 / 32] = q8_scale[t * (cols / 32) + c / 32];
        if (q8k_sums.empty()) continue;
        packed.q8k[place * 256 + c % 256] = q8k[from];
        packed.q8k_scale[place] = q8k_scale[t * (cols / 256) + c / 256];
        packed.q8k_sums[place * 16 + c % 256 / 16] = q8k_sums[from / 16];
      }
    return {x.data(),
            packed.q8.data(),
            packed.q8_scale.data(),
            packed.q8k.data(),
            packed.q8k_scale.data(),
            packed.q8k_sums.data(),
            count};
  }
  canon::ActivationRow row(std::size_t t) const {
    return {{&x[t * cols], cols},
            {&q8[t * cols], cols},
            {q8_scale.data() + t * (cols / 32), cols / 32},
            {&q8k[t * cols], cols},
            {q8k_scale.data() + t * (cols / 256), cols / 256}};
  }
};

struct Scratch {
  explicit Scratch(std::uint32_t cols)
      : size((product_scratch(cols) + 63) / 64 * 64),
        bytes(static_cast<std::byte*>(std::aligned_alloc(64, size))) {}
  ~Scratch() { std::free(bytes); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::size_t size;
  std::byte* bytes;
};

bool same(float a, float b) { return bits(a) == bits(b) || (a != a && b != b); }

class Case {
 public:
  Case(Format format, std::uint32_t rows, std::uint32_t cols, std::uint32_t tokens, Random& random)
      : format_(format),
        rows_(rows),
        cols_(cols),
        row_bytes_(cols / canon::info(format).block_values * canon::info(format).block_bytes),
        data_(rows * row_bytes_),
        tokens_(tokens, cols, any_data(random), random),
        want_(std::size_t{tokens} * rows) {
    fill_rows(format, any_data(random), data_, random);
    for (std::uint32_t t = 0; t < tokens; ++t)
      for (std::uint32_t r = 0; r < rows; ++r)
        want_[t * rows + r] =
            canon::row_product(format, data_.data() + r * row_bytes_, cols, tokens_.row(t));
  }

  // The first `rows` rows with the first `tokens` tokens, in parts as threads would.
  void check(const test::Table& table, std::uint32_t rows, std::uint32_t tokens) {
    const std::size_t stride = rows + 5;
    const Matrix w{format_, rows, cols_, data_.data(), row_bytes_};
    std::vector<float> y(tokens * stride, -7.5f);
    Scratch scratch(cols_);
    const std::uint32_t split = rows > kRowGroup ? kRowGroup : rows;
    table.kernels->product(w, 0, split, tokens_.view(*table.kernels), tokens, y.data(), stride,
                           scratch.bytes);
    if (split < rows)
      table.kernels->product(w, split, rows, tokens_.view(*table.kernels), tokens, y.data(), stride,
                             scratch.bytes);
    for (std::uint32_t t = 0; t < tokens; ++t) {
      for (std::uint32_t r = 0; r < rows; ++r)
        ASSERT_TRUE(same(want_[t * rows_ + r], y[t * stride + r]))
            << table.name << ' ' << canon::info(format_).name << ' ' << rows << 'x' << cols_ << ", "
            << tokens << " tokens: row " << r << " token " << t << " is " << y[t * stride + r]
            << ", canon says " << want_[t * rows_ + r];
      for (std::size_t r = rows; r < stride; ++r) ASSERT_EQ(y[t * stride + r], -7.5f);
    }
  }

 private:
  Format format_;
  std::uint32_t rows_, cols_;
  std::size_t row_bytes_;
  OddBytes data_;
  Tokens tokens_;
  std::vector<float> want_;
};

class ProductTest : public testing::TestWithParam<test::Table> {
 protected:
  const Kernels& kernels_ = *GetParam().kernels;
};

TEST_P(ProductTest, EveryShape) {
  Random random(31);
  constexpr std::uint32_t kTokens[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 33, 130};
  for (const Format format : kFormats)
    for (const std::uint32_t cols : {1, 7, 8, 33, 257, 32, 64, 96, 256, 288, 512, 768, 1024}) {
      if (cols % canon::info(format).block_values != 0) continue;
      Case c(format, 100, cols, cols <= 288 ? 130 : 17, random);
      for (const std::uint32_t rows : {1, 7, 31, 32, 33, 64, 100})
        for (const std::uint32_t tokens : kTokens) {
          if (tokens > 17 && (cols > 288 || rows == 7 || rows == 31)) continue;
          c.check(GetParam(), rows, tokens);
          if (HasFatalFailure()) return;
        }
    }
}

TEST_P(ProductTest, LongRows) {
  Random random(32);
  for (const Format format : kFormats)
    for (const std::uint32_t cols : {2304, 2816, 4096}) {
      Case c(format, 33, cols, 9, random);
      for (const std::uint32_t tokens : {1, 4, 9}) {
        c.check(GetParam(), 33, tokens);
        if (HasFatalFailure()) return;
      }
    }
}

TEST_P(ProductTest, RandomShapes) {
  const char *seed_text = std::getenv("ASSAY_SEED"), *soak = std::getenv("ASSAY_SOAK_SECONDS");
  const auto begin = std::chrono::steady_clock::now();
  const double taken_s = soak ? std::strtod(soak, nullptr) : 0.5;
  std::uint32_t seed = seed_text ? static_cast<std::uint32_t>(std::strtoul(seed_text, nullptr, 10))
                                 : static_cast<std::uint32_t>(begin.time_since_epoch().count());
  do {
    SCOPED_TRACE("repeat with ASSAY_SEED=" + std::to_string(seed));
    Random random(seed);
    const Format format = kFormats[random.below(8)];
    const std::uint32_t unit = canon::info(format).block_values;
    const std::uint32_t cols = unit * (1 + random.below(1500 / unit)), rows = 1 + random.below(70),
                        tokens = 1 + random.below(24);
    Case(format, rows, cols, tokens, random).check(GetParam(), rows, tokens);
    if (HasFatalFailure()) return;
    ++seed;
  } while (!seed_text &&
           std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() <
               taken_s);
}

// The comparisons above are not vacuous: other orders of the same sums give other bits.
TEST(ProductTestItself, TheOrderOfAChainShows) {
  Random random(33);
  int q8 = 0, q4k = 0;
  for (int i = 0; i < 200; ++i) {
    const Tokens tokens(1, 1024, Data::calm, random);
    const auto a = tokens.row(0);
    OddBytes row(1024 / 32 * 34), super(4 * 144);
    fill_rows(Format::q8_0, Data::calm, row, random);
    fill_rows(Format::q4_k, Data::calm, super, random);
    // Segments of four blocks, not eight.
    float total = 0.0f;
    for (std::size_t b = 0; b < 32; b += 4)
      total +=
          canon::row_q8_0(row.data() + b * 34, a.q8.subspan(b * 32, 128), a.q8_scale.subspan(b, 4));
    q8 += !same(total, canon::row_product(Format::q8_0, row.data(), 1024, a));
    // Two halves of a row.
    const float halves =
        canon::row_q4_k(super.data(), a.q8k.first(512), a.q8k_scale.first(2)) +
        canon::row_q4_k(super.data() + 288, a.q8k.subspan(512), a.q8k_scale.subspan(2));
    q4k += !same(halves, canon::row_product(Format::q4_k, super.data(), 1024, a));
  }
  EXPECT_GT(q8, 100);
  EXPECT_GT(q4k, 20);
}

// Ordinary, extreme and non-finite inputs; where a fault is reported, outputs are unspecified.
std::vector<std::vector<float>> quantizer_inputs(std::size_t n, Random& random) {
  std::vector<std::vector<float>> out;
  for (const float largest : {0.0f, 1e-41f, 1e-30f, 1e-5f, 1.0f, 1e4f, 8.3e6f, 8.33e6f, 3e38f})
    for (const bool hostile : {true, false}) {
      out.push_back(random.hostile_values(n, largest));
      if (!hostile)
        for (float& v : out.back()) v = random.unit() * largest;
    }
  for (const float bad : {canon::test::kInfinity, -canon::test::kInfinity, canon::test::kNan}) {
    out.push_back(random.hostile_values(n, 1.0f));
    out.back()[random.below(static_cast<std::uint32_t>(n))] = bad;
  }
  return out;
}

TEST_P(ProductTest, Quantizers) {
  int faults = 0, fine = 0;
  test::repeat(34, [&](std::uint32_t seed) {
    Random random(seed);
    for (const std::size_t n : {32, 64, 256, 800, 1280})
      for (int repeat = 0; repeat < 20; ++repeat)
        for (const auto& x : quantizer_inputs(n, random)) {
          std::vector<std::int8_t> want(n), got(n);
          std::vector<float> scale(n / 32), scale2(n / 32);
          bool ok = canon::quantize_q8(x, want, scale);
          ASSERT_EQ(ok, kernels_.quantize_q8(x.data(), n, got.data(), scale2.data()));
          for (auto& q : got) q = static_cast<std::int8_t>(q ^ kernels_.q8_flip);
          (ok ? fine : faults)++;
          if (ok) {
            ASSERT_EQ(want, got);
            ASSERT_EQ(0, std::memcmp(scale.data(), scale2.data(), 4 * scale.size()));
          }
          if (n % 256 != 0) continue;
          std::vector<std::int16_t> sums(n / 16), exact(n / 16, 0);
          scale.resize(n / 256);
          scale2.resize(n / 256);
          ok = canon::quantize_q8k(x, want, scale);
          ASSERT_EQ(ok, kernels_.quantize_q8k(x.data(), n, got.data(), scale2.data(), sums.data()));
          if (!ok) continue;
          ASSERT_EQ(want, got);
          ASSERT_EQ(0, std::memcmp(scale.data(), scale2.data(), 4 * scale.size()));
          for (std::size_t i = 0; i < n; ++i)
            exact[i / 16] = static_cast<std::int16_t>(exact[i / 16] + want[i]);
          ASSERT_EQ(exact, sums);
        }
  });
  EXPECT_GT(faults, 100);
  EXPECT_GT(fine, 100);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ProductTest);
INSTANTIATE_TEST_SUITE_P(Every, ProductTest, testing::ValuesIn(test::tables()),
                         [](const auto& p) { return p.param.name; });

}  // namespace
}  // namespace assay::engine
