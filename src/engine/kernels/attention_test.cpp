// Attention of every table against the scalar one, bit for bit: any page table, any mixture of
// rows, contexts that straddle segments, numbers of every kind.
#include "canon/attention.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

#include "canon/fp16.hpp"
#include "engine/kernels/kernels_testutil.hpp"

namespace assay::engine {
namespace {

using canon::test::Random;
using test::bits_of;

enum class Numbers { ordinary, wide, extreme };

// One KV head's keys and values in pages that lie anywhere, as scalar and vector tables keep them.
class Cache {
 public:
  Cache(std::uint32_t head_dim, std::uint32_t positions, std::uint32_t key_lanes, Numbers numbers,
        Random& random)
      : head_dim_(head_dim), stride_((head_dim + 15) / 16 * 16) {
    const std::size_t count = (positions + kPagePositions - 1) / kPagePositions;
    keys_offset_ = 16 * random.below(4);
    values_offset_ = keys_offset_ + kPagePositions * head_dim + 16 * random.below(4);
    const std::size_t page = values_offset_ + kPagePositions * stride_;
    std::vector<std::size_t> order(count);
    for (std::size_t i = 0; i < count; ++i) order[i] = i;
    for (std::size_t i = count; i > 1; --i)
      std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
    // Whatever lies between, and beyond the last position, is finite: a page may be second-hand.
    plain_.resize(count * page);
    for (auto& h : plain_) h = random.finite_half();
    for (std::size_t p = 0; p < positions; ++p)
      for (std::size_t d = 0; d < head_dim; ++d) {
        std::uint16_t* at = &plain_[order[p / kPagePositions] * page];
        at[keys_offset_ + p % kPagePositions * head_dim + d] = number(numbers, random);
        at[values_offset_ + p % kPagePositions * stride_ + d] =
            random.below(20) == 0 ? edge(random) : random.finite_half();
      }
    lanes_ = plain_;
    for (std::size_t i = 0; i < count; ++i)
      for (std::size_t p = 0; p < kPagePositions; ++p)
        for (std::size_t d = 0; d < head_dim; ++d)
          lanes_[i * page + keys_offset_ + (p / key_lanes * head_dim + d) * key_lanes +
                 p % key_lanes] = plain_[i * page + keys_offset_ + p * head_dim + d];
    for (std::size_t i : order) {
      plain_pages_.push_back(&plain_[i * page]);
      lane_pages_.push_back(&lanes_[i * page]);
    }
  }
  AttentionCache plain() const { return view(plain_pages_); }
  AttentionCache lanes() const { return view(lane_pages_); }

 private:
  static std::uint16_t edge(Random& random) {
    static constexpr std::uint16_t kEdges[] = {0x7bff, 0xfbff, 0x8000, 0x0000, 0x0001, 0x83ff};
    return kEdges[random.below(6)];  // ±65504, −0, subnormal
  }
  static std::uint16_t number(Numbers numbers, Random& random) {
    if (numbers == Numbers::extreme && random.below(4) == 0) return edge(random);
    if (numbers == Numbers::wide) return random.finite_half();
    return canon::to_fp16(random.hostile(4.0f));
  }
  AttentionCache view(const std::vector<const std::uint16_t*>& pages) const {
    return {pages.data(), keys_offset_, values_offset_, head_dim_, stride_};
  }

  std::uint32_t head_dim_, stride_;
  std::size_t keys_offset_, values_offset_;
  std::vector<std::uint16_t> plain_, lanes_;
  std::vector<const std::uint16_t*> plain_pages_, lane_pages_;
};

struct Tally {
  std::size_t rows = 0, faults = 0;
};

void compare(const Kernels& vector, const Cache& cache, const std::vector<std::uint32_t>& positions,
             float largest_q, Random& random, Tally& tally) {
  const AttentionCache plain = cache.plain(), lanes = cache.lanes();
  const std::size_t n = positions.size(), dim = plain.head_dim;
  const auto q = random.hostile_values(n * dim, largest_q);
  std::vector<float> want(n * dim, -1.0f), got(n * dim, -2.0f);
  std::vector<std::uint8_t> fault(n, 0), fault2(n, 0);
  std::vector<AttentionRow> a, b;
  for (std::size_t r = 0; r < n; ++r) {
    a.push_back({&q[r * dim], &want[r * dim], positions[r], &fault[r]});
    b.push_back({&q[r * dim], &got[r * dim], positions[r], &fault2[r]});
  }
  const auto count = static_cast<std::uint32_t>(n);
  const float scale = canon::attention_scale(plain.head_dim);
  // Exactly as long as promised, with garbage in it.
  const std::size_t length = attention_scratch(positions.back(), plain.value_stride);
  auto* scratch = static_cast<float*>(std::aligned_alloc(64, (length * 4 + 63) / 64 * 64));
  std::fill_n(scratch, length, canon::test::kNan);
  scalar_kernels()->attend(a.data(), count, plain, scale, nullptr);
  vector.attend(b.data(), count, lanes, scale, scratch);
  std::free(scratch);
  ASSERT_EQ(fault, fault2) << "dim " << dim << " rows " << n << " positions " << positions[0];
  for (std::size_t r = 0; r < n; ++r) {
    ++tally.rows;
    tally.faults += fault[r];
    if (fault[r]) continue;
    ASSERT_EQ(bits_of({&want[r * dim], dim}), bits_of({&got[r * dim], dim}))
        << "dim " << dim << " row " << r << " of " << n << " positions " << positions[r];
  }
}

class AttentionTest : public testing::TestWithParam<test::Table> {
 protected:
  const Kernels& vector_ = *GetParam().kernels;
};

// `heads` rows per token, tokens ascending.
std::vector<std::uint32_t> ascending(std::uint32_t first, std::uint32_t rows, std::uint32_t heads) {
  std::vector<std::uint32_t> out;
  for (std::uint32_t r = 0; r < rows; ++r) out.push_back(first + r / heads);
  return out;
}

TEST_P(AttentionTest, EveryNumberOfRows) {
  Random random(26);
  Tally tally;
  const Cache cache(16, 600, vector_.key_lanes, Numbers::ordinary, random);
  for (std::uint32_t rows = 1; rows <= kAttentionRows; ++rows)
    for (const std::uint32_t first : {1u, 250u, 509u}) {
      compare(vector_, cache, ascending(first, rows, 1 + random.below(8)), 3.0f, random, tally);
      if (HasFatalFailure()) return;
    }
}

TEST_P(AttentionTest, EveryHeadDim) {
  Random random(27);
  Tally tally;
  for (const std::uint32_t dim : {2, 4, 6, 10, 16, 34, 48, 64, 80, 96, 100, 128, 256, 300, 514}) {
    const Cache cache(dim, 300, vector_.key_lanes, Numbers::ordinary, random);
    for (const std::uint32_t rows : {1, 2, 3, 5, 7, 8, 12, 16, 17, 40})
      for (const std::uint32_t first : {1u, 40u, 252u}) {
        compare(vector_, cache, ascending(first, rows, 1 + random.below(4)), 3.0f, random, tally);
        if (HasFatalFailure()) return;
      }
  }
}

TEST_P(AttentionTest, HostileNumbersAndPlaces) {
  Tally tally;
  test::repeat(28, [&](std::uint32_t seed) {
    Random random(seed);
    for (int i = 0; i < 40; ++i) {
      const auto numbers = static_cast<Numbers>(random.below(3));
      const std::uint32_t dim = 2 * (1 + random.below(40)), longest = 1 + random.below(1100);
      const Cache cache(dim, longest, vector_.key_lanes, numbers, random);
      const std::uint32_t rows = 1 + random.below(kAttentionRows);
      std::vector<std::uint32_t> positions;
      for (std::uint32_t r = 0; r < rows; ++r) {
        const std::uint32_t near = longest - std::min(longest - 1, random.below(20));
        positions.push_back(random.below(8) == 0 ? 1 + random.below(longest) : near);
      }
      std::ranges::sort(positions);
      const float largest_q[] = {1e-40f, 1.0f, 30.0f, 1e34f};
      compare(vector_, cache, positions, largest_q[random.below(4)], random, tally);
      if (HasFatalFailure()) return;
    }
  });
  EXPECT_GT(tally.faults, 20u);
  EXPECT_GT(tally.rows - tally.faults, 200u);
}

// Above 65536 positions the combination itself has segments.
TEST_P(AttentionTest, MoreThan256Segments) {
  Random random(29);
  Tally tally;
  const std::uint32_t positions = 257 * 256 + 3;
  const Cache cache(2, positions, vector_.key_lanes, Numbers::ordinary, random);
  for (const std::uint32_t rows : {3u, 20u})
    compare(vector_, cache, ascending(positions - 20, rows, 1), 1.0f, random, tally);
  EXPECT_EQ(tally.faults, 0u);
}

// A score that only later rows see must not fault an earlier one.
TEST_P(AttentionTest, FaultsAreOfTheRowThatSeesThem) {
  Random random(30);
  constexpr std::uint32_t kDim = 4, kPositions = 20;
  Cache cache(kDim, kPositions, vector_.key_lanes, Numbers::ordinary, random);
  const AttentionCache lanes = cache.lanes();
  auto* page = const_cast<std::uint16_t*>(lanes.pages[0]) + lanes.keys_offset;
  for (std::uint32_t d = 0; d < kDim; ++d) {  // position 10, and no other, overflows
    for (std::uint32_t p = 0; p < kPositions; ++p)
      page[(p / vector_.key_lanes * kDim + d) * vector_.key_lanes + p % vector_.key_lanes] =
          p == 10 ? 0x7bff : 0x3c00;
  }
  for (const std::uint32_t rows : {1u, 3u, 20u}) {
    const std::vector<float> q(kDim, 1e34f);
    std::vector<float> out(rows * kDim);
    std::vector<std::uint8_t> fault(rows, 0);
    std::vector<AttentionRow> list;
    for (std::uint32_t r = 0; r < rows; ++r)
      list.push_back({q.data(), &out[r * kDim], rows == 1 ? 10 : r + 8, &fault[r]});
    std::vector<float> scratch(attention_scratch(rows + 8, lanes.value_stride) + 16);
    auto* aligned =
        reinterpret_cast<float*>((reinterpret_cast<std::uintptr_t>(scratch.data()) + 63) / 64 * 64);
    vector_.attend(list.data(), rows, lanes, 0.5f, aligned);
    for (std::uint32_t r = 0; r < rows; ++r) EXPECT_EQ(fault[r], list[r].positions > 10) << r;
  }
}

// A machine with none of them has nothing to compare.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(AttentionTest);
INSTANTIATE_TEST_SUITE_P(Every, AttentionTest, testing::ValuesIn(test::tables()),
                         [](const auto& p) { return p.param.name; });

}  // namespace
}  // namespace assay::engine
