// The server and the client against each other.
#include <atomic>
#include <gtest/gtest.h>
#include <thread>

#include "io/http_client.hpp"
#include "io/http_router.hpp"
#include "io/http_server.hpp"
#include "io/line_splitter.hpp"
#include "io/system_clock.hpp"

namespace assay::io {
namespace {

std::unique_ptr<HttpServer> serve(HttpHandler handler, HttpServerOptions options = {}) {
  auto server = HttpServer::start(options, std::move(handler));
  EXPECT_TRUE(server) << server.error().message;
  return std::move(*server);
}

void echo(HttpRequest& request, HttpResponse& response) {
  response.send(200, "text/plain", request.method + " " + request.path + " " + request.body);
}

TEST(Http, GetAndPost) {
  const auto server = serve(echo);
  HttpClient client;
  const auto got = client.get(server->url() + "/a%20b?x=1");
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->status, 200);
  EXPECT_EQ(got->body, "GET /a b ");
  EXPECT_EQ(got->headers.at("content-TYPE"), "text/plain");
  const auto posted = client.post_json(server->url() + "/p", R"({"k":1})");
  ASSERT_TRUE(posted) << posted.error().message;
  EXPECT_EQ(posted->body, R"(POST /p {"k":1})");
}

TEST(Http, KeepsConnections) {
  std::mutex mutex;
  std::vector<std::string> peers;
  const auto server = serve([&](HttpRequest& request, HttpResponse& response) {
    const std::scoped_lock lock(mutex);
    peers.push_back(request.peer);
    response.send(200, "text/plain", "ok");
  });
  HttpClient client;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client.get(server->url() + "/"));
  ASSERT_EQ(peers.size(), 3u);
  EXPECT_EQ(peers[0], peers[1]);
  EXPECT_EQ(peers[1], peers[2]);
}

TEST(Http, BodiesOfEverySizeArriveWhole) {
  const auto server = serve([](HttpRequest& request, HttpResponse& response) {
    response.send(200, "application/octet-stream", request.body);
  });
  HttpClient client;
  for (const std::size_t size : {0u, 1u, 16383u, 16384u, 65536u, 65537u, 3'000'000u}) {
    std::string body(size, 'x');
    for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>(i * 131 % 251);
    const auto reply = client.post_json(server->url() + "/", body);
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_TRUE(reply->body == body) << size;
  }
}

TEST(Http, StreamsLines) {
  const auto server = serve([](HttpRequest&, HttpResponse& response) {
    ASSERT_TRUE(response.begin_stream(200, "application/x-ndjson"));
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(response.write(fmt::format("{{\"n\":{}}}\n", i)));
  });
  HttpClient client;
  LineSplitter splitter;
  std::vector<std::string> lines;
  const auto reply = client.post_stream(server->url() + "/", "{}", [&](std::string_view data) {
    return splitter
        .feed(data,
              [&](std::string_view line) {
                lines.emplace_back(line);
                return Status();
              })
        .has_value();
  });
  ASSERT_TRUE(reply) << reply.error().message;
  ASSERT_EQ(lines.size(), 100u);
  EXPECT_EQ(lines[99], "{\"n\":99}");
  EXPECT_EQ(splitter.rest(), "");
  EXPECT_EQ(reply->body, "");
}

TEST(Http, StreamArrivesPieceByPiece) {
  std::atomic<bool> seen{false};
  const auto server = serve([&](HttpRequest&, HttpResponse& response) {
    response.begin_stream(200, "text/event-stream");
    response.write_event("first");
    for (int i = 0; i < 500 && !seen; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    response.write_event(seen ? "was seen" : "was not seen");
  });
  HttpClient client;
  std::string all;
  ASSERT_TRUE(client.post_stream(server->url() + "/", "{}", [&](std::string_view data) {
    all += data;
    seen = true;
    return true;
  }));
  EXPECT_EQ(all, "data: first\n\ndata: was seen\n\n");
}

TEST(Http, ErrorReplyOfAStreamIsABody) {
  const auto server = serve([](HttpRequest&, HttpResponse& response) {
    response.send_error(Error{Errc::refused, "cap too small"});
  });
  HttpClient client;
  bool called = false;
  const auto reply = client.post_stream(server->url() + "/", "{}", [&](std::string_view) {
    called = true;
    return true;
  });
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 403);
  EXPECT_FALSE(called);
  EXPECT_EQ(reply->body,
            R"({"error":{"message":"cap too small","type":"permission_error","param":null,)"
            R"("code":"refused"}})");
}

TEST(Http, HandlerThrowsOrForgetsToAnswer) {
  const auto server = serve([](HttpRequest& request, HttpResponse&) {
    if (request.path == "/throw") throw std::runtime_error("boom");
  });
  HttpClient client;
  EXPECT_EQ(client.get(server->url() + "/throw")->status, 500);
  EXPECT_EQ(client.get(server->url() + "/forget")->status, 500);
}

TEST(Http, ClientGoneMidStreamIsNoticed) {
  std::atomic<bool> noticed{false};
  const auto server = serve([&](HttpRequest&, HttpResponse& response) {
    response.begin_stream(200, "text/plain");
    response.write("x");
    for (int i = 0; i < 500 && !response.client_gone(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    noticed = response.client_gone();
  });
  HttpClient client;
  const auto reply =
      client.post_stream(server->url() + "/", "{}", [](std::string_view) { return false; });
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::cancelled);
  for (int i = 0; i < 300 && !noticed; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(noticed);
}

TEST(Http, CancelledWhileWaitingForTheFirstByte) {
  const auto server = serve([](HttpRequest&, HttpResponse& response) {
    for (int i = 0; i < 500 && !response.client_gone(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  });
  HttpClient client;
  const std::int64_t start = steady_ms();
  const auto reply = client.post_stream(
      server->url() + "/", "{}", [](std::string_view) { return true; }, {},
      [&] { return steady_ms() - start > 100; });
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::cancelled);
  EXPECT_LT(steady_ms() - start, 2000);
}

TEST(Http, ServerGoneMidStreamIsAnError) {
  const auto server = serve([](HttpRequest&, HttpResponse& response) {
    response.begin_stream(200, "text/plain");
    response.write("half");
    response.abort();
  });
  HttpClient client;
  std::string got;
  const auto reply = client.post_stream(server->url() + "/", "{}", [&](std::string_view data) {
    got += data;
    return true;
  });
  EXPECT_EQ(got, "half");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::unavailable);
  EXPECT_EQ(reply.error().message,
            "peer at " + server->url() + " closed the connection in mid-reply");
}

TEST(Http, StopWhileStreamingCutsAfterTheGrace) {
  HttpServerOptions options;
  options.stop_grace_ms = 200;
  std::atomic<bool> streaming{false}, cut{false};
  const auto server = serve(
      [&](HttpRequest&, HttpResponse& response) {
        response.begin_stream(200, "text/plain");
        while (response.write("tick\n")) {
          streaming = true;
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        cut = true;
      },
      options);
  HttpClient client;
  Result<HttpReply> reply = fail(Errc::internal, "not run");
  std::thread caller([&] {
    reply = client.post_stream(server->url() + "/", "{}", [](std::string_view) { return true; });
  });
  while (!streaming) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const std::int64_t start = steady_ms();
  server->stop();
  const std::int64_t took_ms = steady_ms() - start;
  caller.join();
  EXPECT_TRUE(cut);
  EXPECT_GE(took_ms, 200);
  EXPECT_LT(took_ms, 3000);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::unavailable);
  EXPECT_FALSE(client.get(server->url() + "/"));
}

TEST(Http, StopLetsRunningResponsesFinish) {
  std::atomic<bool> running{false};
  const auto server = serve([&](HttpRequest&, HttpResponse& response) {
    running = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    response.send(200, "text/plain", "done");
  });
  HttpClient client;
  Result<HttpReply> reply = fail(Errc::internal, "not run");
  std::thread caller([&] { reply = client.get(server->url() + "/"); });
  while (!running) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  server->stop();
  caller.join();
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->body, "done");
}

TEST(Http, ParallelConnections) {
  HttpServerOptions options;
  options.threads = 200;
  std::atomic<int> inside{0}, most{0};
  const auto server = serve(
      [&](HttpRequest& request, HttpResponse& response) {
        const int now = ++inside;
        int seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        // All 200 meet here, or the test times out below.
        for (int i = 0; i < 1000 && most < 200; ++i)
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
        response.begin_stream(200, "text/plain");
        response.write(request.body);
        response.write(request.body);
        --inside;
      },
      options);
  HttpClient client;
  std::atomic<int> right{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 200; ++i)
    callers.emplace_back([&, i] {
      const std::string body = std::to_string(i);
      const auto reply = client.post_json(server->url() + "/", body);
      if (reply && reply->body == body + body) ++right;
    });
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(right, 200);
  EXPECT_EQ(most, 200);
}

TEST(Http, BusyIsAClear503) {
  HttpServerOptions options;
  options.threads = 1;
  std::atomic<bool> inside{false}, leave{false};
  const auto server = serve(
      [&](HttpRequest&, HttpResponse& response) {
        inside = true;
        while (!leave) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        response.send(200, "text/plain", "ok");
      },
      options);
  HttpClient client;
  std::thread first([&] { EXPECT_EQ(client.get(server->url() + "/")->status, 200); });
  while (!inside) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const auto refused = client.get(server->url() + "/");
  leave = true;
  first.join();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 503);
  EXPECT_EQ(refused->headers.at("Retry-After"), "1");
  EXPECT_NE(refused->body.find("\"overloaded\""), std::string::npos);
}

TEST(Http, PortInUse) {
  const auto server = serve(echo);
  HttpServerOptions options;
  options.port = server->port();
  const auto second = HttpServer::start(options, echo);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::unavailable);
  EXPECT_EQ(
      second.error().message,
      fmt::format("port {} on 127.0.0.1 is in use: choose another with --port", server->port()));
}

TEST(Http, BadListenAddress) {
  HttpServerOptions options;
  options.address = "example";
  EXPECT_EQ(HttpServer::start(options, echo).error().message,
            "not an IP address to listen on: example (for example 127.0.0.1)");
  options.address = "203.0.113.1";
  EXPECT_EQ(HttpServer::start(options, echo).error().message,
            "203.0.113.1 is not an address of this machine");
}

TEST(HttpClient, Unreachable) {
  HttpClientOptions options;
  options.peer_word = "provider";
  std::uint16_t free_port = 0;
  {
    free_port = serve(echo)->port();
  }
  const std::string url = fmt::format("http://127.0.0.1:{}", free_port);
  const auto reply = HttpClient(options).get(url + "/v1");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::unavailable);
  EXPECT_EQ(reply.error().message, "provider at " + url + " is unreachable: connection refused");
  EXPECT_EQ(HttpClient(options).get("http://no-such-host.invalid/").error().message,
            "provider at http://no-such-host.invalid is unreachable: no such host name");
}

TEST(HttpClient, RefusesOtherUrls) {
  HttpClient client;
  EXPECT_EQ(client.get("file:///etc/passwd").error().code, Errc::invalid);
  EXPECT_EQ(client.get("ftp://127.0.0.1/x").error().code, Errc::invalid);
  EXPECT_EQ(client.get("not a url").error().code, Errc::invalid);
  EXPECT_EQ(client.get("http://user:pw@127.0.0.1/").error().code, Errc::invalid);
  EXPECT_EQ(client.get("http://127.0.0.1:1/", {{"X", "a\r\nY: b"}}).error().code, Errc::invalid);
}

TEST(HttpClient, FollowsNoRedirect) {
  const auto server = serve([](HttpRequest&, HttpResponse& response) {
    response.set_header("Location", "/elsewhere");
    response.send(302, "text/plain", "go");
  });
  EXPECT_EQ(HttpClient().get(server->url() + "/")->status, 302);
}

TEST(HttpClient, TimesOut) {
  const auto server = serve([](HttpRequest& request, HttpResponse& response) {
    if (request.path == "/late") {
      response.begin_stream(200, "text/plain");
      response.write("x");
    }
    for (int i = 0; i < 500 && !response.client_gone(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  });
  HttpClientOptions total;
  total.total_timeout_ms = 150;
  EXPECT_EQ(HttpClient(total).get(server->url() + "/").error().message,
            "peer at " + server->url() + " timed out");
  HttpClientOptions idle;
  idle.total_timeout_ms = 0;
  idle.idle_timeout_ms = 150;
  EXPECT_EQ(HttpClient(idle).get(server->url() + "/").error().message,
            "peer at " + server->url() + " timed out");
  EXPECT_EQ(HttpClient(idle).get(server->url() + "/late").error().message,
            "peer at " + server->url() + " timed out in mid-reply");
}

TEST(HttpClient, BoundsTheReply) {
  const auto server = serve([](HttpRequest&, HttpResponse& response) {
    response.begin_stream(200, "text/plain");
    while (response.write(std::string(1000, 'x'))) {
    }
  });
  HttpClientOptions options;
  options.max_body_bytes = 10'000;
  const auto reply = HttpClient(options).get(server->url() + "/");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::invalid);
}

TEST(HttpClient, NoProxyForLoopback) {
  const auto server = serve(echo);
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  const auto reply = HttpClient().get(server->url() + "/");
  ::unsetenv("http_proxy");
  ASSERT_TRUE(reply) << reply.error().message;
}

}  // namespace
}  // namespace assay::io
