#include "engine/prefix_cache.hpp"

#include <gtest/gtest.h>

namespace assay::engine {
namespace {

struct PrefixCacheTest : testing::Test {
  PagePool pool{PageLayout{1, 1, 1, 16, 1}, 16};
  PrefixCache cache;
  CacheScope scope{};

  static std::vector<Token> tokens(std::initializer_list<Token> pages) {
    std::vector<Token> out;
    for (const Token page : pages) out.insert(out.end(), kPagePositions, page);
    return out;
  }
  // A run of pages, one letter each.
  PrefixCache::Node add(std::initializer_list<Token> pages, std::size_t memo = 0) {
    PrefixCache::Node node = 0;
    for (const Token page : pages) {
      PageRef ref = pool.acquire();
      ref->memo.resize(memo);
      node = cache.insert(scope, node, tokens({page}), std::move(ref));
    }
    return node;
  }
  std::size_t found(std::initializer_list<Token> pages, std::size_t memo = 0) {
    return cache.find(scope, tokens(pages), memo).pages.size();
  }
};

TEST_F(PrefixCacheTest, FindsTheLongestRunOfItsScope) {
  const auto node = add({1, 2, 3});
  add({1, 2, 4});
  EXPECT_EQ(cache.pages(), 4u);  // two shared
  EXPECT_EQ(pool.in_use(), 4u);
  EXPECT_EQ(cache.find(scope, tokens({1, 2, 3, 9}), 0).node, node);
  EXPECT_EQ(found({1, 2, 3, 9}), 3u);
  EXPECT_EQ(found({1, 2, 9}), 2u);
  EXPECT_EQ(found({2, 3}), 0u);  // a page's place counts
  auto cut = tokens({1, 2});
  cut.pop_back();
  EXPECT_EQ(cache.find(scope, cut, 0).pages.size(), 1u);
  auto bent = tokens({1, 2});
  bent[63] = 7;
  EXPECT_EQ(cache.find(scope, bent, 0).pages.size(), 0u);
  scope[31] = 1;
  EXPECT_EQ(found({1, 2, 3}), 0u);
}

TEST_F(PrefixCacheTest, PagesWithoutTheMemoWantedAreNotFound) {
  add({1, 2});
  EXPECT_EQ(found({1, 2}, 8), 0u);
  add({1}, 8);  // computed again with it
  EXPECT_EQ(found({1, 2}, 8), 1u);
  EXPECT_EQ(found({1, 2}), 2u);
  EXPECT_EQ(pool.in_use(), 2u);
}

TEST_F(PrefixCacheTest, EvictsTheLeastRecentlyUsedThatNobodyHolds) {
  add({1, 2});
  add({3});
  EXPECT_EQ(found({1, 2}), 2u);  // used last
  const auto held = cache.find(scope, tokens({3}), 0);
  EXPECT_EQ(cache.evictable(), 2u);
  EXPECT_EQ(cache.evict(1), 1u);
  EXPECT_EQ(found({1, 2}), 1u);  // a run loses its end first
  EXPECT_EQ(cache.evict(1), 1u);
  EXPECT_EQ(cache.evict(1), 0u);
  EXPECT_EQ(pool.in_use(), 1u);
  EXPECT_EQ(found({3}), 1u);
}

TEST_F(PrefixCacheTest, OneSweepDropsWhatIsAskedForPastPagesInUse) {
  add({1, 2, 3});
  const auto held = cache.find(scope, tokens({1}), 0);
  add({4, 5});
  const auto other = cache.find(scope, tokens({4, 5}), 0);
  add({6, 7});
  EXPECT_EQ(cache.evict(3), 3u);  // 3, 2 and, past 4 and 5, which are newer but in use, 7
  EXPECT_EQ(found({1, 2}), 1u);
  EXPECT_EQ(found({4, 5}), 2u);
  EXPECT_EQ(found({6, 7}), 1u);
  EXPECT_EQ(cache.evict(9), 1u);
  EXPECT_EQ(cache.pages(), 3u);
}

TEST_F(PrefixCacheTest, NothingIsKeptBehindAPageThatIsGone) {
  const auto node = add({1});
  EXPECT_EQ(cache.evict(1), 1u);
  EXPECT_EQ(cache.insert(scope, node, tokens({2}), pool.acquire()), node);
  EXPECT_EQ(cache.pages(), 0u);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(PrefixCacheTest, ThePoolIsBoundedAndSequencesTakeAllOrNothing) {
  Sequence first(pool), second(pool);
  EXPECT_TRUE(first.reserve(10 * kPagePositions + 1));
  EXPECT_EQ(pool.in_use(), 11u);
  EXPECT_FALSE(second.reserve(6 * kPagePositions));
  EXPECT_EQ(pool.in_use(), 11u);
  EXPECT_EQ(second.capacity(), 0u);
  EXPECT_TRUE(second.reserve(5 * kPagePositions));
  EXPECT_EQ(pool.acquire(), nullptr);
}

}  // namespace
}  // namespace assay::engine
