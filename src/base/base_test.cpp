#include <gtest/gtest.h>

#include "base/hex.hpp"
#include "base/json.hpp"

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

}  // namespace
}  // namespace assay
