#include "protocol/cose.hpp"

#include <gtest/gtest.h>

#include "base/hex.hpp"
#include "protocol/samples_testutil.hpp"

namespace assay::protocol::cose {
namespace {

Sign1 signed_sample() {
  Sign1 m = sign1(cbor::map({{cbor::uint(kAlg), cbor::integer(kEs256k)}}), {1, 2, 3});
  sign_es256k(m, key_named("provider"));
  return m;
}

TEST(Cose, SignedBytesAreTheSigStructure) {  // RFC 9052 section 4.4
  const Sign1 m = sign1(cbor::map({{cbor::uint(1), cbor::integer(-7)}}), {'h', 'i'});
  EXPECT_EQ(to_hex_bare(to_be_signed(m)), "846a5369676e61747572653143a1012640426869");
  // No headers at all are an empty map of no bytes for others; ours always has an algorithm.
  EXPECT_EQ(to_hex_bare(encode(signed_sample())).substr(0, 20), "d28444a101382ea04301");
}

TEST(Cose, RoundTripAndSignature) {
  const Sign1 m = signed_sample();
  const Bytes encoded = encode(m);
  const auto back = decode(encoded);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(encode(*back), encoded);
  const auto key = check_es256k(*back, address_named("provider"));
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(*key, crypto::public_key_of(key_named("provider")));
  EXPECT_EQ(check_es256k(*back, address_named("buyer")).error().code, Errc::mismatch);
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    Bytes changed = encoded;
    changed[i] ^= 1;
    const auto read = decode(changed);
    EXPECT_FALSE(read && check_es256k(*read, address_named("provider"))) << i;
  }
  Sign1 other = sign1(cbor::map({{cbor::uint(kAlg), cbor::integer(kEdDsa)}}), {1});
  sign_es256k(other, key_named("provider"));
  EXPECT_EQ(check_es256k(other, address_named("provider")).error().code, Errc::unsupported);
  EXPECT_EQ(*algorithm(other), -8);
  EXPECT_FALSE(algorithm(sign1(cbor::map({}), {})));
  EXPECT_FALSE(algorithm(sign1(cbor::map({{cbor::uint(1), cbor::text("x")}}), {})));
}

TEST(Cose, WhatIsRefused) {
  const std::string s64(128, '0');
  const std::pair<std::string, const char*> cases[] = {
      {"8443a10126a040"
       "5840" +
           s64,
       "tag 18"},
      {"d18443a10126a040"
       "5840" +
           s64,
       "tag 18"},
      {"d28343a10126a040", "array of four"},
      {"d2a0", "array of four"},
      {"d284a10126a040"
       "5840" +
           s64,
       "byte string and a map"},
      {"d28443a1012680"
       "405840" +
           s64,
       "byte string and a map"},
      {"d28443a10126a0f6"
       "5840" +
           s64,
       "detached"},
      {"d28443a10126a001"
       "5840" +
           s64,
       "payload must be"},
      {"d28443a10126a040"
       "43010203",
       "64 bytes"},
      {"d28443a10226a040"
       "5840" +
           s64,
       "crit"},
      {"d2844180a040"
       "5840" +
           s64,
       "must be a map"},
      {"d28440a040"
       "5840" +
           s64,
       "too early"},
      {"d28443a10126a10126"
       "405840" +
           s64,
       "both headers"},
      {"d28444a1013800a040"
       "5840" +
           s64,
       "shortest"},
      {"00", "tag 18"},
      {"", "too early"},
  };
  for (const auto& [encoded, why] : cases) {
    const auto message = decode(*from_hex(encoded));
    ASSERT_FALSE(message) << encoded;
    EXPECT_NE(message.error().message.find(why), std::string::npos) << message.error().message;
  }
}

}  // namespace
}  // namespace assay::protocol::cose
