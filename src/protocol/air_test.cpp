#include "protocol/air.hpp"

#include <gtest/gtest.h>

#include "base/hex.hpp"
#include "base/json.hpp"
#include "protocol/shared_vectors_testutil.hpp"

namespace assay::protocol::air {
namespace {

Claims sample_claims() {
  Claims c{.issuer = "0xprovider",
           .issued_at = 1'700'000'000,
           .nonce = Bytes(8, 1),
           .model_id = "m",
           .model_version = "1",
           .model_hash = {2},
           .request_hash = {3},
           .response_hash = {4},
           .attestation_hash = {5},
           .measurements = {.type = "nitro-pcr", .pcr8 = Register{9}},
           .policy_version = "p",
           .sequence = 7,
           .execution_ms = 8,
           .memory_peak_mib = 9,
           .security_mode = "production",
           .model_hash_scheme = "sha256-single"};
  c.id.fill(6);
  return c;
}

const crypto::Ed25519Seed kSeed;  // zeros: a key everybody knows

TEST(Air, RoundTrip) {
  Claims c = sample_claims();
  EXPECT_EQ(*verify(sign(c, kSeed), crypto::ed25519_public_key(kSeed)), c);
  c.nonce.clear();
  c.model_hash_scheme.clear();
  c.measurements = {.type = "tdx-mrtd-rtmr"};
  EXPECT_EQ(*verify(sign(c, kSeed), crypto::ed25519_public_key(kSeed)), c);
}

// The public vectors, byte for byte: the claims of the JSON, encoded and signed by us with the
// vector's key, are the vector's receipt.
TEST(Air, PublicVectors) {
  const auto folder = shared_vectors("air/spec/v1/vectors/valid");
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << "the AIR draft's vectors are not here: " << folder.string();
  int vectors = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().string());
    const auto parsed = json::parse(file_text(entry.path()));
    ASSERT_TRUE(parsed) << parsed.error().message;
    const auto& o = parsed->as_object();
    const auto& j = o.at("claims").as_object();
    const auto& m = j.at("enclave_measurements").as_object();
    const auto hex_of = [](const json::object& from, const char* key) {
      return *json::get_hex(from, key);
    };
    const auto register_of = [&](const char* key) {
      return *array_from_hex<48>(*json::get_string(m, key));
    };
    Claims c{.issuer = *json::get_string(j, "iss"),
             .issued_at = *json::get_u64(j, "iat"),
             .id = *array_from_hex<16>(*json::get_string(j, "cti_hex")),
             .nonce = j.contains("eat_nonce_hex") ? hex_of(j, "eat_nonce_hex") : Bytes{},
             .model_id = *json::get_string(j, "model_id"),
             .model_version = *json::get_string(j, "model_version"),
             .model_hash = *json::get_hash(j, "model_hash_hex"),
             .request_hash = *json::get_hash(j, "request_hash_hex"),
             .response_hash = *json::get_hash(j, "response_hash_hex"),
             .attestation_hash = *json::get_hash(j, "attestation_doc_hash_hex"),
             .measurements = {*json::get_string(m, "measurement_type"),
                              {register_of("pcr0_hex"), register_of("pcr1_hex"),
                               register_of("pcr2_hex")},
                              std::nullopt},
             .policy_version = *json::get_string(j, "policy_version"),
             .sequence = *json::get_u64(j, "sequence_number"),
             .execution_ms = *json::get_u64(j, "execution_time_ms"),
             .memory_peak_mib = *json::get_u64(j, "memory_peak_mb"),
             .security_mode = *json::get_string(j, "security_mode"),
             .model_hash_scheme = {}};
    crypto::Ed25519Seed seed;
    seed.bytes = *json::get_hash(o, "signing_key_seed_hex");
    EXPECT_EQ(encode(c), hex_of(o, "payload_hex"));
    const Bytes receipt = hex_of(o, "receipt_hex");
    EXPECT_EQ(sign(c, seed), receipt);
    const auto key = *json::get_hash(o, "public_key_hex");
    EXPECT_EQ(crypto::ed25519_public_key(seed), key);
    const auto verified = verify(receipt, key);
    ASSERT_TRUE(verified) << verified.error().message;
    EXPECT_EQ(*verified, c);
    EXPECT_FALSE(verify(receipt, Hash{1}));
    // No single byte may be changed.
    for (std::size_t i = 0; i < receipt.size(); ++i) {
      Bytes changed = receipt;
      changed[i] ^= 1;
      EXPECT_FALSE(verify(changed, key)) << i;
    }
    ++vectors;
  }
  EXPECT_EQ(vectors, 2);
}

// A map that is signed, but not the profile's.
TEST(Air, TheMapIsClosed) {
  const auto key = crypto::ed25519_public_key(kSeed);
  const auto with = [&](auto change) {
    cbor::Value claims = *cbor::decode(encode(sample_claims()));
    cbor::Value header =
        cbor::map({{cbor::uint(1), cbor::integer(-8)}, {cbor::uint(3), cbor::uint(61)}});
    change(claims, header);
    auto message = cose::sign1(header, cbor::encode(claims));
    const auto signature = crypto::ed25519_sign(cose::to_be_signed(message), kSeed);
    message.signature.assign(signature.begin(), signature.end());
    const auto result = verify(cose::encode(message), key);
    return result ? std::string() : result.error().message;
  };
  const auto set = [](cbor::Value& map, const cbor::Value& label, cbor::Value value) {
    for (std::size_t i = 0; i < map.items.size(); i += 2)
      if (map.items[i] == label) {
        map.items[i + 1] = std::move(value);
        return;
      }
    map.items.push_back(label);
    map.items.push_back(std::move(value));
  };
  EXPECT_EQ(with([](auto&, auto&) {}), "");
  EXPECT_NE(
      with([&](auto& c, auto&) { set(c, cbor::uint(2), cbor::text("sub")); }).find("do not belong"),
      std::string::npos);
  EXPECT_NE(
      with([&](auto& c, auto&) { set(c, cbor::uint(265), cbor::text("other")); }).find("profile"),
      std::string::npos);
  EXPECT_NE(
      with([&](auto& c, auto&) { set(c, cbor::uint(10), cbor::bytes(Bytes(7))); }).find("8 to 64"),
      std::string::npos);
  EXPECT_NE(with([&](auto& c, auto&) {
              set(c, cbor::integer(-65549), cbor::text("md5"));
            }).find("hash scheme"),
            std::string::npos);
  EXPECT_NE(with([&](auto& c, auto&) {
              set(c, cbor::integer(-65539), cbor::bytes(Bytes(31)));
            }).find("32 bytes"),
            std::string::npos);
  EXPECT_NE(with([&](auto& c, auto&) { c.items.resize(2); }).find("missing"), std::string::npos);
  EXPECT_NE(with([&](auto&, auto& h) { set(h, cbor::uint(1), cbor::integer(-7)); }).find("headers"),
            std::string::npos);
  EXPECT_NE(with([&](auto&, auto& h) { set(h, cbor::uint(4), cbor::bytes({})); }).find("headers"),
            std::string::npos);
  const auto measured = [&](auto change) {
    return with([&](auto& c, auto&) {
      cbor::Value m = *cbor::find(c, cbor::integer(-65543));
      change(m);
      set(c, cbor::integer(-65543), std::move(m));
    });
  };
  EXPECT_NE(measured([&](auto& m) {
              set(m, cbor::text("measurement_type"), cbor::text("sev"));
            }).find("not known"),
            std::string::npos);
  EXPECT_NE(measured([&](auto& m) {
              set(m, cbor::text("measurement_type"), cbor::text("tdx-mrtd-rtmr"));
            }).find("pcr8"),
            std::string::npos);
  EXPECT_NE(
      measured([&](auto& m) { set(m, cbor::text("pcr3"), cbor::bytes({})); }).find("do not belong"),
      std::string::npos);
}

}  // namespace
}  // namespace assay::protocol::air
