#include "crypto/secp256k1.hpp"

#include <gtest/gtest.h>

#include "base/hex.hpp"
#include "crypto/eip712.hpp"
#include "crypto/keccak.hpp"
#include "crypto/sha256.hpp"

namespace assay::crypto {
namespace {

SecretKey key_of(std::string_view hex) { return *secret_key(*from_hex(hex)); }
SecretKey key_one() {
  Hash bytes{};
  bytes[31] = 1;
  return *secret_key(bytes);
}

TEST(Address, Eip55Examples) {
  for (const char* text :
       {"0x52908400098527886E0F7030069857D2E4169EE7", "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77", "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"}) {
    const auto a = Address::parse(text);
    ASSERT_TRUE(a) << text;
    EXPECT_EQ(a->to_string(), text);
    EXPECT_EQ(*Address::parse(to_hex(a->bytes)), *a);
  }
}

TEST(Address, RefusesWrongChecksumsAndForms) {
  const auto wrong = Address::parse("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD");
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("checksum"), std::string::npos);
  for (const char* text :
       {"", "0x", "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
        "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beae", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaedd",
        "0X5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaeg"})
    EXPECT_FALSE(Address::parse(text)) << text;
}

TEST(SecretKey, OnlyTheValidRange) {
  EXPECT_FALSE(secret_key(Bytes(31, 1)));
  EXPECT_FALSE(secret_key(Bytes(32, 0)));
  const auto order = *from_hex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
  EXPECT_FALSE(secret_key(order));
  auto below = order;
  below.back() -= 1;
  EXPECT_TRUE(secret_key(below));
  EXPECT_EQ(address_of(key_one()).to_string(), "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
}

// The widely published RFC 6979 answers for secp256k1, key 1, SHA-256 messages.
TEST(Sign, Rfc6979KnownAnswers) {
  const auto sign_text = [](std::string_view message) {
    return to_hex_bare(ByteView(sign(sha256(view(message)), key_one()).bytes).first(64));
  };
  EXPECT_EQ(sign_text("Satoshi Nakamoto"),
            "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
            "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5");
  EXPECT_EQ(sign_text("All those moments will be lost in time, like tears in rain. Time to die..."),
            "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b"
            "547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21");
}

TEST(Recover, YieldsTheSignerAndRefusesOtherForms) {
  const Hash digest = sha256(view("digest"));
  const Address signer = address_of(key_one());
  const Signature good = sign(digest, key_one());
  EXPECT_EQ(*recover(digest, good), signer);
  EXPECT_NE(recover(sha256(view("other")), good).value_or(Address{}), signer);

  for (int v = 0; v < 256; ++v) {
    Signature s = good;
    s.bytes[64] = static_cast<std::uint8_t>(v);
    const bool is_signer = recover(digest, s).value_or(Address{}) == signer;
    EXPECT_EQ(is_signer, v == good.bytes[64]);
    if (v != 27 && v != 28) {
      EXPECT_FALSE(recover(digest, s));
    }
  }

  // The same signature with s' = n - s and the other v: valid ECDSA, refused here.
  const auto order = *from_hex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
  Signature high = good;
  int borrow = 0;
  for (int i = 31; i >= 0; --i) {
    const int d = order[i] - good.bytes[32 + i] - borrow;
    borrow = d < 0;
    high.bytes[32 + i] = static_cast<std::uint8_t>(d & 255);
  }
  high.bytes[64] = static_cast<std::uint8_t>(55 - good.bytes[64]);
  const auto refused = recover(digest, high);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("upper half"), std::string::npos);

  Signature zero;
  zero.bytes[64] = 27;
  EXPECT_FALSE(recover(digest, zero));
  Signature over = good;
  std::ranges::copy(order, over.bytes.begin());
  EXPECT_FALSE(recover(digest, over));
}

// The "Mail" example of EIP-712, to the last bit of the signature.
TEST(Eip712, MailExample) {
  const std::string person = "Person(string name,address wallet)";
  const auto person_hash = [&](std::string_view name, std::string_view wallet) {
    return StructHasher(person).string(name).address(*Address::parse(wallet)).finish();
  };
  const Hash mail = StructHasher("Mail(Person from,Person to,string contents)" + person)
                        .bytes32(person_hash("Cow", "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"))
                        .bytes32(person_hash("Bob", "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"))
                        .string("Hello, Bob!")
                        .finish();
  EXPECT_EQ(to_hex_bare(mail), "c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e");
  const Hash domain = domain_separator_evm(
      "Ether Mail", "1", 1, *Address::parse("0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"));
  EXPECT_EQ(to_hex_bare(domain),
            "f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f");
  const Hash digest = typed_digest(domain, mail);
  EXPECT_EQ(to_hex_bare(digest),
            "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2");
  const SecretKey cow = key_of(to_hex(keccak256(view("cow"))));
  EXPECT_EQ(to_hex_bare(sign(digest, cow).bytes),
            "4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d"
            "07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c");
}

// What other tools read: the plain form, DER, and the key as PEM (`openssl pkey -pubin -text` shows
// the same point).
TEST(Secp256k1, PlainSignatures) {
  const SecretKey key = key_of(to_hex(keccak256(view("cow"))));
  const Hash digest = keccak256(view("message"));
  const PlainSignature signature = plain(sign(digest, key));
  EXPECT_EQ(*check_plain(digest, signature, address_of(key)), public_key_of(key));
  EXPECT_EQ(address_of(public_key_of(key)), address_of(key));
  EXPECT_FALSE(check_plain(digest, signature, Address{}));
  EXPECT_FALSE(check_plain(keccak256(view("other")), signature, address_of(key)));
  EXPECT_FALSE(check_plain(digest, PlainSignature{}, address_of(key)));

  const Bytes der = to_der(signature);
  EXPECT_EQ(*from_der(der), signature);
  for (std::size_t size = 0; size < der.size(); ++size)
    EXPECT_FALSE(from_der(ByteView(der).first(size)));
  Bytes longer = der;
  longer.push_back(0);
  EXPECT_FALSE(from_der(longer));
  EXPECT_FALSE(from_der(*from_hex("30070201010202000a")));  // a zero too many
  EXPECT_FALSE(from_der(*from_hex("3006020100020100")));    // no signature has zeros
  EXPECT_FALSE(from_der(*from_hex("30060201ff020101")));    // negative
  EXPECT_TRUE(from_der(*from_hex("3006020101020101")));

  EXPECT_EQ(to_pem(public_key_of(key_of("0x" + std::string(63, '0') + "1"))),
            "-----BEGIN PUBLIC KEY-----\n"
            "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEeb5mfvncu6xVoGKVzocLBwKb/NstzijZ\n"
            "WfKBWxb4F5hIOtp3JqPEZV2k+/wOEQio/Re0SKaFVBmcR9CP+xDUuA==\n"
            "-----END PUBLIC KEY-----\n");
}

TEST(Eip712, IntegersAreSignExtendedWords) {
  const auto word_hash = [](std::string_view words) {
    Bytes encoded;
    append(encoded, keccak256(view("T(x)")));
    append(encoded, *from_hex(words));
    return keccak256(encoded);
  };
  EXPECT_EQ(StructHasher("T(x)").i64(-2).finish(),
            word_hash("fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe"));
  EXPECT_EQ(StructHasher("T(x)").u64(UINT64_MAX).finish(),
            word_hash("000000000000000000000000000000000000000000000000ffffffffffffffff"));
  EXPECT_EQ(StructHasher("T(x)").boolean(true).finish(),
            word_hash("0000000000000000000000000000000000000000000000000000000000000001"));
}

}  // namespace
}  // namespace assay::crypto
