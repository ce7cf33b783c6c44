// Outbound HTTP(S) over libcurl. Only http and https, no redirects followed, no cookies, no proxy
// for loopback addresses. An address may name the TLS key to expect (io/pinned_url.hpp). Blocking;
// safe to use from many threads at once. Connections are kept and reused; a request that meets a
// connection the server has just closed is sent again on a new one, so POST bodies must be
// idempotent (they are signed and numbered).
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "io/http_message.hpp"

namespace assay::io {

struct HttpClientOptions {
  std::int64_t connect_timeout_ms = 5'000;
  std::int64_t total_timeout_ms = 60'000;  // 0: none (streams)
  std::int64_t idle_timeout_ms = 30'000;   // no byte for so long, the wait for the first included
  std::size_t max_body_bytes = 16u << 20;  // whole reply; for streams the sum of all data
  std::string ca_file;                     // PEM; empty: the system's authorities
  bool tls_beyond_loopback = false;  // plain http is refused (Errc::refused) but on this machine
  std::string peer_word = "peer";    // "<peer_word> at http://… is unreachable: …"
  // The peer is one of our services: it is told the thread's request id and our wire versions, and
  // an answer in a version we do not speak is an error.
  bool ours = true;
};

struct HttpReply {
  int status = 0;
  HttpFields headers;
  std::string body;  // empty for a 2xx stream, whose bytes went to the callback
};

// What a reply that is not 2xx says: the peer's own words, cut to one line.
Error refusal(std::string_view peer_word, const HttpReply& reply);

class HttpClient {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;
  using OnData = std::function<bool(std::string_view)>;  // false: stop, Errc::cancelled
  using Cancelled = std::function<bool()>;               // asked about every 200 ms

  explicit HttpClient(HttpClientOptions options = {});
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // A reply of any status is a value. Errors: unreachable, timed out, TLS, cut off mid-reply
  // (Errc::unavailable); bad URL or reply too large (Errc::invalid).
  Result<HttpReply> get(const std::string& url, const Headers& headers = {});
  Result<HttpReply> post_json(const std::string& url, std::string_view body,
                              const Headers& headers = {});
  Result<HttpReply> post_text(const std::string& url, std::string_view body);
  // on_data gets the body of a 2xx reply as it arrives; other replies are collected in body.
  Result<HttpReply> post_stream(const std::string& url, std::string_view body,
                                const OnData& on_data, const Headers& headers = {},
                                const Cancelled& cancelled = {});
  // The same for a download: on_head sees status and headers before the first byte of a 2xx body;
  // false stops.
  using OnHead = std::function<bool(const HttpReply&)>;
  Result<HttpReply> get_stream(const std::string& url, const OnHead& on_head, const OnData& on_data,
                               const Headers& headers = {}, const Cancelled& cancelled = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assay::io
