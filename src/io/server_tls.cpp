#include "io/server_tls.hpp"

#include "crypto/tls_key.hpp"
#include "io/files.hpp"

namespace assay::io {

Result<Hash> set_tls(const TlsOptions& options, const Hash& seed, HttpServerOptions& http) {
  using Mode = TlsOptions::Mode;
  const bool files = !options.cert_file.empty() || !options.key_file.empty();
  if (options.mode == Mode::off) {
    if (files) return fail(Errc::invalid, "a TLS certificate was named, and TLS was turned off");
    return Hash{};
  }
  if (files) {
    http.tls_cert_file = options.cert_file;
    http.tls_key_file = options.key_file;
    if (options.cert_file.empty() || options.key_file.empty())
      return Hash{};  // the server says which is missing
    TRY(const std::string pem, read_file(options.cert_file));
    const auto hash = crypto::tls_key_hash(pem);
    if (!hash)
      return fail(Errc::invalid, "cannot use the TLS certificate {}: {}", options.cert_file,
                  hash.error().message);
    return *hash;
  }
  const bool loopback =
      http.address == "localhost" || http.address == "::1" || http.address.starts_with("127.");
  if (options.mode == Mode::automatic && loopback) return Hash{};
  TRY(auto own, crypto::tls_certificate(seed));
  http.tls_cert_pem = std::move(own.certificate_pem);
  http.tls_key_pem = std::move(own.key_pem);
  return own.key_hash;
}

Result<std::string> endpoint_for_others(const std::string& public_endpoint,
                                        const HttpServer& server) {
  if (!public_endpoint.empty()) return public_endpoint;
  const std::string url = server.url();
  if (url.find("//0.0.0.0:") != std::string::npos || url.find("//[::]:") != std::string::npos)
    return fail(Errc::invalid,
                "it listens on every address of this machine, so that others cannot tell how to "
                "reach it: say so with "
                "--endpoint {}",
                url.starts_with("https") ? "https://HOST:PORT" : "http://HOST:PORT");
  return url;
}

}  // namespace assay::io
