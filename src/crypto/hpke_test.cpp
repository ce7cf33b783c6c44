// RFC 9180 appendix A.2.1.1 (base mode, first message), and what must not open.
#include "crypto/hpke.hpp"

#include <gtest/gtest.h>

#include "base/hex.hpp"

namespace assay::crypto {
namespace {

Bytes hex(std::string_view text) { return *from_hex(text); }

struct HpkeTest : testing::Test {
  X25519SecretKey receiver{
      *array_from_hex<32>("0x8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb")};
  X25519SecretKey ephemeral{
      *array_from_hex<32>("0xf4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600")};
  Bytes info = hex("0x4f6465206f6e2061204772656369616e2055726e");
  Bytes aad = hex("0x436f756e742d30");
  Bytes plaintext = hex("0x4265617574792069732074727574682c20747275746820626561757479");
};

TEST_F(HpkeTest, SealsAsTheRfcDoes) {
  EXPECT_EQ(to_hex(x25519_public_key(receiver)),
            "0x4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a");
  const auto sealed = hpke_seal(x25519_public_key(receiver), info, aad, plaintext, ephemeral);
  ASSERT_TRUE(sealed);
  EXPECT_EQ(to_hex(*sealed),
            "0x1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"
            "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b5"
            "1a28");
  EXPECT_EQ(*hpke_open(receiver, info, aad, *sealed), plaintext);
}

TEST_F(HpkeTest, NothingElseOpens) {
  const auto sealed = *hpke_seal(x25519_public_key(receiver), info, aad, plaintext, ephemeral);
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    auto altered = sealed;
    altered[i] ^= 1;
    EXPECT_FALSE(hpke_open(receiver, info, aad, altered)) << i;
  }
  for (std::size_t size = 0; size < sealed.size(); ++size)
    EXPECT_FALSE(hpke_open(receiver, info, aad, ByteView(sealed).first(size))) << size;
  EXPECT_FALSE(hpke_open(ephemeral, info, aad, sealed));
  EXPECT_FALSE(hpke_open(receiver, aad, aad, sealed));
  EXPECT_FALSE(hpke_open(receiver, info, {}, sealed));
  const auto empty = hpke_seal(x25519_public_key(receiver), {}, {}, {}, ephemeral);
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->size(), kHpkeOverhead);
  EXPECT_EQ(hpke_open(receiver, {}, {}, *empty)->size(), 0u);
}

TEST_F(HpkeTest, PointsOfSmallOrderAreNoKeys) {
  X25519PublicKey zero{}, one{};
  one[0] = 1;
  EXPECT_EQ(hpke_seal(zero, info, aad, plaintext, ephemeral).error().code, Errc::invalid);
  EXPECT_EQ(hpke_seal(one, info, aad, plaintext, ephemeral).error().code, Errc::invalid);
}

}  // namespace
}  // namespace assay::crypto
