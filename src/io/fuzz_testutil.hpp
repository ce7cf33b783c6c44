// One fuzz input through all a request meets before a handler's own code: the server's parser, the
// router, base/json on the body. Called by tests/fuzz/http_json_fuzz.cpp and, over the committed
// corpus, by http_parser_test.cpp.
#pragma once
#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "base/json.hpp"
#include "io/http_parser.hpp"
#include "io/http_router.hpp"

namespace assay::io {
namespace fuzz_detail {

struct StringSink : ByteSink {
  std::string bytes;
  bool write(std::string_view more) override {
    bytes += more;
    return true;
  }
  bool gone() const override { return false; }
};

inline Router routes() {
  const auto on_json = [](HttpRequest& request, HttpResponse& response) {
    const auto parsed = json::parse(request.body, 1u << 16);
    if (!parsed) {
      response.send_error(parsed.error());
      return;
    }
    response.send_json(200, *parsed);
  };
  Router router;
  router.post("/v1/chat/completions", on_json).post("/v1/{kind}/x", on_json);
  router.get("/v1/models/{id*}", [](HttpRequest& request, HttpResponse& response) {
    response.begin_stream(200, "text/event-stream");
    response.write_event(percent_encode(request.param("id")));
    response.write_event(percent_encode(request.query_value("q")));
  });
  return router;
}

// What was understood and answered, as text to compare.
inline std::string run(ByteView input, std::size_t piece, int& requests) {
  static const Router router = routes();
  HttpParser parser({.max_header_bytes = 2048, .max_body_bytes = 4096});
  std::string seen;
  requests = 0;
  const auto drain = [&] {
    while (parser.state() == HttpParser::State::done) {
      HttpRequest request = parser.take();
      ++requests;
      StringSink sink;
      HttpResponse response(sink, request, request.keep_alive);
      router.route(request, response);
      response.finish();
      ASSAY_ASSERT(sink.bytes.starts_with("HTTP/1.1 "));
      seen += request.method + " " + request.target + "\n" + request.body + "\n" + sink.bytes;
    }
  };
  while (!input.empty() && parser.state() != HttpParser::State::failed) {
    const ByteView next = input.first(std::min(piece, input.size()));
    input = input.subspan(next.size());
    parser.feed(text(next));
    parser.take_expect_continue();
    drain();
  }
  // When it fails is not compared: Beast names some errors before a line is whole.
  if (parser.state() == HttpParser::State::failed)
    ASSAY_ASSERT(parser.status() >= 400 && parser.status() < 600);
  return seen;
}

}  // namespace fuzz_detail

// Feeds the bytes whole and again in small pieces: requests and answers must be the same.
// Returns how many requests were parsed.
inline int fuzz_http_json(ByteView input) {
  int whole = 0, pieces = 0;
  ASSAY_ASSERT(fuzz_detail::run(input, input.size() + 1, whole) ==
               fuzz_detail::run(input, 7, pieces));
  ASSAY_ASSERT(whole == pieces);
  return whole;
}

}  // namespace assay::io
