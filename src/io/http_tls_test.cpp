// TLS on both sides, with a certificate made here.
#include <cstdio>
#include <gtest/gtest.h>
#include <memory>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "crypto/tls_key.hpp"
#include "io/chain_rpc.hpp"
#include "io/files.hpp"
#include "io/http_client.hpp"
#include "io/http_server.hpp"
#include "io/pinned_url.hpp"
#include "io/server_tls.hpp"

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
  const bool cert_kept = std::fclose(cert_out) == 0, key_kept = std::fclose(key_out) == 0;
  return written && cert_kept && key_kept;
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
  HttpServerOptions options, http_any;
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

// No authority, no name, only the key that an offer names.
TEST_F(Tls, AKeyOfOnesOwnIsEnoughWhereItIsNamed) {
  options.tls_cert_file.clear();
  options.tls_key_file.clear();
  const auto own = crypto::tls_certificate(Hash{7});
  ASSERT_TRUE(own) << own.error().message;
  options.tls_cert_pem = own->certificate_pem;
  options.tls_key_pem = own->key_pem;
  const auto server = serve();
  const auto reply = HttpClient().post_json(pinned(server->url(), own->key_hash) + "/", "pinned");
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->body, "pinned over TLS");

  Hash other = own->key_hash;
  other[31] ^= 1;
  HttpClient client;  // also when the connection to the right key is still open
  ASSERT_TRUE(client.post_json(pinned(server->url(), own->key_hash) + "/", ""));
  const auto refused = client.post_json(pinned(server->url(), other) + "/", "secret");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "peer at " + server->url() +
                " shows another TLS key than it is known by: somebody stands between, or it has "
                "changed its key");
  EXPECT_FALSE(client.post_json(server->url() + "/", "")) << "no authority vouches for it";
}

TEST_F(Tls, TheSameSeedGivesTheSameKey) {
  const auto one = crypto::tls_certificate(Hash{1}), again = crypto::tls_certificate(Hash{1});
  const auto two = crypto::tls_certificate(Hash{2});
  ASSERT_TRUE(one && again && two);
  EXPECT_EQ(one->key_hash, again->key_hash);
  EXPECT_EQ(one->key_pem, again->key_pem);
  EXPECT_NE(one->key_hash, two->key_hash);
  EXPECT_EQ(*crypto::tls_key_hash(one->certificate_pem), one->key_hash);
  EXPECT_FALSE(crypto::tls_key_hash("no certificate"));
}

TEST(PinnedUrl, APathFollowsThePin) {
  const Hash key{0xab};
  const std::string base = pinned("https://host:1", key);
  EXPECT_EQ(base, "https://host:1#tls=ab" + std::string(62, '0'));
  const auto parsed = parse_pinned(base + "/v1/infer");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->url, "https://host:1/v1/infer");
  EXPECT_EQ(parsed->tls_key, key);
  EXPECT_EQ(pinned("http://host:1", Hash{}), "http://host:1");
  EXPECT_FALSE(parse_pinned("http://host:1")->tls_key);
  EXPECT_FALSE(parse_pinned("https://host:1#tls=abc"));
  EXPECT_FALSE(parse_pinned("https://host:1#tls=" + std::string(64, 'g')));
  EXPECT_EQ(parse_pinned("http://host:1#tls=" + std::string(64, 'a')).error().code, Errc::invalid);
}

TEST_F(Tls, ServersChooseByWhoCanConnect) {
  const Hash seed{3};
  HttpServerOptions http;
  EXPECT_EQ(*set_tls({}, seed, http), Hash{});
  EXPECT_TRUE(http.tls_cert_pem.empty());
  http.address = "0.0.0.0";
  EXPECT_EQ(*set_tls({}, seed, http), crypto::tls_certificate(seed)->key_hash);
  EXPECT_FALSE(http.tls_cert_pem.empty());
  EXPECT_EQ(*set_tls({TlsOptions::Mode::off, {}, {}}, seed, http), Hash{});
  HttpServerOptions local;
  EXPECT_NE(*set_tls({TlsOptions::Mode::on, {}, {}}, seed, local), Hash{});
  const TlsOptions files{TlsOptions::Mode::automatic, options.tls_cert_file, options.tls_key_file};
  const auto shown = set_tls(files, seed, local);
  ASSERT_TRUE(shown) << shown.error().message;
  EXPECT_EQ(*shown, *crypto::tls_key_hash(*read_file(options.tls_cert_file)));
}

TEST_F(Tls, AServerOnEveryAddressMustSayWhereItIs) {
  http_any.address = "0.0.0.0";
  const auto server = HttpServer::start(http_any, [](HttpRequest&, HttpResponse&) {});
  ASSERT_TRUE(server) << server.error().message;
  EXPECT_FALSE(endpoint_for_others("", **server));
  EXPECT_EQ(*endpoint_for_others("https://me:1", **server), "https://me:1");
}

TEST(PlainHttp, IsRefusedBeyondThisMachineWhereItIsAskedFor) {
  HttpClientOptions careful;
  careful.tls_beyond_loopback = true;
  careful.peer_word = "provider";
  const auto refused = HttpClient(careful).get("http://192.0.2.1:4010/v1/infer");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::refused);
  EXPECT_TRUE(
      refused.error().message.starts_with("provider at http://192.0.2.1:4010 offers no TLS"))
      << refused.error().message;
  EXPECT_EQ(HttpClient(careful).get("http://127.0.0.1:1/").error().code, Errc::unavailable);
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
