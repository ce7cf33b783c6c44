#include "base/thread_pool.hpp"

#include <chrono>
#include <gtest/gtest.h>
#include <numeric>
#include <time.h>

namespace assay {
namespace {

TEST(ThreadPool, CoversEveryIndexOnce) {
  for (unsigned threads : {1u, 2u, 5u}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (std::size_t count : {0u, 1u, 2u, 3u, 4u, 7u, 1000u})
      for (std::size_t grain : {1u, 3u, 1000u, 5000u}) {
        std::vector<std::atomic<int>> hits(count);
        pool.parallel_for(count, grain, [&](std::size_t begin, std::size_t end) {
          EXPECT_LT(begin, end);
          EXPECT_LE(end - begin, grain);
          for (auto i = begin; i < end; ++i) ++hits[i];
        });
        for (auto& h : hits) EXPECT_EQ(h, 1);
      }
  }
}

// Ranges come whole and long first: nobody takes more than half of a fair share of what is left.
TEST(ThreadPool, RangesCoverEveryIndexOnce) {
  for (unsigned threads : {1u, 2u, 5u}) {
    ThreadPool pool(threads);
    for (std::size_t count : {0u, 1u, 2u, 7u, 64u, 1000u})
      for (std::size_t grain : {1u, 3u, 5000u}) {
        std::vector<std::atomic<int>> hits(count);
        std::atomic<std::size_t> calls = 0, longest = 0;
        pool.parallel_ranges(count, grain, [&](std::size_t begin, std::size_t end) {
          EXPECT_LT(begin, end);
          ++calls;
          for (std::size_t seen = longest; end - begin > seen;)
            if (longest.compare_exchange_weak(seen, end - begin)) break;
          for (auto i = begin; i < end; ++i) ++hits[i];
        });
        for (auto& h : hits) EXPECT_EQ(h, 1);
        if (threads == 1 || count <= grain) {
          EXPECT_EQ(calls, count == 0 ? 0 : 1);
        } else {
          EXPECT_LE(longest, std::max(count / (2 * threads) + grain, grain));
        }
        if (threads == 2 && count == 1000 && grain == 1) {
          EXPECT_LE(calls, 40);
        }
      }
  }
}

TEST(ThreadPool, RangesAndChunksByTurns) {
  ThreadPool pool(3);
  std::vector<std::uint64_t> values(64, 0);
  const ThreadPool::Body add = [&](std::size_t begin, std::size_t end) {
    for (auto i = begin; i < end; ++i) ++values[i];
  };
  for (int round = 0; round < 3000; ++round) {
    pool.parallel_ranges(values.size(), 1, add);
    // Whoever takes one of these at a time must never be given two.
    pool.parallel_for(values.size(), 1, [&](std::size_t begin, std::size_t end) {
      ASSERT_EQ(end, begin + 1);
      ++values[begin];
    });
  }
  for (const std::uint64_t v : values) EXPECT_EQ(v, 6000u);
}

// Plain memory, so that a sanitizer sees whether each range is ordered after the one before.
TEST(ThreadPool, ManyShortRangesInOrder) {
  for (unsigned threads : {2u, 3u, 8u}) {
    ThreadPool pool(threads);
    std::vector<std::uint64_t> values(64, 0);
    constexpr std::uint64_t kRounds = 3000;
    for (std::uint64_t round = 0; round < kRounds; ++round)
      pool.parallel_for(values.size(), 1 + round % 9, [&](std::size_t begin, std::size_t end) {
        for (auto i = begin; i < end; ++i) ++values[i];
      });
    EXPECT_EQ(std::accumulate(values.begin(), values.end(), std::uint64_t{0}),
              kRounds * values.size());
  }
}

TEST(ThreadPool, SleepsBetweenRangesAndWakesAgain) {
  ThreadPool pool(3);
  for (int i = 0; i < 20; ++i) {
    std::atomic<std::size_t> sum = 0;
    pool.parallel_for(100, 1, [&](std::size_t begin, std::size_t) { sum += begin; });
    EXPECT_EQ(sum, 4950u);
    std::this_thread::sleep_for(std::chrono::milliseconds(i % 4));
  }
}

// Workers that wait for the next request must not burn the machine meanwhile.
TEST(ThreadPool, IdleThreadsUseNoProcessor) {
  const auto cpu_ms = [] {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) * 1e-6;
  };
  ThreadPool pool(5);
  pool.parallel_for(100, 1, [](std::size_t, std::size_t) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const double before = cpu_ms();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(cpu_ms() - before, 20.0);
}

// One slow chunk holds up nothing but itself: the others finish all the rest.
TEST(ThreadPool, ASlowThreadDelaysOnlyItsChunk) {
  ThreadPool pool(2);
  std::atomic<int> others = 0;
  std::atomic<bool> complete = false;
  pool.parallel_for(50, 1, [&](std::size_t begin, std::size_t) {
    if (begin == 0) {
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
      while (others < 49 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
      complete = others == 49;
    } else {
      ++others;
    }
  });
  EXPECT_TRUE(complete);
}

}  // namespace
}  // namespace assay
