#include "protocol/cbor.hpp"

#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

#include "base/hex.hpp"

namespace assay::protocol::cbor {
namespace {

Bytes hex(std::string_view text) { return *from_hex(text); }

struct Example {
  const char* encoded;
  Value value;
};

Value list(std::initializer_list<int> numbers) {
  Value out = array({});
  for (const int n : numbers) out.items.push_back(integer(n));
  return out;
}

Value bignum(std::uint64_t number, std::string_view digits) {
  return tag(number, bytes(hex(digits)));
}

// RFC 8949 appendix A, all that is of definite length and shortest.
std::vector<Example> appendix_a() {
  const double infinity = std::numeric_limits<double>::infinity();
  Value long_list = array({});
  for (int i = 1; i <= 25; ++i) long_list.items.push_back(integer(i));
  return {
      {"00", uint(0)},
      {"01", uint(1)},
      {"0a", uint(10)},
      {"17", uint(23)},
      {"1818", uint(24)},
      {"1819", uint(25)},
      {"1864", uint(100)},
      {"1903e8", uint(1000)},
      {"1a000f4240", uint(1000000)},
      {"1b000000e8d4a51000", uint(1000000000000)},
      {"1bffffffffffffffff", uint(UINT64_MAX)},
      {"c249010000000000000000", bignum(2, "010000000000000000")},
      {"3bffffffffffffffff", {.kind = Kind::negative_integer, .number = UINT64_MAX}},
      {"c349010000000000000000", bignum(3, "010000000000000000")},
      {"20", integer(-1)},
      {"29", integer(-10)},
      {"3863", integer(-100)},
      {"3903e7", integer(-1000)},
      {"f90000", floating(0.0)},
      {"f98000", floating(-0.0)},
      {"f93c00", floating(1.0)},
      {"fb3ff199999999999a", floating(1.1)},
      {"f93e00", floating(1.5)},
      {"f97bff", floating(65504.0)},
      {"fa47c35000", floating(100000.0)},
      {"fa7f7fffff", floating(3.4028234663852886e+38)},
      {"fb7e37e43c8800759c", floating(1.0e+300)},
      {"f90001", floating(5.960464477539063e-8)},
      {"f90400", floating(0.00006103515625)},
      {"f9c400", floating(-4.0)},
      {"fbc010666666666666", floating(-4.1)},
      {"f97c00", floating(infinity)},
      {"f97e00", floating(std::numeric_limits<double>::quiet_NaN())},
      {"f9fc00", floating(-infinity)},
      {"f4", boolean(false)},
      {"f5", boolean(true)},
      {"f6", null()},
      {"f7", {.number = 23}},
      {"f0", {.number = 16}},
      {"f8ff", {.number = 255}},
      {"c074323031332d30332d32315432303a30343a30305a", tag(0, text("2013-03-21T20:04:00Z"))},
      {"c11a514b67b0", tag(1, uint(1363896240))},
      {"c1fb41d452d9ec200000", tag(1, floating(1363896240.5))},
      {"d74401020304", tag(23, bytes(hex("01020304")))},
      {"d818456449455446", tag(24, bytes(hex("6449455446")))},
      {"d82076687474703a2f2f7777772e6578616d706c652e636f6d",
       tag(32, text("http://www.example.com"))},
      {"40", bytes({})},
      {"4401020304", bytes(hex("01020304"))},
      {"60", text("")},
      {"6161", text("a")},
      {"6449455446", text("IETF")},
      {"62225c", text("\"\\")},
      {"62c3bc", text("\u00fc")},
      {"63e6b0b4", text("\u6c34")},
      {"64f0908591", text("\U00010151")},
      {"80", array({})},
      {"83010203", list({1, 2, 3})},
      {"8301820203820405", array({uint(1), list({2, 3}), list({4, 5})})},
      {"98190102030405060708090a0b0c0d0e0f101112131415161718181819", long_list},
      {"a0", map({})},
      {"a201020304", map({{uint(1), uint(2)}, {uint(3), uint(4)}})},
      {"a26161016162820203", map({{text("a"), uint(1)}, {text("b"), list({2, 3})}})},
      {"826161a161626163", array({text("a"), map({{text("b"), text("c")}})})},
      {"a56161614161626142616361436164614461656145", map({{text("a"), text("A")},
                                                          {text("b"), text("B")},
                                                          {text("c"), text("C")},
                                                          {text("d"), text("D")},
                                                          {text("e"), text("E")}})},
  };
}

TEST(Cbor, AppendixA) {
  for (const auto& [encoded, value] : appendix_a()) {
    SCOPED_TRACE(encoded);
    EXPECT_EQ(to_hex_bare(encode(value)), encoded);
    const auto decoded = decode(hex(encoded));
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(*decoded, value);
  }
}

// Every appendix A value that another encoder may write differently, and what is not well-formed
// (appendix F): each is refused by the rule it breaks.
TEST(Cbor, EverythingElseIsRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"1817", "shortest"},
      {"190017", "shortest"},
      {"1900ff", "shortest"},
      {"1a0000ffff", "shortest"},
      {"1b00000000ffffffff", "shortest"},
      {"3817", "shortest"},
      {"5801ff", "shortest"},
      {"780161", "shortest"},
      {"980101", "shortest"},
      {"b8010101", "shortest"},
      {"d801f6", "shortest"},
      {"fa3fc00000", "shortest"},          // 1.5 as single
      {"fb3ff8000000000000", "shortest"},  // 1.5 as double
      {"fa33800000", "shortest"},          // 2^-24 is a half
      {"fa7f800000", "shortest"},          // infinity
      {"fb7ff0000000000000", "shortest"},
      {"fa7fc00000", "shortest"},  // NaN
      {"fb7ff8000000000000", "shortest"},
      {"f97e01", "shortest"},
      {"f9fe00", "shortest"},
      {"c2420100", "fits 64 bits"},
      {"c249000000000000000001", "leading zero"},
      {"c201", "byte string"},
      {"5f42010243030405ff", "indefinite"},
      {"7f657374726561646d696e67ff", "indefinite"},
      {"9fff", "indefinite"},
      {"9f018202039f0405ffff", "indefinite"},
      {"bf61610161629f0203ffff", "indefinite"},
      {"a2616201616101", "ascend"},
      {"a2616101616101", "ascend"},
      {"a20a01190001f6", "shortest"},
      {"f800", "below 32"},
      {"f818", "below 32"},
      {"f81f", "below 32"},
      {"62c080", "UTF-8"},
      {"63eda080", "UTF-8"},
      {"64f4908080", "UTF-8"},
      {"61ff", "UTF-8"},
      {"63e08080", "UTF-8"},
      {"", "too early"},
      {"18", "too early"},
      {"19", "too early"},
      {"1a0102", "too early"},
      {"1b01020304050607", "too early"},
      {"f8", "too early"},
      {"f900", "too early"},
      {"fa0000", "too early"},
      {"fb000000", "too early"},
      {"41", "too early"},
      {"61", "too early"},
      {"5affffffff00", "too early"},
      {"7bffffffffffffffff010203", "too early"},
      {"81", "too early"},
      {"9a01ff00", "too early"},
      {"9bffffffffffffffff00", "too early"},
      {"a1", "too early"},
      {"a20102", "too early"},
      {"bb8000000000000000", "too early"},
      {"c0", "too early"},
      {"1c", "reserved"},
      {"5d", "reserved"},
      {"fc", "reserved"},
      {"ff", "break"},
      {"1f", "indefinite"},
      {"df", "indefinite"},
      {"0000", "behind"},
      {"8000", "behind"},
  };
  for (const auto& [encoded, rule] : cases) {
    SCOPED_TRACE(encoded);
    const auto decoded = decode(hex(encoded));
    ASSERT_FALSE(decoded);
    EXPECT_NE(decoded.error().message.find(rule), std::string::npos) << decoded.error().message;
  }
}

TEST(Cbor, Limits) {
  Bytes nested(16, 0x81);
  nested.push_back(0x00);
  EXPECT_TRUE(decode(nested));
  nested.insert(nested.begin(), 0x81);
  EXPECT_FALSE(decode(nested));
  Bytes tags(1'000'000, 0xc6);
  EXPECT_FALSE(decode(tags));

  Bytes many = hex("991000");
  many.resize(3 + 0x1000, 0x00);
  EXPECT_TRUE(decode(many));
  EXPECT_FALSE(decode(many, {.items = 0x1000}));
  EXPECT_FALSE(decode(many, {.bytes = 0x1000}));
}

TEST(Cbor, MapsSortByEncodedKeys) {  // RFC 8949 section 4.2.1
  Value m = map({{boolean(false), uint(8)},
                 {array({integer(-1)}), uint(7)},
                 {array({uint(100)}), uint(6)},
                 {text("aa"), uint(5)},
                 {text("z"), uint(4)},
                 {integer(-1), uint(3)},
                 {uint(100), uint(2)},
                 {uint(10), uint(1)}});
  EXPECT_EQ(to_hex_bare(encode(m)), "a80a011864022003617a046261610581186406812007f408");
  EXPECT_EQ(find(m, text("z"))->number, 4u);
  EXPECT_EQ(find(m, text("y")), nullptr);
  EXPECT_EQ(find(uint(1), text("y")), nullptr);
}

// Every half, and single and double neighbours of halves and singles: what is read is what was
// written, in the width a conversion by the machine says is enough.
TEST(Cbor, FloatingPointIsShortestAndExact) {
  for (std::uint32_t half = 0; half < 0x10000; ++half) {
    const bool nan = (half & 0x7c00) == 0x7c00 && (half & 0x3ff) != 0;
    Bytes encoded{0xf9};
    append_be(encoded, static_cast<std::uint16_t>(half));
    const auto decoded = decode(encoded);
    ASSERT_EQ(decoded.has_value(), !nan || half == 0x7e00) << half;
    if (!decoded) continue;
    ASSERT_EQ(encode(*decoded), encoded);
    const double d = std::bit_cast<double>(decoded->number);
    if (nan) continue;
    for (const double next : {std::nextafter(d, 1e300), std::nextafter(d, -1e300)}) {
      const Bytes wide = encode(floating(next));
      ASSERT_GE(wide.size(), next == 0 || std::isinf(next) ? 3u : 5u) << half;
      const auto back = decode(wide);
      ASSERT_TRUE(back);
      ASSERT_EQ(back->number, std::bit_cast<std::uint64_t>(next));
    }
    const float f = std::nextafterf(static_cast<float>(d), 1e30f);
    const Bytes single = encode(floating(static_cast<double>(f)));
    ASSERT_LE(single.size(), 5u);
    ASSERT_EQ(decode(single)->number, std::bit_cast<std::uint64_t>(static_cast<double>(f)));
  }
  const float tiny = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(to_hex_bare(encode(floating(static_cast<double>(tiny)))), "fa00000001");
  EXPECT_EQ(encode(floating(static_cast<double>(tiny) / 2)).size(), 9u);
  EXPECT_EQ(encode(floating(std::numeric_limits<double>::denorm_min())).size(), 9u);
}

TEST(Cbor, ClosedMaps) {
  const Value m = map({{uint(1), text("x")}, {uint(2), uint(9)}, {uint(3), bytes(hex("0102"))}});
  std::string text_out;
  std::uint64_t number = 0;
  std::array<std::uint8_t, 2> two{};
  MapReader read(m, "thing");
  read.read(uint(1), "name", text_out);
  read.read(uint(2), "count", number);
  EXPECT_EQ(MapReader(read).finish().error().message, "thing has members that do not belong there");
  read.read(uint(3), "pair", two);
  EXPECT_TRUE(read.finish());
  EXPECT_EQ(text_out, "x");
  EXPECT_EQ(number, 9u);
  EXPECT_EQ(two[1], 2);

  MapReader wrong(m, "thing");
  wrong.read(uint(1), "name", number);
  wrong.read(uint(7), "late", number);
  EXPECT_EQ(wrong.finish().error().message, "thing: name must be an unsigned integer");
  MapReader missing(m, "thing");
  missing.read(uint(7), "late", number);
  EXPECT_EQ(missing.finish().error().message, "thing: late is missing");
  EXPECT_FALSE(MapReader(uint(1), "thing").finish());
}

}  // namespace
}  // namespace assay::protocol::cbor
