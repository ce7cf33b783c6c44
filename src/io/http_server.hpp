// An HTTP/1.1 server for handlers that block. One thread accepts, reads requests and moves bytes
// for every connection (so no client, however slow, delays another); each complete request runs on
// a thread of its own, up to a limit, above which the answer is 503.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "io/http_message.hpp"
#include "io/http_response.hpp"

namespace assay::io {

// Runs on a worker thread, concurrently with others, and may block for minutes. It must look at
// response.client_gone() while it works long. What it throws becomes a 500.
using HttpHandler = std::function<void(HttpRequest&, HttpResponse&)>;

struct HttpServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  // 0: any free port, see HttpServer::port
  unsigned threads = 64;   // requests running at once
  std::size_t max_body_bytes = 8u << 20;
  std::size_t max_header_bytes = 16u << 10;
  std::int64_t idle_timeout_ms = 60'000;     // a kept-alive connection without a request
  std::int64_t request_timeout_ms = 15'000;  // from connect or first byte to the whole request
  std::int64_t write_timeout_ms = 30'000;    // a client that does not read
  std::int64_t stop_grace_ms = 5'000;        // what stop() gives to running responses
  std::size_t max_connections = 1024;
  std::string tls_cert_file, tls_key_file;  // PEM; both or none
  std::string tls_cert_pem, tls_key_pem;    // the same in memory; used when no files are named
  // GET and HEAD of these are answered while all threads are busy, on a few that are kept for it.
  std::vector<std::string> spared_paths;
  // Answers what finds no thread, on the I/O thread: it must not block. Null: a plain 503.
  HttpHandler when_busy;
};

class HttpServer {
 public:
  // Listens when it returns. Errors: "port 8080 on 127.0.0.1 is in use: choose another with --port"
  // (Errc::unavailable), not an address of this machine, unreadable certificate or key.
  static Result<std::unique_ptr<HttpServer>> start(const HttpServerOptions& options,
                                                   HttpHandler handler);
  ~HttpServer();  // stop()
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;
  std::string url() const;  // "http://127.0.0.1:8080"

  // Stops accepting, closes idle connections, lets running responses finish for stop_grace_ms,
  // then cuts them (client_gone becomes true) and returns when every handler has. Idempotent; not
  // to be called from a handler.
  void stop();

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace assay::io
