#include <gtest/gtest.h>
#include <numeric>

#include "base/hex.hpp"
#include "base/json.hpp"
#include "base/thread_pool.hpp"

namespace assay {
namespace {

TEST(Hex, RoundTripsAndRefuses) {
  const Bytes bytes{0x00, 0x7f, 0xff};
  EXPECT_EQ(to_hex(bytes), "0x007fff");
  EXPECT_EQ(*from_hex("007FFF"), bytes);
  EXPECT_FALSE(from_hex("0x0"));
  EXPECT_FALSE(from_hex("0xgg"));
  EXPECT_FALSE(array_from_hex<4>("0x007fff"));
}

TEST(Json, IntegersAreExact) {
  const auto v = *json::parse(R"({"a":"9223372036854775807","b":1.0,"c":-1,"d":"01"})");
  const auto& o = v.as_object();
  EXPECT_EQ(*json::get_i64(o, "a"), INT64_MAX);
  EXPECT_FALSE(json::get_i64(o, "b"));
  EXPECT_FALSE(json::get_u64(o, "c"));
  EXPECT_FALSE(json::get_u64(o, "d"));
  EXPECT_EQ(json::get_u64(o, "e").error().message, "'e' is missing");
}

TEST(Json, DepthAndTrailingBytesAreRefused) {
  EXPECT_FALSE(json::parse(std::string(100, '[')));
  EXPECT_FALSE(json::parse("{} x"));
  EXPECT_FALSE(json::parse("\"\xff\""));
}

TEST(ThreadPool, CoversEveryIndexOnce) {
  for (unsigned threads : {1u, 2u, 5u}) {
    ThreadPool pool(threads);
    for (std::size_t count : {0u, 1u, 7u, 1000u}) {
      std::vector<std::atomic<int>> hits(count);
      pool.parallel_for(count, 3, [&](std::size_t begin, std::size_t end) {
        for (auto i = begin; i < end; ++i) ++hits[i];
      });
      for (auto& h : hits) EXPECT_EQ(h, 1);
    }
  }
}

}  // namespace
}  // namespace assay
