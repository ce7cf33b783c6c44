// TLS on both sides, with a certificate made here.
#include <cstdio>
#include <gtest/gtest.h>
#include <memory>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "io/chain_rpc.hpp"
#include "io/files.hpp"
#include "io/http_client.hpp"
#include "io/http_server.hpp"

namespace assay::io {
namespace {

// A self-signed certificate for 127.0.0.1, valid for an hour, and its key.
bool make_certificate(const std::string& cert_file, const std::string& key_file) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> cert(X509_new(), X509_free);
  if (!key || !cert) return false;
  X509_set_version(cert.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), 3600);
  X509_set_pubkey(cert.get(), key.get());
  X509_NAME* const name = X509_get_subject_name(cert.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("assay test"), -1, -1, 0);
  X509_set_issuer_name(cert.get(), name);
  X509_EXTENSION* const alt =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
  X509_add_ext(cert.get(), alt, -1);
  X509_EXTENSION_free(alt);
  if (X509_sign(cert.get(), key.get(), EVP_sha256()) == 0) return false;
  std::FILE* const cert_out = std::fopen(cert_file.c_str(), "w");
  std::FILE* const key_out = std::fopen(key_file.c_str(), "w");
  if (cert_out == nullptr || key_out == nullptr) return false;
  const bool written =
      PEM_write_X509(cert_out, cert.get()) == 1 &&
      PEM_write_PrivateKey(key_out, key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1;
  return (std::fclose(cert_out) == 0) & (std::fclose(key_out) == 0) & written;
}

class Tls : public testing::Test {
 protected:
  void SetUp() override {
    options.tls_cert_file = dir.file("cert.pem");
    options.tls_key_file = dir.file("key.pem");
    ASSERT_TRUE(make_certificate(options.tls_cert_file, options.tls_key_file));
  }
  std::unique_ptr<HttpServer> serve() {
    auto server = HttpServer::start(options, [](HttpRequest& request, HttpResponse& response) {
      response.begin_stream(200, "text/plain");
      response.write(request.body);
      response.write(" over TLS");
    });
    EXPECT_TRUE(server) << server.error().message;
    return std::move(*server);
  }
  TempDirectory dir = std::move(*TempDirectory::create("assay-tls-test"));
  HttpServerOptions options;
};

TEST_F(Tls, RequestsAndKeptConnections) {
  const auto server = serve();
  EXPECT_TRUE(server->url().starts_with("https://127.0.0.1:"));
  HttpClientOptions trusting;
  trusting.ca_file = options.tls_cert_file;
  HttpClient client(trusting);
  for (int i = 0; i < 3; ++i) {
    const std::string body(100'000, static_cast<char>('a' + i));
    const auto reply = client.post_json(server->url() + "/", body);
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_TRUE(reply->body == body + " over TLS");
  }
}

TEST_F(Tls, UnknownAuthorityIsRefused) {
  const auto server = serve();
  const auto reply = HttpClient().get(server->url() + "/");
  ASSERT_FALSE(reply);
  EXPECT_TRUE(reply.error().message.starts_with("TLS with peer at " + server->url() + " failed: "))
      << reply.error().message;
  HttpClientOptions wrong;
  wrong.ca_file = dir.file("none.pem");
  EXPECT_FALSE(HttpClient(wrong).get(server->url() + "/"));
}

TEST_F(Tls, PlainAndTlsDoNotMix) {
  const auto server = serve();
  const auto plain = HttpClient().get("http://127.0.0.1:" + std::to_string(server->port()) + "/");
  ASSERT_FALSE(plain);
  EXPECT_EQ(plain.error().code, Errc::unavailable);
}

TEST_F(Tls, BadFilesAreNamed) {
  HttpServerOptions bad = options;
  bad.tls_key_file.clear();
  const HttpHandler handler = [](HttpRequest&, HttpResponse&) {};
  EXPECT_EQ(HttpServer::start(bad, handler).error().message,
            "TLS needs both a certificate file and a key file");
  bad.tls_key_file = dir.file("none.pem");
  EXPECT_TRUE(HttpServer::start(bad, handler)
                  .error()
                  .message.starts_with("cannot use the TLS key " + bad.tls_key_file));
  bad = options;
  bad.tls_cert_file = options.tls_key_file;
  EXPECT_TRUE(HttpServer::start(bad, handler)
                  .error()
                  .message.starts_with("cannot use the TLS certificate " + bad.tls_cert_file));
}

TEST_F(Tls, AChainEndpointIsAuthenticated) {
  auto server = HttpServer::start(options, [](HttpRequest& request, HttpResponse& response) {
    const auto call = json::parse(request.body);
    response.send_json(
        200, json::object{{"jsonrpc", "2.0"}, {"id", call->at("id")}, {"result", "0x7a69"}});
  });
  ASSERT_TRUE(server) << server.error().message;
  ChainRpcOptions chain{.endpoints = {(*server)->url()}, .deadline_ms = 500};
  const auto refused = ChainRpc(chain).chain_id();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("TLS"), std::string::npos) << refused.error().message;
  chain.ca_file = options.tls_cert_file;
  const auto id = ChainRpc(chain).chain_id();
  ASSERT_TRUE(id) << id.error().message;
  EXPECT_EQ(*id, 31337u);
}

}  // namespace
}  // namespace assay::io
