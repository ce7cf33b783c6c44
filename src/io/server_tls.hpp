// How a service that strangers speak to shows itself: with a certificate of its own, with one from
// files, or in the clear.
#pragma once
#include "io/http_server.hpp"

namespace assay::io {

struct TlsOptions {
  // automatic: TLS wherever others than this machine can connect, and where files are named.
  enum class Mode { automatic, on, off } mode = Mode::automatic;
  std::string cert_file, key_file;  // PEM; none: the key that belongs to `seed`, below
};

// Sets `http` up for TLS, or leaves it plain. Returns the hash of the key it will show
// (crypto/tls_key.hpp), zeros when plain: what an offer says. `seed` is a secret of the service's
// own. Errors: unreadable files, one of two named.
Result<Hash> set_tls(const TlsOptions& options, const Hash& seed, HttpServerOptions& http);

// "https://host:port" that others can use: `public_endpoint`, or where `server` listens. Errors:
// invalid when that is "any address" of the machine, at which nobody can reach it.
Result<std::string> endpoint_for_others(const std::string& public_endpoint,
                                        const HttpServer& server);

}  // namespace assay::io
