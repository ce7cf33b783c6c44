#include "verify/model_signing.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "protocol/shared_vectors_testutil.hpp"

namespace assay::verify {
namespace {

// The public key of the specification's test vectors; the bundles carry its hash, or it is in their
// certificate.
constexpr std::string_view kSigningKey =
    "-----BEGIN PUBLIC KEY-----\n"
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEsu6rZGBTjxtvRWPMixT+3HyndV0J0Ybt\n"
    "aHZUcO4DEK+OJHO/4e32bb/fbJKSpRgcBsIpKLcVijUomyFOERbd7u+BTPSUjGZD\n"
    "Qq6J7lTvp/EAXQGOKxW9RP0MGX3qAkvi\n"
    "-----END PUBLIC KEY-----\n";
constexpr std::string_view kOtherKey =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n"
    "6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n"
    "-----END PUBLIC KEY-----\n";

std::filesystem::path vectors() {
  return protocol::shared_vectors("model-signing/test-vectors/v1.0");
}
#define NEED_VECTORS()                     \
  if (!std::filesystem::exists(vectors())) \
  GTEST_SKIP() << "OpenSSF Model Signing's vectors are not here: " << vectors().string()

Result<json::object> bundle(const std::string& name) {
  TRY(const json::value parsed, json::parse(protocol::file_text(vectors() / name)));
  TRY(const json::object* o, json::as_object(parsed, name));
  return *o;
}

Result<ModelSignature> verified(const std::string& name, const ModelTrust& trust) {
  TRY(const json::object o, bundle(name));
  return verify_model_signature(o, trust);
}

// The bundle's own second certificate, as PEM: what a reader would trust who had it from elsewhere.
std::string intermediate() {
  const auto o = *bundle("valid/certificate.bundle.json");
  const auto& chain = o.at("verificationMaterial").at("x509CertificateChain").at("certificates");
  return fmt::format("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
                     std::string_view(chain.at(1).at("rawBytes").as_string()));
}

TEST(ModelSigning, PublicKeyVector) {
  NEED_VECTORS();
  const auto s = verified("valid/key.bundle.json", {.public_key_pem = std::string(kSigningKey)});
  ASSERT_TRUE(s) << s.error().message;
  EXPECT_EQ(s->model, "model");
  EXPECT_EQ(s->method, "files");
  EXPECT_EQ(to_hex_bare(s->root),
            "92745110b1ab4368471cbe31664e10174e954b113a3df333db860317b2c6dec4");
  ASSERT_EQ(s->resources.size(), 2u);
  EXPECT_EQ(s->resources[1].name, "signme-2");
  EXPECT_EQ(s->signer,
            "public key e8450dec4eb99dae995da9af1bc2cc9f76ed669ee2e744f57abba763df3e3f8e");
  const Hash digest = *array_from_hex<32>(s->resources[1].digest);
  EXPECT_EQ(find_file(*s, digest), &s->resources[1]);
  EXPECT_EQ(find_file(*s, Hash{}), nullptr);
}

TEST(ModelSigning, CertificateVector) {
  NEED_VECTORS();
  const auto s = verified("valid/certificate.bundle.json", {.certificates_pem = intermediate()});
  ASSERT_TRUE(s) << s.error().message;
  EXPECT_EQ(s->signer,
            "certificate of 'CN=intermediate-ca' (valid 2025-05-02 to 2035-04-30, judged as of its "
            "beginning)");
  EXPECT_EQ(s->resources.size(), 2u);
}

TEST(ModelSigning, WhatIsRefused) {
  NEED_VECTORS();
  const ModelTrust key{.public_key_pem = std::string(kSigningKey)};
  const auto refused = [&](const std::string& name, const ModelTrust& trust, Errc code,
                           std::string_view why) {
    const auto s = verified(name, trust);
    ASSERT_FALSE(s) << name;
    EXPECT_EQ(s.error().code, code) << s.error().message;
    EXPECT_NE(s.error().message.find(why), std::string::npos) << s.error().message;
  };
  refused("invalid-payload/wrong-predicate.bundle.json", key, Errc::mismatch, "did not sign");
  refused("invalid/missing-envelope.bundle.json", key, Errc::invalid, "dsseEnvelope");
  refused("invalid/missing-tlog-entries.bundle.json", key, Errc::invalid, "tlogEntries");
  refused("invalid/missing-verification-material.bundle.json", key, Errc::invalid,
          "verificationMaterial");
  EXPECT_FALSE(bundle("invalid/empty.bundle.json"));
  refused("valid/sigstore.bundle.json", key, Errc::unsupported, "keyless");

  refused("valid/key.bundle.json", {.public_key_pem = std::string(kOtherKey)}, Errc::mismatch,
          "another key");
  refused("valid/key.bundle.json", {}, Errc::invalid, "public key");
  refused("valid/key.bundle.json", {.certificates_pem = intermediate()}, Errc::invalid,
          "public key");
  refused("valid/certificate.bundle.json", key, Errc::invalid, "certificates to trust");
  refused("valid/certificate.bundle.json", {.certificates_pem = "none"}, Errc::invalid,
          "no certificate");
}

// Bundles signed here, well, that say what must not be believed.
class Signer {
 public:
  std::string public_pem() const {
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
    PEM_write_bio_PUBKEY(bio.get(), key_.get());
    char* at = nullptr;
    const auto size = BIO_get_mem_data(bio.get(), &at);
    return {at, static_cast<std::size_t>(size)};
  }
  json::object bundle(const json::object& statement) const {
    const std::string payload = json::dump(statement);
    protocol::dsse::Envelope envelope{
        std::string(protocol::dsse::kInTotoType), Bytes(payload.begin(), payload.end()), {}};
    const Bytes text = protocol::dsse::to_be_signed(envelope);
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                          EVP_MD_CTX_free);
    Bytes signature(128);
    std::size_t size = signature.size();
    EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get());
    EVP_DigestSign(context.get(), signature.data(), &size, text.data(), text.size());
    signature.resize(size);
    envelope.signatures.push_back({"", signature});
    return {
        {"mediaType", "application/vnd.dev.sigstore.bundle.v0.3+json"},
        {"verificationMaterial", {{"publicKey", json::object{}}, {"tlogEntries", json::array{}}}},
        {"dsseEnvelope", protocol::dsse::to_json(envelope)}};
  }

 private:
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_{EVP_EC_gen("P-256"), EVP_PKEY_free};
};

TEST(ModelSigning, WellSignedNonsense) {
  const Signer signer;
  const std::string one(64, '1'), two(64, '2');
  const auto resource = [](std::string_view name, std::string_view digest) {
    return json::object{{"name", name}, {"algorithm", "sha256"}, {"digest", digest}};
  };
  Bytes both = *from_hex(one);
  append(both, *from_hex(two));
  const json::object good{
      {"_type", "https://in-toto.io/Statement/v1"},
      {"subject", json::array{{{"name", "model"},
                               {"digest", {{"sha256", to_hex_bare(crypto::sha256(both))}}}}}},
      {"predicateType", "https://model_signing/signature/v1.0"},
      {"predicate",
       {{"serialization", {{"method", "files"}}},
        {"resources", json::array{resource("a", one), resource("b", two)}}}}};
  const auto verdict = [&](auto change, std::string_view media = {}) {
    json::object statement = good;
    change(statement);
    json::object bundle = signer.bundle(statement);
    if (!media.empty()) bundle["mediaType"] = media;
    const auto s = verify_model_signature(bundle, {.public_key_pem = signer.public_pem()});
    return s ? "good: " + s->model : s.error().message;
  };
  const auto says = [&](auto change, std::string_view why) {
    const std::string found = verdict(change);
    EXPECT_NE(found.find(why), std::string::npos) << found;
  };
  const auto resources = [](json::object& s) -> json::array& {
    return s["predicate"].as_object()["resources"].as_array();
  };
  EXPECT_EQ(verdict([](auto&) {}), "good: model");
  EXPECT_NE(verdict([](auto&) {}, "text/plain").find("bundle of type"), std::string::npos);
  says([](auto& s) { s["predicateType"] = "https://example.com/other"; }, "is not");
  says([](auto& s) { s["subject"].as_array().push_back(s["subject"].as_array()[0]); },
       "one subject");
  says([](auto& s) { s["predicate"].as_object()["serialization"].as_object()["method"] = "tar"; },
       "serialization method");
  says([&](auto& s) { resources(s)[0].as_object()["algorithm"] = "md5"; }, "algorithm 'md5'");
  says([&](auto& s) { std::swap(resources(s)[0], resources(s)[1]); }, "not sorted");
  says([&](auto& s) { resources(s)[1].as_object()["name"] = "a"; }, "not sorted");
  says([&](auto& s) { resources(s)[0].as_object()["digest"] = std::string(64, 'A'); },
       "lower-case");
  says([&](auto& s) { resources(s)[1].as_object()["digest"] = one; }, "subject's digest");
  says([&](auto& s) { resources(s).pop_back(); }, "subject's digest");
}

// Every change to what is signed, and to the signature.
TEST(ModelSigning, NothingMayBeTamperedWith) {
  NEED_VECTORS();
  const ModelTrust key{.public_key_pem = std::string(kSigningKey)};
  const auto tampered = [&](auto change) {
    json::object o = *bundle("valid/key.bundle.json");
    change(o.at("dsseEnvelope").as_object(), o.at("verificationMaterial").as_object());
    return verify_model_signature(o, key).has_value();
  };
  EXPECT_TRUE(tampered([](auto&, auto&) {}));
  EXPECT_FALSE(tampered([](auto& e, auto&) { e["payloadType"] = "text/plain"; }));
  EXPECT_FALSE(tampered([](auto& e, auto&) { e["signatures"] = json::array{}; }));
  EXPECT_FALSE(tampered(
      [](auto& e, auto&) { e["signatures"].as_array().push_back(e["signatures"].as_array()[0]); }));
  EXPECT_FALSE(tampered([](auto&, auto& m) { m["publicKey"].as_object()["hint"] = "00"; }));
  EXPECT_FALSE(tampered([](auto&, auto& m) { m.erase("publicKey"); }));
  const std::string payload(
      bundle("valid/key.bundle.json")->at("dsseEnvelope").at("payload").as_string());
  const Bytes original = *from_base64(payload);
  for (std::size_t i = 0; i < original.size(); i += 11)
    EXPECT_FALSE(tampered([&](auto& e, auto&) {
      Bytes changed = original;
      changed[i] ^= 1;
      e["payload"] = to_base64(changed);
    })) << i;
}

TEST(Pki, KeysAndSignatures) {
  EXPECT_EQ(crypto::check_pem_signature("nonsense", {}, {}).error().code, Errc::invalid);
  const Bytes no{1, 2, 3};
  EXPECT_EQ(crypto::check_pem_signature(kSigningKey, no, no).error().code, Errc::mismatch);
  EXPECT_EQ(crypto::check_chain_signature({}, "", no, no).error().code, Errc::invalid);
  EXPECT_EQ(crypto::check_chain_signature(std::vector<Bytes>{no}, "", no, no).error().code,
            Errc::invalid);
  // secp256k1 is nobody's curve here.
  constexpr std::string_view k1 =
      "-----BEGIN PUBLIC KEY-----\n"
      "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEeb5mfvncu6xVoGKVzocLBwKb/NstzijZ\n"
      "WfKBWxb4F5hIOtp3JqPEZV2k+/wOEQio/Re0SKaFVBmcR9CP+xDUuA==\n"
      "-----END PUBLIC KEY-----\n";
  EXPECT_EQ(crypto::check_pem_signature(k1, no, no).error().code, Errc::unsupported);
}

}  // namespace
}  // namespace assay::verify
