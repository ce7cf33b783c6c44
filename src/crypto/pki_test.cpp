// Certificate chains made here, at the times that matter. The public vectors are read by
// verify/model_signing_test.cpp.
#include "crypto/pki.hpp"

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "crypto/openssl.hpp"

namespace assay::crypto {
namespace {

constexpr std::int64_t kYear = 365 * 86'400, k2010 = 1'262'304'000, k2020 = k2010 + 10 * kYear;

using Certificate = std::unique_ptr<X509, Freed<X509_free>>;

struct Party {
  Key key{EVP_EC_gen("P-256")};
  Certificate certificate;
};

struct Terms {
  const char* name = "signer";
  const char* key_usage = "critical,digitalSignature";
  bool authority = false;
  std::int64_t from = k2020, to = k2020 + kYear;
};

// `issuer`: null for one that signs itself.
Party issue(const Terms& terms, const Party* issuer) {
  Party out;
  out.certificate.reset(X509_new());
  X509* c = out.certificate.get();
  X509_set_version(c, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(c), 1 + terms.from / kYear);
  ASN1_TIME_set(X509_getm_notBefore(c), terms.from);
  ASN1_TIME_set(X509_getm_notAfter(c), terms.to);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(terms.name), -1, -1, 0);
  X509_set_issuer_name(c, X509_get_subject_name(issuer == nullptr ? c : issuer->certificate.get()));
  X509_set_pubkey(c, out.key.get());
  const std::pair<int, const char*> extensions[] = {
      {NID_key_usage, terms.authority ? "critical,keyCertSign" : terms.key_usage},
      {NID_basic_constraints, terms.authority ? "critical,CA:TRUE" : "critical,CA:FALSE"}};
  for (const auto& [nid, value] : extensions) {
    X509_EXTENSION* e = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(c, e, -1);
    X509_EXTENSION_free(e);
  }
  X509_sign(c, (issuer == nullptr ? out : *issuer).key.get(), EVP_sha256());
  return out;
}

Party authority(std::int64_t from = k2010, std::int64_t to = k2010 + 12 * kYear) {
  return issue({.name = "root", .authority = true, .from = from, .to = to}, nullptr);
}

Bytes der(const Party& p) {
  Bytes out(static_cast<std::size_t>(i2d_X509(p.certificate.get(), nullptr)));
  unsigned char* at = out.data();
  i2d_X509(p.certificate.get(), &at);
  return out;
}

std::string pem(const Party& p) {
  const std::unique_ptr<BIO, Freed<BIO_free_all>> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), p.certificate.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

const Bytes kMessage{1, 2, 3};

Bytes signature_of(const Party& p) {
  const Digest context(EVP_MD_CTX_new());
  EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, p.key.get());
  std::size_t size = 0;
  EVP_DigestSign(context.get(), nullptr, &size, kMessage.data(), kMessage.size());
  Bytes out(size);
  EVP_DigestSign(context.get(), out.data(), &size, kMessage.data(), kMessage.size());
  out.resize(size);
  return out;
}

Result<CertificateSigner> checked(const Party& signer, const Party& root) {
  return check_chain_signature(std::vector<Bytes>{der(signer)}, pem(root), kMessage,
                               signature_of(signer));
}

// Expired for years, as is its root: what it signed is still vouched for.
TEST(Pki, AChainIsJudgedWhenItsSignerBegan) {
  const Party root = authority();
  const Party signer = issue({}, &root);
  const auto found = checked(signer, root);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->subject, "CN=signer");
  EXPECT_EQ(found->not_before_unix, k2020);
  EXPECT_EQ(found->not_after_unix, k2020 + kYear);
}

TEST(Pki, AnIssuerThatWasNotValidThenDoesNotVouch) {
  for (const Party& root : {authority(k2020 + 1, k2020 + 9 * kYear), authority(k2010, k2020 - 1)}) {
    const Party signer = issue({}, &root);
    const auto found = checked(signer, root);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, Errc::mismatch);
  }
  // To the second.
  const Party root = authority(k2020, k2020 + kYear);
  EXPECT_TRUE(checked(issue({}, &root), root));
}

TEST(Pki, OnlyTheTrustedAndOnlyForSignatures) {
  const Party root = authority(), other = authority();
  const Party signer = issue({}, &root);
  EXPECT_EQ(checked(signer, other).error().code, Errc::mismatch);
  const auto wrong = check_chain_signature(std::vector<Bytes>{der(signer)}, pem(root), kMessage,
                                           signature_of(root));
  EXPECT_EQ(wrong.error().code, Errc::mismatch);
  const Party encrypts = issue({.key_usage = "critical,keyAgreement"}, &root);
  EXPECT_NE(checked(encrypts, root).error().message.find("not for digital signatures"),
            std::string::npos);
  // One that is no authority ends no chain that goes on.
  const Party below = issue({.name = "below"}, &signer);
  const auto beyond = check_chain_signature(std::vector<Bytes>{der(below), der(signer)}, pem(root),
                                            kMessage, signature_of(below));
  EXPECT_EQ(beyond.error().code, Errc::mismatch);
}

}  // namespace
}  // namespace assay::crypto
