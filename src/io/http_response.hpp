// How a handler answers: once, whole (`send`), or as a stream (`begin_stream`, `write`…, `end`).
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "io/http_message.hpp"

namespace assay::io {

// Where the bytes of a response go: a socket, or a string in a test or fuzzer.
struct ByteSink {
  virtual ~ByteSink() = default;
  // Blocks until the bytes are handed to the operating system; false when the peer is gone.
  virtual bool write(std::string_view bytes) = 0;
  virtual bool gone() const = 0;
};

// Used by one thread at a time. Every call after the client left is harmless and returns false.
class HttpResponse {
 public:
  HttpResponse(ByteSink& sink, const HttpRequest& request, bool keep_alive);
  HttpResponse(const HttpResponse&) = delete;
  HttpResponse& operator=(const HttpResponse&) = delete;

  // An extra header field; only before send or begin_stream. Line breaks in it are dropped.
  void set_header(std::string_view name, std::string_view value);

  bool send(int status, std::string_view content_type, std::string_view body);
  bool send_json(int status, const json::value& body);
  bool send_error(int status, std::string_view message, std::string_view code = {});
  bool send_error(const Error& error);  // status from http_status(error.code)

  // Chunked (HTTP/1.1) or until close (1.0). write sends at once; false means stop producing.
  bool begin_stream(int status, std::string_view content_type);
  bool write(std::string_view data);
  bool write_event(
      std::string_view data);  // server-sent event: "data: …\n\n"; no line breaks in it
  bool end();                  // the server calls it if the handler does not
  // Ends a broken stream by cutting the connection, so that the client sees the truncation.
  void abort();

  // The client hung up (also half-closed), timed out, or the server is cutting off: stop working.
  // Cheap enough to ask for every token.
  bool client_gone() const { return failed_ || sink_.gone(); }

  bool started() const { return state_ != State::fresh; }
  int status() const { return status_; }
  std::size_t body_bytes() const { return body_bytes_; }
  // Called by the server after the handler; true when the connection may be used again.
  bool finish();

 private:
  enum class State { fresh, streaming, done };
  std::string head(int status, std::string_view content_type) const;
  bool put(std::string_view bytes);

  ByteSink& sink_;
  std::vector<std::pair<std::string, std::string>> fields_;
  State state_ = State::fresh;
  bool keep_alive_, chunked_, head_only_;
  bool failed_ = false;
  int status_ = 0;
  std::size_t body_bytes_ = 0;
};

}  // namespace assay::io
