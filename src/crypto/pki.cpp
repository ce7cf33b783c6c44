#include "crypto/pki.hpp"

#include <ctime>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "crypto/openssl.hpp"

namespace assay::crypto {
namespace {

using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Store = std::unique_ptr<X509_STORE, Freed<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>>;
struct FreeStack {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_pop_free(stack, X509_free); }
};
using Stack = std::unique_ptr<STACK_OF(X509), FreeStack>;

constexpr std::size_t kPemBytesMax = 1u << 20, kCertificatesMax = 16;

// OpenSSL leaves reasons behind in a queue of the thread; what is told are our own words.
struct ClearErrors {
  ~ClearErrors() { ERR_clear_error(); }
};

Result<Bio> memory(std::string_view text) {
  if (text.size() > kPemBytesMax) return fail(Errc::invalid, "a PEM of {} bytes", text.size());
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Result<const EVP_MD*> hash_for(EVP_PKEY* key) {
  char group[64] = "";
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
    EVP_PKEY_get_group_name(key, group, sizeof group, nullptr);
  switch (OBJ_txt2nid(group)) {
    case NID_X9_62_prime256v1:
      return EVP_sha256();
    case NID_secp384r1:
      return EVP_sha384();
    case NID_secp521r1:
      return EVP_sha512();
  }
  return fail(Errc::unsupported,
              "keys other than ECDSA on P-256, P-384 and P-521 are not supported");
}

Status check(EVP_PKEY* key, ByteView message, ByteView signature) {
  TRY(const EVP_MD* hash, hash_for(key));
  const Digest context(EVP_MD_CTX_new());
  if (context == nullptr || EVP_DigestVerifyInit(context.get(), nullptr, hash, nullptr, key) != 1 ||
      EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                       message.size()) != 1)
    return fail(Errc::mismatch, "the key did not sign this");
  return {};
}

// Every certificate of the PEM becomes an end of chains.
Status trust(X509_STORE* store, std::string_view pem) {
  TRY(const Bio bio, memory(pem));
  int count = 0;
  while (const Certificate c{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    X509_STORE_add_cert(store, c.get());
    ++count;
  }
  if (count == 0) return fail(Errc::invalid, "no certificate in PEM among those to trust");
  return {};
}

std::string subject_of(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

Result<std::int64_t> unix_time(const ASN1_TIME* time) {
  std::tm when{};
  if (ASN1_TIME_to_tm(time, &when) != 1)
    return fail(Errc::invalid, "the signer's certificate has no date");
  return timegm(&when);
}

}  // namespace

Status check_pem_signature(std::string_view public_key_pem, ByteView message, ByteView signature) {
  const ClearErrors clear;
  TRY(const Bio bio, memory(public_key_pem));
  const Key key(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
  if (key == nullptr)
    return fail(Errc::invalid, "not a public key in PEM (-----BEGIN PUBLIC KEY-----)");
  return check(key.get(), message, signature);
}

Result<CertificateSigner> check_chain_signature(std::span<const Bytes> chain,
                                                std::string_view trusted_pem, ByteView message,
                                                ByteView signature) {
  const ClearErrors clear;
  if (chain.empty() || chain.size() > kCertificatesMax)
    return fail(Errc::invalid, "a chain of {} certificates", chain.size());
  const Stack others(sk_X509_new_null());
  Certificate own;
  for (const Bytes& der : chain) {
    const unsigned char* p = der.data();
    Certificate c(d2i_X509(nullptr, &p, static_cast<long>(der.size())));
    if (c == nullptr || p != der.data() + der.size())
      return fail(Errc::invalid, "the chain holds something that is no certificate");
    if (own == nullptr)
      own = std::move(c);
    else
      sk_X509_push(others.get(), c.release());
  }
  CertificateSigner out;
  TRY(out.not_before_unix, unix_time(X509_get0_notBefore(own.get())));
  TRY(out.not_after_unix, unix_time(X509_get0_notAfter(own.get())));
  const Store store(X509_STORE_new());
  CHECK_OK(trust(store.get(), trusted_pem));
  const StoreContext context(X509_STORE_CTX_new());
  if (X509_STORE_CTX_init(context.get(), store.get(), own.get(), others.get()) != 1)
    return fail(Errc::internal, "OpenSSL could not begin to verify a chain");
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(rules, out.not_before_unix);
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN);
  if (X509_verify_cert(context.get()) != 1)
    return fail(Errc::mismatch, "the certificate chain does not lead to a trusted one: {}",
                X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
  if ((X509_get_key_usage(own.get()) & KU_DIGITAL_SIGNATURE) == 0)
    return fail(Errc::mismatch, "the signer's certificate is not for digital signatures");
  EVP_PKEY* key = X509_get0_pubkey(own.get());
  if (key == nullptr) return fail(Errc::unsupported, "a certificate with a key nobody knows");
  CHECK_OK(check(key, message, signature));
  out.subject = subject_of(own.get());
  return out;
}

}  // namespace assay::crypto
