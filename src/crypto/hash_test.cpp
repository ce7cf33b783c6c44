#include <gtest/gtest.h>

#include "base/hex.hpp"
#include "crypto/keccak.hpp"
#include "crypto/sha256.hpp"

namespace assay::crypto {
namespace {

std::string sha(std::string_view s) { return to_hex_bare(sha256(view(s))); }
std::string keccak(std::string_view s) { return to_hex_bare(keccak256(view(s))); }

TEST(Sha256, Fips180KnownAnswers) {
  EXPECT_EQ(sha(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, PiecesEqualTheWhole) {
  const std::string s(300, 'q');
  for (std::size_t cut = 0; cut <= s.size(); cut += 7) {
    Sha256 h;
    h.update(view(std::string_view(s).substr(0, cut)));
    Sha256 copy = h;
    h.update(view(std::string_view(s).substr(cut)));
    copy.update(view("other"));
    EXPECT_EQ(h.finish(), sha256(view(s)));
    EXPECT_EQ(copy.finish(), sha256(view(s.substr(0, cut) + "other")));
  }
}

TEST(HmacSha256, Rfc4231) {
  EXPECT_EQ(to_hex_bare(hmac_sha256(Bytes(20, 0x0b), view("Hi There"))),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(to_hex_bare(hmac_sha256(view("Jefe"), view("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(to_hex_bare(hmac_sha256(
                Bytes(131, 0xaa), view("Test Using Larger Than Block-Size Key - Hash Key First"))),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Keccak256, KnownAnswers) {
  EXPECT_EQ(keccak(""), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
  EXPECT_EQ(keccak("abc"), "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
}

// Every padding position of three blocks: the digest of all digests, computed once with viem's
// keccak256 (tests/peers/messages.mjs computes it again).
TEST(Keccak256, EveryLengthUpToThreeBlocks) {
  Bytes all, data;
  for (std::size_t n = 0; n <= 3 * 136; ++n) {
    append(all, keccak256(data));
    data.push_back(static_cast<std::uint8_t>(n));
  }
  EXPECT_EQ(to_hex_bare(keccak256(all)),
            "0fc998ee6a10e02747cbbec85db4c64ca1af8ff416ec0628aa3f23c38d3185c1");
}

}  // namespace
}  // namespace assay::crypto
