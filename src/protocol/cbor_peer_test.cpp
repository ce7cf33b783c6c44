// libcbor, which we did not write, reads everything we write or accept, to the same values.
#include <cbor.h>
#include <gtest/gtest.h>
#include <memory>
#include <random>

#include "base/hex.hpp"
#include "protocol/cbor.hpp"

namespace assay::protocol::cbor {
namespace {

Value value_of(const cbor_item_t* item);

Value one_of(cbor_item_t* item) {  // an item whose reference we were handed
  Value out = value_of(item);
  cbor_decref(&item);
  return out;
}

Value value_of(const cbor_item_t* item) {
  switch (cbor_typeof(item)) {
    case CBOR_TYPE_UINT:
      return uint(cbor_get_int(item));
    case CBOR_TYPE_NEGINT:
      return {.kind = Kind::negative_integer, .number = cbor_get_int(item)};
    case CBOR_TYPE_BYTESTRING:
      return bytes({cbor_bytestring_handle(item), cbor_bytestring_length(item)});
    case CBOR_TYPE_STRING:
      return text(
          {reinterpret_cast<const char*>(cbor_string_handle(item)), cbor_string_length(item)});
    case CBOR_TYPE_ARRAY: {
      Value out = array({});
      for (std::size_t i = 0; i < cbor_array_size(item); ++i)
        out.items.push_back(one_of(cbor_array_get(item, i)));
      return out;
    }
    case CBOR_TYPE_MAP: {
      Value out = map({});
      for (std::size_t i = 0; i < cbor_map_size(item); ++i) {
        out.items.push_back(value_of(cbor_map_handle(item)[i].key));
        out.items.push_back(value_of(cbor_map_handle(item)[i].value));
      }
      return out;
    }
    case CBOR_TYPE_TAG:
      return tag(cbor_tag_value(item), one_of(cbor_tag_item(item)));
    case CBOR_TYPE_FLOAT_CTRL:
      if (cbor_float_get_width(item) == CBOR_FLOAT_0) return {.number = cbor_ctrl_value(item)};
      return floating(cbor_float_get_float(item));
  }
  return {};
}

struct Drop {
  void operator()(cbor_item_t* item) const { cbor_decref(&item); }
};
using Item = std::unique_ptr<cbor_item_t, Drop>;

Item load(ByteView encoded) {
  cbor_load_result result{};
  Item item(cbor_load(encoded.data(), encoded.size(), &result));
  if (result.error.code != CBOR_ERR_NONE || result.read != encoded.size()) return nullptr;
  return item;
}

class Drawn {
 public:
  explicit Drawn(std::uint64_t seed) : random_(seed) {}
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  std::uint64_t number() { return random_() >> below(64); }

  Value value(int depth) {
    switch (below(depth > 0 ? 8 : 5)) {
      case 0:
        return uint(number());
      case 1:
        return {.kind = Kind::negative_integer, .number = number()};
      case 2:
        return bytes(Bytes(below(40), static_cast<std::uint8_t>(random_())));
      case 3:
        return text(std::string(below(40), static_cast<char>('a' + below(26))));
      case 4:
        return below(2) == 0 ? boolean(below(2) == 0)
                             : floating(static_cast<double>(number()) / 64.0);
      case 5: {
        Value out = array({});
        for (std::uint64_t n = below(5); n > 0; --n) out.items.push_back(value(depth - 1));
        return out;
      }
      case 6: {
        Value out = map({});
        for (std::uint64_t n = below(5); n > 0; --n) {
          Value key = value(0);
          if (find(out, key) != nullptr) continue;
          out.items.push_back(std::move(key));
          out.items.push_back(value(depth - 1));
        }
        return out;
      }
      default:
        return tag(100 + number() / 2, value(depth - 1));
    }
  }

 private:
  std::mt19937_64 random_;
};

TEST(CborPeer, LibcborReadsWhatWeWrite) {
  Drawn drawn(1);
  for (int i = 0; i < 5000; ++i) {
    const Bytes encoded = encode(drawn.value(4));
    const Item item = load(encoded);
    ASSERT_NE(item, nullptr) << to_hex(encoded);
    const auto ours = decode(encoded);
    ASSERT_TRUE(ours) << ours.error().message << " " << to_hex(encoded);
    ASSERT_EQ(value_of(item.get()), *ours) << to_hex(encoded);
  }
}

TEST(CborPeer, WhatWeAcceptLibcborReadsTheSame) {
  Drawn drawn(2);
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    Bytes encoded = encode(drawn.value(3));
    for (std::uint64_t n = 1 + drawn.below(2); n > 0; --n)
      encoded[drawn.below(encoded.size())] = static_cast<std::uint8_t>(drawn.number());
    const auto ours = decode(encoded);
    if (!ours) continue;
    ++accepted;
    ASSERT_EQ(encode(*ours), encoded);
    const Item item = load(encoded);
    // libcbor 0.8 knows no simple values but the four that have names, and no tags that had no
    // meaning when it was written.
    if (item == nullptr) {
      const bool other = std::ranges::any_of(encoded, [](std::uint8_t b) {
        return b == 0xf8 || (b >= 0xe0 && b < 0xf4) || (b >= 0xc6 && b < 0xd5);
      });
      ASSERT_TRUE(other) << to_hex(encoded);
      continue;
    }
    ASSERT_EQ(value_of(item.get()), *ours) << to_hex(encoded);
  }
  EXPECT_GT(accepted, 1000);
}

// Why libcbor is a peer and not our codec: it reads many forms of one value.
TEST(CborPeer, LibcborIsLaxer) {
  for (const char* encoded : {"1817", "fa3fc00000", "a2616201616101", "a2616101616101", "9f01ff"}) {
    EXPECT_NE(load(*from_hex(encoded)), nullptr) << encoded;
    EXPECT_FALSE(decode(*from_hex(encoded))) << encoded;
  }
}

}  // namespace
}  // namespace assay::protocol::cbor
