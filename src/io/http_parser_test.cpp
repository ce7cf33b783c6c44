#include "io/http_parser.hpp"

#include <gtest/gtest.h>

#include "base/corpus_testutil.hpp"
#include "io/fuzz_testutil.hpp"

namespace assay::io {
namespace {

using State = HttpParser::State;

// The status a request is refused with; 0: accepted; 1: more bytes wanted.
int refusal(std::string_view bytes) {
  HttpParser parser({.max_header_bytes = 1024, .max_body_bytes = 100});
  switch (parser.feed(bytes)) {
    case State::done:
      return 0;
    case State::more:
      return 1;
    case State::failed:
      return parser.status();
  }
  return -1;
}

TEST(HttpParser, ReadsARequest) {
  HttpParser parser({});
  EXPECT_TRUE(parser.idle());
  ASSERT_EQ(parser.feed("POST /a%2Fb/c%20d?x=1+2&y=%26&z HTTP/1.1\r\nHost: h\r\nX-One: 1\r\n"
                        "x-one: 2\r\nContent-Length: 4\r\n\r\nbo"),
            State::more);
  EXPECT_FALSE(parser.idle());
  ASSERT_EQ(parser.feed("dy"), State::done);
  const HttpRequest request = parser.take();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.target, "/a%2Fb/c%20d?x=1+2&y=%26&z");
  EXPECT_EQ(request.path, "/a/b/c d");
  EXPECT_EQ(request.query_value("x"), "1 2");
  EXPECT_EQ(request.query_value("y"), "&");
  EXPECT_EQ(request.query.count("z"), 1u);
  EXPECT_EQ(request.header("X-ONE"), "1, 2");
  EXPECT_EQ(request.header("absent"), "");
  EXPECT_EQ(request.body, "body");
  EXPECT_TRUE(request.keep_alive);
  EXPECT_TRUE(parser.idle());
}

TEST(HttpParser, KeepsPipelinedRequestsApart) {
  HttpParser parser({});
  ASSERT_EQ(parser.feed("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n"
                        "Connection: close\r\n\r\nGET /3"),
            State::done);
  EXPECT_EQ(parser.take().path, "/1");
  ASSERT_EQ(parser.state(), State::done);
  const HttpRequest second = parser.take();
  EXPECT_EQ(second.path, "/2");
  EXPECT_FALSE(second.keep_alive);
  EXPECT_EQ(parser.state(), State::more);
  EXPECT_FALSE(parser.idle());
}

TEST(HttpParser, ChunkedBodyWithoutItsTrailers) {
  HttpParser parser({});
  ASSERT_EQ(parser.feed("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nAuthorization: late\r\n\r\n"),
            State::done);
  const HttpRequest request = parser.take();
  EXPECT_EQ(request.body, "abcde");
  EXPECT_EQ(request.header("Authorization"), "");
}

TEST(HttpParser, RefusesWhatTwoParsersMayReadDifferently) {
  EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n"),
            400);
  EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                    "Content-Length: 3\r\n\r\n"),
            400);
  EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n"),
            400);
  EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"), 501);
  EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n"), 501);
  EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n"), 400);
  EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x3\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost : h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET /%4 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("\x16\x03\x01\x02"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\nHost: h\n\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: h\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.0\r\n\r\n"), 0);
  EXPECT_EQ(refusal("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
  EXPECT_EQ(refusal("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
}

TEST(HttpParser, Limits) {
  const auto header_of = [](std::size_t size) {
    const std::string start = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
    return start + std::string(size - start.size() - 4, 'x') + "\r\n\r\n";
  };
  EXPECT_EQ(refusal(header_of(1024)), 0);
  EXPECT_EQ(refusal(header_of(1025)), 431);
  EXPECT_EQ(refusal("GET /" + std::string(2000, 'x')), 431);
  EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n"), 1);
  EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n"), 413);
  const std::string chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(refusal(chunked + "60\r\n" + std::string(0x60, 'x') + "\r\n5\r\nxxxxx\r\n0\r\n\r\n"),
            413);
  EXPECT_EQ(refusal(chunked + "1;" + std::string(2000, 'x')), 400);
  EXPECT_EQ(refusal(chunked + "ffffffffffffffffff\r\n"), 400);
}

TEST(HttpParser, ExpectContinueIsAskedOnce) {
  HttpParser parser({});
  parser.feed("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_TRUE(parser.take_expect_continue());
  EXPECT_FALSE(parser.take_expect_continue());
  EXPECT_EQ(parser.feed("ab"), State::done);
}

TEST(HttpParser, FuzzCorpus) {
  int requests = 0;
  const auto files =
      replay_corpus(ASSAY_SOURCE_DIR "/tests/fuzz/corpus/http_json",
                    [&](ByteView bytes, const std::string&) { requests += fuzz_http_json(bytes); });
  EXPECT_GE(files, 25u);
  EXPECT_GE(requests, 12);  // the corpus reaches past the parser
}

}  // namespace
}  // namespace assay::io
