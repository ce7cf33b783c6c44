#include "io/http_router.hpp"

#include <gtest/gtest.h>

#include "io/line_splitter.hpp"

namespace assay::io {
namespace {

struct StringSink : ByteSink {
  std::string bytes;
  bool broken = false;
  bool write(std::string_view more) override {
    bytes += more;
    return !broken;
  }
  bool gone() const override { return broken; }
};

std::string ask(const Router& router, std::string method, std::string target) {
  HttpRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  StringSink sink;
  HttpResponse response(sink, request, true);
  router.route(request, response);
  response.finish();
  return sink.bytes;
}

HttpHandler says(std::string text) {
  return [text](HttpRequest& request, HttpResponse& response) {
    std::string all = text;
    for (const auto& [name, value] : request.params) all += fmt::format(" {}={}", name, value);
    response.send(200, "text/plain", all);
  };
}

TEST(Router, PicksTheMostLiteralMatch) {
  Router router;
  router.get("/v1/{kind}", says("kind")).get("/v1/models", says("models")).get("/", says("root"));
  router.get("/v1/models/{id}", says("one")).get("/v1/models/{id*}", says("deep"));
  router.post("/v1/models/{id}", says("post"));
  EXPECT_TRUE(ask(router, "GET", "/").ends_with("\r\n\r\nroot"));
  EXPECT_TRUE(ask(router, "GET", "/v1/models?x=1").ends_with("\r\n\r\nmodels"));
  EXPECT_TRUE(ask(router, "GET", "/v1/other").ends_with("\r\n\r\nkind kind=other"));
  EXPECT_TRUE(ask(router, "GET", "/v1/models/a%2Fb").ends_with("\r\n\r\none id=a/b"));
  EXPECT_TRUE(ask(router, "GET", "/v1/models/a/b").ends_with("\r\n\r\ndeep id=a/b"));
  EXPECT_TRUE(ask(router, "POST", "/v1/models/a").ends_with("\r\n\r\npost id=a"));
  EXPECT_TRUE(ask(router, "GET", "/v1/%6dodels").ends_with("\r\n\r\nmodels"));
}

TEST(Router, HeadIsGetWithoutABody) {
  Router router;
  router.get("/x", says("four"));
  const std::string head = ask(router, "HEAD", "/x");
  EXPECT_NE(head.find("Content-Length: 4\r\n"), std::string::npos);
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
}

TEST(Router, UnknownPathAndMethod) {
  Router router;
  router.get("/x", says("x")).post("/x", says("x")).get("/y/{id}", says("y"));
  const std::string missing = ask(router, "GET", "/nowhere?secret=1");
  EXPECT_TRUE(missing.starts_with("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_TRUE(missing.ends_with(
      R"({"error":{"message":"no such path: GET /nowhere","type":"invalid_request_error",)"
      R"("param":null,"code":"not_found"}})"));
  const std::string method = ask(router, "PUT", "/x");
  EXPECT_TRUE(method.starts_with("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, POST\r\n"));
  EXPECT_TRUE(ask(router, "GET", "/y/").starts_with("HTTP/1.1 404"));
  EXPECT_TRUE(ask(router, "GET", "/x/").starts_with("HTTP/1.1 404"));
  EXPECT_TRUE(ask(router, "GET", "/").starts_with("HTTP/1.1 404"));
}

TEST(HttpResponse, FieldsCannotBeForged) {
  HttpRequest request;
  StringSink sink;
  HttpResponse response(sink, request, true);
  response.set_header("X-Name", "a\r\nSet-Cookie: b");
  response.send(200, "text/plain", "x");
  EXPECT_NE(sink.bytes.find("X-Name: aSet-Cookie: b\r\n"), std::string::npos);
}

TEST(HttpResponse, ChunksAndOldClients) {
  HttpRequest request;
  StringSink chunked;
  HttpResponse response(chunked, request, true);
  response.begin_stream(200, "text/plain");
  response.write("hello world, sixteen+");
  response.write("");
  EXPECT_TRUE(response.finish());
  EXPECT_TRUE(chunked.bytes.ends_with("\r\n\r\n15\r\nhello world, sixteen+\r\n0\r\n\r\n"));

  request.http_1_0 = true;
  StringSink plain;
  HttpResponse old(plain, request, true);
  old.begin_stream(200, "text/plain");
  old.write("hello");
  EXPECT_FALSE(old.finish());  // its end is the connection's
  EXPECT_NE(plain.bytes.find("Connection: close\r\n"), std::string::npos);
  EXPECT_EQ(plain.bytes.find("chunked"), std::string::npos);
  EXPECT_TRUE(plain.bytes.ends_with("\r\n\r\nhello"));
}

TEST(HttpResponse, WriteSaysWhenTheClientIsGone) {
  HttpRequest request;
  StringSink sink;
  HttpResponse response(sink, request, true);
  EXPECT_TRUE(response.begin_stream(200, "text/plain"));
  EXPECT_TRUE(response.write("a"));
  sink.broken = true;
  EXPECT_FALSE(response.write("b"));
  EXPECT_TRUE(response.client_gone());
  EXPECT_FALSE(response.end());
  EXPECT_FALSE(response.finish());
}

TEST(LineSplitter, PiecesOfAnySizeGiveTheSameLines) {
  const std::string stream = "one\r\n\ntwo words\n" + std::string(50, 'x') + "\nrest";
  const std::vector<std::string> expected = {"one", "", "two words", std::string(50, 'x')};
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    LineSplitter splitter(64);
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < stream.size(); i += piece)
      ASSERT_TRUE(splitter.feed(stream.substr(i, piece), [&](std::string_view line) {
        lines.emplace_back(line);
        return Status();
      }));
    EXPECT_EQ(lines, expected);
    EXPECT_EQ(splitter.rest(), "rest");
  }
}

TEST(LineSplitter, BoundsLinesAndPassesErrors) {
  LineSplitter splitter(10);
  const auto ignore = [](std::string_view) { return Status(); };
  ASSERT_TRUE(splitter.feed("0123456789", ignore));
  EXPECT_EQ(splitter.feed("x", ignore).error().message, "a line of the stream exceeds 10 bytes");
  LineSplitter other;
  EXPECT_EQ(other
                .feed("a\nb\n",
                      [](std::string_view line) -> Status {
                        return fail(Errc::refused, "stop at {}", line);
                      })
                .error()
                .message,
            "stop at a");
}

TEST(LineSplitter, EventData) {
  EXPECT_EQ(event_data("data: {\"a\":1}"), "{\"a\":1}");
  EXPECT_EQ(event_data("data:x"), "x");
  EXPECT_EQ(event_data(": comment").data(), nullptr);
  EXPECT_EQ(event_data("").data(), nullptr);
}

}  // namespace
}  // namespace assay::io
