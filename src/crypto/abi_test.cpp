#include "crypto/abi.hpp"

#include <gtest/gtest.h>

#include "base/hex.hpp"

namespace assay::crypto {
namespace {

std::string word(std::string_view hex) {
  return std::string(64 - hex.size(), '0') + std::string(hex);
}

// The examples of the ABI specification.
TEST(Abi, SpecificationExamples) {
  EXPECT_EQ(to_hex_bare(AbiWriter().uint(69).boolean(true).call("baz(uint32,bool)")),
            "cdcd77c0" + word("45") + word("1"));
  const std::vector<Hash> three{Uint256(1).bytes, Uint256(2).bytes, Uint256(3).bytes};
  EXPECT_EQ(to_hex_bare(AbiWriter()
                            .bytes(view("dave"))
                            .boolean(true)
                            .words(three)
                            .call("sam(bytes,bool,uint256[])")),
            "a5643bf2" + word("60") + word("1") + word("a0") + word("4") + "64617665" +
                std::string(56, '0') + word("3") + word("1") + word("2") + word("3"));
}

TEST(Abi, NestedDynamicTypes) {
  // f((uint256,bytes),bytes[]) by hand.
  const std::vector<AbiWriter> none;
  AbiWriter inner;
  inner.uint(5).bytes(view("x"));
  const Bytes encoded = AbiWriter().tuple(inner).tuples(none).encode();
  EXPECT_EQ(to_hex_bare(encoded), word("40") + word("c0") + word("5") + word("40") + word("1") +
                                      "78" + std::string(62, '0') + word("0"));
  AbiReader reader(encoded);
  AbiReader tuple = *reader.tuple();
  EXPECT_EQ(*tuple.u64(), 5u);
  EXPECT_EQ(*tuple.string(), "x");
}

TEST(Abi, ReadsWhatItWrites) {
  Address a;
  a.bytes.fill(0x11);
  const std::vector<Hash> words{Hash{1}, Hash{2}};
  const Bytes data = AbiWriter()
                         .address(a)
                         .int64(-5)
                         .boolean(false)
                         .words(words)
                         .bytes(Bytes(33, 9))
                         .bytes32(Hash{3})
                         .encode();
  AbiReader reader(data);
  EXPECT_EQ(*reader.address(), a);
  EXPECT_EQ(*reader.i64(), -5);
  EXPECT_FALSE(*reader.boolean());
  EXPECT_EQ(*reader.words(), words);
  EXPECT_EQ(*reader.bytes(), Bytes(33, 9));
  EXPECT_EQ(*reader.bytes32(), Hash{3});
  EXPECT_FALSE(AbiReader(ByteView(data).first(31)).bytes32());
  EXPECT_FALSE(AbiReader(ByteView()).uint());
}

TEST(Abi, ArraysOfStaticTuplesAndOfBytes) {
  const std::array<AbiWriter, 2> pairs{AbiWriter().uint(1).uint(2), AbiWriter().uint(3).uint(4)};
  const Bytes one{0xaa}, two{0xbb, 0xcc};
  const std::array<ByteView, 2> strings{one, two};
  AbiWriter writer;
  writer.structs(pairs).byte_strings(strings).uint(9);
  const Bytes data = writer.encode();
  // (uint256,uint256)[]: its length, then the tuples one after the other; bytes[] is an array of
  // dynamic elements, whose offsets count from behind the length.
  EXPECT_EQ(data.size(), 32u * (3 + 1 + 4 + 1 + 2 + 4));
  EXPECT_EQ(data[32 * 8 + 31], 2u);      // strings
  EXPECT_EQ(data[32 * 9 + 31], 0x40u);   // the first's offset
  EXPECT_EQ(data[32 * 10 + 31], 0x80u);  // the second's
  AbiReader reader(data);
  auto array = *reader.array();
  EXPECT_EQ(array.count, 2u);
  for (std::uint64_t n = 1; n <= 4; ++n) EXPECT_EQ(*array.elements.u64(), n);
  array = *reader.array();
  EXPECT_EQ(array.count, 2u);
  EXPECT_EQ(*array.elements.bytes(), one);
  EXPECT_EQ(*array.elements.bytes(), two);
  EXPECT_EQ(*reader.u64(), 9u);
  // A count that the data cannot hold.
  Bytes hostile = data;
  hostile[32 * 3 + 31] = 200;
  EXPECT_FALSE(AbiReader(hostile).array());
}

TEST(Abi, RefusesHostileData) {
  const auto from = [](const std::string& hex) { return *from_hex(hex); };
  const std::string huge(64, 'f');
  EXPECT_FALSE(AbiReader(from(huge)).u64());
  EXPECT_EQ(*AbiReader(from(huge)).i64(), -1);
  EXPECT_FALSE(AbiReader(from("80" + std::string(62, '0'))).i64());
  EXPECT_FALSE(AbiReader(from(huge)).address());
  EXPECT_FALSE(AbiReader(from(word("2"))).boolean());
  for (const std::string& offset : {huge, word("21"), word("20"), word("1")}) {
    EXPECT_FALSE(AbiReader(from(offset)).bytes()) << offset;
    EXPECT_FALSE(AbiReader(from(offset)).words()) << offset;
  }
  for (const std::string& length : {huge, word("ffffffffffffffff"), word("1")}) {
    EXPECT_FALSE(AbiReader(from(word("20") + length)).bytes()) << length;
    EXPECT_FALSE(AbiReader(from(word("20") + length)).words()) << length;
  }
  EXPECT_EQ(AbiReader(from(word("20") + word("0"))).bytes()->size(), 0u);
}

TEST(Abi, RevertReasons) {
  EXPECT_EQ(revert_reason({}), "no reason given");
  EXPECT_EQ(revert_reason(AbiWriter().bytes(view("not\nenough")).call("Error(string)")),
            "not enough");
  EXPECT_EQ(revert_reason(AbiWriter().uint(0x11).call("Panic(uint256)")),
            "arithmetic overflow (0x11)");
  EXPECT_EQ(revert_reason(*from_hex("0x12345678")), "contract error 0x12345678");
  EXPECT_EQ(revert_reason(*from_hex("0x08c379a0ff")), "contract error 0x08c379a0ff");
  EXPECT_EQ(revert_reason(*from_hex("0x12")), "malformed reason 0x12");
}

}  // namespace
}  // namespace assay::crypto
