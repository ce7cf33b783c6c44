// Bytes to HttpRequest without a socket: what the server feeds from connections and the fuzzer
// from its input. Beast's HTTP/1 parser inside; limits are checked while bytes arrive.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "io/http_message.hpp"

namespace assay::io {

struct HttpParserLimits {
  std::size_t max_header_bytes = 16u << 10;
  std::size_t max_body_bytes = 8u << 20;
};

class HttpParser {
 public:
  enum class State {
    more,    // feed again
    done,    // take() the request
    failed,  // answer with `status` and `message`, then close
  };

  explicit HttpParser(HttpParserLimits limits);
  ~HttpParser();
  HttpParser(const HttpParser&) = delete;
  HttpParser& operator=(const HttpParser&) = delete;

  // Takes the next bytes of the connection. Bytes after the end of a request are kept for the next.
  State feed(std::string_view bytes);
  State state() const { return state_; }
  // The parsed request (state done); the parser then goes on with what it has buffered.
  HttpRequest take();

  bool idle() const;            // not a byte of a request has arrived yet
  bool take_expect_continue();  // once per request: the client waits for "100 Continue"
  int status() const { return status_; }
  const std::string& message() const { return message_; }

 private:
  struct Impl;
  State parse();
  State parse_header();
  State fail_with(int status, std::string message);

  HttpParserLimits limits_;
  std::unique_ptr<Impl> impl_;
  std::string buffer_;
  State state_ = State::more;
  int status_ = 0;
  std::string message_;
};

}  // namespace assay::io
