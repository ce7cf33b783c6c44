#include "crypto/tls_key.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "crypto/openssl.hpp"
#include "crypto/sha256.hpp"

namespace assay::crypto {
namespace {

using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Group = std::unique_ptr<EC_GROUP, Freed<EC_GROUP_free>>;
using Number = std::unique_ptr<BIGNUM, Freed<BN_clear_free>>;
using Parameters = std::unique_ptr<OSSL_PARAM, Freed<OSSL_PARAM_free>>;
using ParameterBuilder = std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD_free>>;
using Point = std::unique_ptr<EC_POINT, Freed<EC_POINT_free>>;

// A number from 1 to order − 1, each all but equally likely (FIPS 186-5, A.2.1: 64 bits more than
// the order has).
Number secret_number(const Hash& seed, const BIGNUM* order) {
  const Hash high = hmac_sha256(seed, view("assay tls key 0")),
             low = hmac_sha256(seed, view("assay tls key 1"));
  Bytes wide(high.begin(), high.end());
  wide.insert(wide.end(), low.begin(), low.begin() + 8);
  Number number(BN_bin2bn(wide.data(), static_cast<int>(wide.size()), nullptr));
  const Number range(BN_dup(order));
  if (!number || !range || BN_sub_word(range.get(), 1) == 0) return nullptr;
  const std::unique_ptr<BN_CTX, Freed<BN_CTX_free>> context(BN_CTX_new());
  if (!context || BN_mod(number.get(), number.get(), range.get(), context.get()) == 0 ||
      BN_add_word(number.get(), 1) == 0)
    return nullptr;
  return number;
}

Key tls_key_of(const Hash& seed) {
  const Group group(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1));
  if (!group) return nullptr;
  const Number secret = secret_number(seed, EC_GROUP_get0_order(group.get()));
  const Point point(EC_POINT_new(group.get()));
  if (!secret || !point ||
      EC_POINT_mul(group.get(), point.get(), secret.get(), nullptr, nullptr, nullptr) == 0)
    return nullptr;
  std::array<std::uint8_t, 65> open{};
  if (EC_POINT_point2oct(group.get(), point.get(), POINT_CONVERSION_UNCOMPRESSED, open.data(),
                         open.size(), nullptr) != open.size())
    return nullptr;
  const ParameterBuilder builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 0 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, secret.get()) == 0 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, open.data(),
                                       open.size()) == 0)
    return nullptr;
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) <= 0 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_KEYPAIR, parameters.get()) <= 0)
    return nullptr;
  return Key(key);
}

Certificate self_signed(EVP_PKEY* key) {
  Certificate certificate(X509_new());
  if (!certificate) return nullptr;
  X509_NAME* const name = X509_get_subject_name(certificate.get());
  const bool made =
      X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
      ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1) == 1 &&
      ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate.get()), "19700101000000Z") == 1 &&
      ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate.get()), "99991231235959Z") == 1 &&
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                 reinterpret_cast<const unsigned char*>("assay"), -1, -1, 0) == 1 &&
      X509_set_issuer_name(certificate.get(), name) == 1 &&
      X509_set_pubkey(certificate.get(), key) == 1 &&
      X509_sign(certificate.get(), key, EVP_sha256()) > 0;
  return made ? std::move(certificate) : nullptr;
}

Result<Hash> hash_of(const X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  if (size <= 0) return fail(Errc::invalid, "a certificate without a public key");
  const Hash hash = sha256({der, static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  return hash;
}

std::string text_of(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace

Result<TlsCertificate> tls_certificate(const Hash& seed) {
  const Key key = tls_key_of(seed);
  const Certificate certificate = key ? self_signed(key.get()) : nullptr;
  const Bio open(BIO_new(BIO_s_mem())), secret(BIO_new(BIO_s_secmem()));
  if (!certificate || !open || !secret || PEM_write_bio_X509(open.get(), certificate.get()) != 1 ||
      PEM_write_bio_PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    ERR_clear_error();
    return fail(Errc::internal, "OpenSSL makes no certificate for a P-256 key");
  }
  TRY(const Hash hash, hash_of(certificate.get()));
  return TlsCertificate{text_of(open.get()), text_of(secret.get()), hash};
}

Result<Hash> tls_key_hash(std::string_view certificate_pem) {
  const Bio text(BIO_new_mem_buf(certificate_pem.data(), static_cast<int>(certificate_pem.size())));
  const Certificate certificate(text ? PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr)
                                     : nullptr);
  if (!certificate) {
    ERR_clear_error();
    return fail(Errc::invalid, "no certificate in PEM");
  }
  return hash_of(certificate.get());
}

}  // namespace assay::crypto
