// The server against peers we did not write: raw sockets that misbehave, and the curl command.
#include <arpa/inet.h>
#include <atomic>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <thread>

#include "io/files.hpp"
#include "io/http_client.hpp"
#include "io/http_router.hpp"
#include "io/http_server.hpp"
#include "io/process.hpp"
#include "io/system_clock.hpp"
#include "io/unique_fd.hpp"

namespace assay::io {
namespace {

std::unique_ptr<HttpServer> serve_raw(const HttpServerOptions& options = {}) {
  Router router;
  router.get("/hello", [](HttpRequest&, HttpResponse& response) {
    response.send(200, "text/plain", "hello");
  });
  router.post("/echo", [](HttpRequest& request, HttpResponse& response) {
    response.send(200, "application/octet-stream", request.body);
  });
  router.get("/flood", [](HttpRequest&, HttpResponse& response) {
    response.begin_stream(200, "text/plain");
    while (response.write(std::string(65536, 'x'))) {
    }
  });
  router.get("/events", [](HttpRequest&, HttpResponse& response) {
    response.begin_stream(200, "text/event-stream");
    for (int i = 0; i < 3; ++i) response.write_event(std::to_string(i));
  });
  auto server = HttpServer::start(options, router.handler());
  EXPECT_TRUE(server) << server.error().message;
  return std::move(*server);
}

class RawClient {
 public:
  explicit RawClient(const HttpServer& server) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  bool send(std::string_view bytes) const {
    return ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  // Everything until the server closes, or "timeout".
  std::string read_all(int timeout_ms = 5000) const {
    std::string out;
    char chunk[4096];
    for (const std::int64_t end = steady_ms() + timeout_ms; steady_ms() < end;) {
      pollfd watch{fd_.get(), POLLIN, 0};
      if (::poll(&watch, 1, 50) <= 0) continue;
      const ssize_t n = ::recv(fd_.get(), chunk, sizeof chunk, 0);
      if (n <= 0) return out;
      out.append(chunk, static_cast<std::size_t>(n));
    }
    return "timeout";
  }
  std::string read_until(std::string_view mark, int timeout_ms = 5000) const {
    std::string out;
    char c = 0;
    for (const std::int64_t end = steady_ms() + timeout_ms; steady_ms() < end;) {
      pollfd watch{fd_.get(), POLLIN, 0};
      if (::poll(&watch, 1, 50) <= 0) continue;
      if (::recv(fd_.get(), &c, 1, 0) != 1) break;
      out.push_back(c);
      if (out.ends_with(mark)) break;
    }
    return out;
  }

 private:
  UniqueFd fd_;
};

TEST(HttpRaw, MalformedRequestsGetAnAnswerAndAClose) {
  const auto server = serve_raw();
  for (const std::string_view bad :
       {"nonsense\r\n\r\n", "GET /hello HTTP/1.1\r\n\r\n", "GET hello HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /hello HTTP/9.9\r\nHost: h\r\n\r\n", "\x16\x03\x01\x02 tls to a plain port\r\n\r\n"}) {
    const RawClient client(*server);
    ASSERT_TRUE(client.send(bad));
    const std::string reply = client.read_all();
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 400 Bad Request\r\n")) << bad << reply;
    EXPECT_NE(reply.find("Connection: close\r\n"), std::string::npos);
    EXPECT_NE(reply.find("{\"error\":{\"message\":\""), std::string::npos);
  }
  EXPECT_EQ(HttpClient().get(server->url() + "/hello")->body, "hello");
}

TEST(HttpRaw, OversizedHeaderAndBody) {
  HttpServerOptions options;
  options.max_header_bytes = 4096;
  options.max_body_bytes = 10'000;
  const auto server = serve_raw(options);
  const RawClient header(*server);
  header.send("GET /hello HTTP/1.1\r\nHost: h\r\nX: " + std::string(100'000, 'x'));
  EXPECT_TRUE(header.read_all().starts_with("HTTP/1.1 431 "));
  const RawClient body(*server);
  body.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10001\r\n\r\n");
  EXPECT_TRUE(body.read_all().starts_with("HTTP/1.1 413 "));
  // A client that sends it all before it reads sees the answer too.
  const auto reply = HttpClient().post_json(server->url() + "/echo", std::string(500'000, 'x'));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->status, 413);
}

TEST(HttpRaw, SlowLorisIsAnsweredAndDropped) {
  HttpServerOptions options;
  options.request_timeout_ms = 300;
  const auto server = serve_raw(options);
  const RawClient slow(*server);
  ASSERT_TRUE(slow.send("GET /hello HTTP/1.1\r\nHost: h\r\n"));
  std::thread dripping([&] {
    for (int i = 0; i < 40 && slow.send("X: y\r\n"); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(25));
  });
  const std::int64_t start = steady_ms();
  const std::string reply = slow.read_all();
  EXPECT_LT(steady_ms() - start, 2000);
  dripping.join();
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 408 ")) << reply;
  // A connection that never says a word is dropped without one.
  const RawClient silent(*server);
  EXPECT_EQ(silent.read_all(), "");
}

TEST(HttpRaw, IdleConnectionsAreDropped) {
  HttpServerOptions options;
  options.idle_timeout_ms = 200;
  const auto server = serve_raw(options);
  const RawClient client(*server);
  client.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::int64_t start = steady_ms();
  EXPECT_TRUE(client.read_all().ends_with("hello"));
  EXPECT_GE(steady_ms() - start, 150);
}

TEST(HttpRaw, HundredsOfSilentClientsStarveNobody) {
  HttpServerOptions options;
  options.max_connections = 100;
  const auto server = serve_raw(options);
  std::vector<std::unique_ptr<RawClient>> silent;
  for (int i = 0; i < 300; ++i) silent.push_back(std::make_unique<RawClient>(*server));
  // The oldest idle connections made room.
  const auto reply = HttpClient().get(server->url() + "/hello");
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->body, "hello");
}

TEST(HttpRaw, AClientThatDoesNotReadIsCut) {
  HttpServerOptions options;
  options.threads = 1;
  options.write_timeout_ms = 300;
  const auto server = serve_raw(options);
  const RawClient stuck(*server);
  stuck.send("GET /flood HTTP/1.1\r\nHost: h\r\n\r\n");
  // Its handler holds the only thread until the write times out.
  int status = 0;
  for (const std::int64_t end = steady_ms() + 5000; status != 200 && steady_ms() < end;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    status = HttpClient().get(server->url() + "/hello")->status;
  }
  EXPECT_EQ(status, 200);
}

TEST(HttpRaw, PipelinedRequestsAreAnsweredInOrder) {
  const auto server = serve_raw();
  const RawClient client(*server);
  client.send(
      "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none"
      "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"
      "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\n\r\nthree");
  const std::string all = client.read_all();
  const std::size_t one = all.find("one"), two = all.find("hello"), three = all.find("three");
  ASSERT_NE(three, std::string::npos) << all;
  EXPECT_LT(one, two);
  EXPECT_LT(two, three);
}

TEST(HttpRaw, ExpectContinue) {
  const auto server = serve_raw();
  const RawClient client(*server);
  client.send(
      "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nConnection: close\r\n"
      "Content-Length: 4\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("body");
  EXPECT_TRUE(client.read_all().ends_with("\r\n\r\nbody"));
}

TEST(HttpRaw, HeadAndOldClients) {
  const auto server = serve_raw();
  const RawClient head(*server);
  head.send("HEAD /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string reply = head.read_all();
  EXPECT_NE(reply.find("Content-Length: 5\r\n"), std::string::npos);
  EXPECT_TRUE(reply.ends_with("\r\n\r\n"));
  const RawClient old(*server);
  old.send("GET /events HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(old.read_all().ends_with("\r\n\r\ndata: 0\n\ndata: 1\n\ndata: 2\n\n"));
}

TEST(HttpRaw, ConnectionsThatEndHalfWayLeaveTheServerWell) {
  const auto server = serve_raw();
  for (int i = 0; i < 50; ++i) {
    const RawClient client(*server);
    client.send(i % 2 == 0 ? "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc"
                           : "GET /flood HTTP/1.1\r\nHost: h\r\n\r\n");
  }
  EXPECT_EQ(HttpClient().get(server->url() + "/hello")->body, "hello");
  server->stop();
}

class CurlCommand : public testing::Test {
 protected:
  std::string curl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"curl", "-sS", "--noproxy", "*", "--max-time", "10"});
    ChildOptions options;
    options.out = options.err = ChildOptions::Output::file;
    options.out_file = options.err_file = dir.file(fmt::format("out-{}", ++calls));
    auto child = ChildProcess::spawn(arguments, options);
    EXPECT_TRUE(child) << child.error().message;
    code = child->wait().code;
    return *read_file(options.out_file);
  }
  TempDirectory dir = std::move(*TempDirectory::create("assay-curl-test"));
  int calls = 0, code = -1;
};

TEST_F(CurlCommand, GetPostStreamAndErrors) {
  const auto server = serve_raw();
  EXPECT_EQ(curl({server->url() + "/hello"}), "hello");
  EXPECT_EQ(curl({"-N", server->url() + "/events"}), "data: 0\n\ndata: 1\n\ndata: 2\n\n");
  // Over a mebibyte: curl asks with "Expect: 100-continue".
  std::string big(3'000'000, 'x');
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>('a' + i % 23);
  ASSERT_TRUE(write_file_atomic(dir.file("big"), view(big)));
  EXPECT_TRUE(curl({"--data-binary", "@" + dir.file("big"), server->url() + "/echo"}) == big);
  EXPECT_TRUE(curl({"-H", "Transfer-Encoding: chunked", "--data-binary", "@" + dir.file("big"),
                    server->url() + "/echo"}) == big);
  EXPECT_EQ(curl({"-o", "/dev/null", "-w", "%{http_code}", server->url() + "/none"}), "404");
  EXPECT_EQ(curl({"-o", "/dev/null", "-w", "%{http_code}", "-X", "PUT", server->url() + "/echo"}),
            "405");
  EXPECT_EQ(curl({server->url() + "/hello", server->url() + "/hello", "-w", "%{num_connects}"}),
            "hello1hello0");
}

TEST_F(CurlCommand, SeesATruncatedStream) {
  HttpServerOptions options;
  auto server = HttpServer::start(options, [](HttpRequest&, HttpResponse& response) {
    response.begin_stream(200, "text/plain");
    response.write("half");
    response.abort();
  });
  ASSERT_TRUE(server);
  EXPECT_NE(curl({(*server)->url() + "/"}).find("half"), std::string::npos);
  EXPECT_EQ(code, 18);  // CURLE_PARTIAL_FILE
}

}  // namespace
}  // namespace assay::io
