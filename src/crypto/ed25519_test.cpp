#include "crypto/ed25519.hpp"

#include <gtest/gtest.h>

#include "base/hex.hpp"

namespace assay::crypto {
namespace {

struct Case {
  const char *seed, *key, *message, *signature;
};
// RFC 8032 section 7.1, tests 1 to 3 and "SHA(abc)".
constexpr Case kCases[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
     "46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
     "d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
     "6594a7c15e9716ed28dc027beceea1ec40a"},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3fee"
     "b"
     "bd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e"
     "0"
     "303dca179c138ac17ad9bef1177331a704"},
};

TEST(Ed25519, Rfc8032Vectors) {
  for (const Case& c : kCases) {
    Ed25519Seed seed;
    seed.bytes = *array_from_hex<32>(c.seed);
    const auto key = ed25519_public_key(seed);
    EXPECT_EQ(to_hex_bare(key), c.key);
    const Bytes message = *from_hex(c.message);
    auto signature = ed25519_sign(message, seed);
    EXPECT_EQ(to_hex_bare(signature), c.signature);
    EXPECT_TRUE(ed25519_verify(message, signature, key));
    Bytes other = message;
    other.push_back(0);
    EXPECT_FALSE(ed25519_verify(other, signature, key));
    for (const std::size_t bit : {0u, 255u, 256u, 511u}) {
      auto changed = signature;
      changed[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
      EXPECT_FALSE(ed25519_verify(message, changed, key)) << bit;
    }
  }
}

// s + the group order would verify under a lax reader: a second signature of the same text.
TEST(Ed25519, RefusesASecondFormOfASignature) {
  Ed25519Seed seed;
  seed.bytes = *array_from_hex<32>(kCases[1].seed);
  auto signature = ed25519_sign(view("x"), seed);
  const auto order =
      *array_from_hex<32>("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    carry += unsigned{signature[32 + i]} + order[i];
    signature[32 + i] = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
  EXPECT_FALSE(ed25519_verify(view("x"), signature, ed25519_public_key(seed)));
}

TEST(Ed25519, BytesThatAreNoPointVerifyNothing) {
  Ed25519PublicKey key;
  for (const int byte : {0x01, 0x7f, 0xff}) {
    key.fill(static_cast<std::uint8_t>(byte));
    EXPECT_FALSE(ed25519_verify(view("x"), Ed25519Signature{1}, key)) << byte;
  }
}

}  // namespace
}  // namespace assay::crypto
