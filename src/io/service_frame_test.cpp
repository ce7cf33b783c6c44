#include "io/service_frame.hpp"

#include <atomic>
#include <cstdlib>
#include <gtest/gtest.h>
#include <thread>

#include "io/http_client.hpp"
#include "io/http_router.hpp"
#include "io/log.hpp"
#include "io/request_id.hpp"
#include "io/wire.hpp"

namespace assay::io {
namespace {

struct ServiceFrameTest : testing::Test {
  Metrics metrics;
  HttpClient client;
  Status ready{};
  std::string seen;  // the request id the last handler worked for
  std::unique_ptr<HttpServer> server;

  void SetUp() override {
    Router router;
    router.get("/things/{id}", [this](HttpRequest&, HttpResponse& response) {
      seen = current_request_id();
      response.send_json(200, json::object{{"found", true}});
    });
    server = *HttpServer::start(
        {}, in_frame("shop", metrics, router.handler(), [this] { return ready; }));
  }
  HttpReply get(const std::string& path, const HttpClient::Headers& headers = {}) {
    return *client.get(server->url() + path, headers);
  }
};

TEST_F(ServiceFrameTest, HealthIsTheProcessAndReadinessItsWork) {
  const HttpReply health = get("/health");
  EXPECT_EQ(health.status, 200);
  EXPECT_EQ(health.body, R"({"status":"ok","service":"shop","wire":"1"})");
  EXPECT_EQ(get("/ready").status, 200);
  ready = fail(Errc::unavailable, "the market at http://127.0.0.1:1 is unreachable");
  const HttpReply not_ready = get("/ready");
  EXPECT_EQ(not_ready.status, 503);
  EXPECT_NE(not_ready.body.find("is unreachable"), std::string::npos);
  EXPECT_NE(not_ready.body.find("not_ready"), std::string::npos);
  EXPECT_EQ(get("/health").status, 200);
}

TEST_F(ServiceFrameTest, AClientsRequestIdIsKeptAndAForgedOneReplaced) {
  EXPECT_EQ(get("/things/1", {{"x-request-id", "order-7.b"}}).headers.at("x-request-id"),
            "order-7.b");
  EXPECT_EQ(seen, "order-7.b");
  const std::string fresh = get("/things/1", {{"x-request-id", "a b"}}).headers.at("x-request-id");
  EXPECT_EQ(fresh.size(), 24u);
  EXPECT_EQ(seen, fresh);
  EXPECT_NE(get("/things/1").headers.at("x-request-id"), fresh);
  EXPECT_NE(get("/things/1", {{"x-request-id", std::string(65, 'a')}}).headers.at("x-request-id"),
            std::string(65, 'a'));
}

TEST_F(ServiceFrameTest, WhatAThreadAsksOfOthersCarriesItsRequestId) {
  const RequestScope outer("outer");
  {
    const RequestScope inner("inner");
    get("/things/1");
    EXPECT_EQ(seen, "inner");
  }
  get("/things/1");
  EXPECT_EQ(seen, "outer");
}

TEST_F(ServiceFrameTest, MetricsCountByRouteAndStatus) {
  get("/things/1");
  get("/things/2");
  get("/no/such/path");
  get("/no/such/other");
  const HttpReply reply = get("/metrics");
  EXPECT_EQ(reply.headers.at("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  for (const char* line :
       {"# TYPE assay_http_requests_total counter",
        R"(assay_http_requests_total{route="/things/{id}",service="shop",status="200"} 2)",
        R"(assay_http_requests_total{route="other",service="shop",status="404"} 2)",
        R"(assay_http_request_seconds_count{route="/things/{id}",service="shop"} 2)",
        R"(assay_http_requests_running{service="shop"} 1)"})  // this one
    EXPECT_NE(reply.body.find(line), std::string::npos) << line << "\nin\n" << reply.body;
}

TEST_F(ServiceFrameTest, ABusyServerStillSaysHowItIs) {
  std::atomic<bool> inside{false}, leave{false};
  HttpServerOptions options;
  options.threads = 1;
  keep_in_frame(options, "shop", metrics, "--streams");
  const auto block = [&](HttpRequest&, HttpResponse& response) {
    inside = true;
    while (!leave) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    response.send_json(200, json::object{});
  };
  const auto busy = *HttpServer::start(options, in_frame("shop", metrics, block));
  std::thread first([&] { EXPECT_EQ(client.get(busy->url() + "/long")->status, 200); });
  while (!inside) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  for (const char* path : {"/health", "/ready", "/metrics"})
    EXPECT_EQ(client.get(busy->url() + path)->status, 200) << path;
  for (int i = 0; i < 2; ++i) {  // the second over the same connection
    const auto refused = *client.get(busy->url() + "/things/1", {{"x-request-id", "order-8"}});
    EXPECT_EQ(refused.status, 503);
    EXPECT_EQ(refused.headers.at("x-request-id"), "order-8");
    EXPECT_EQ(refused.headers.at("assay-wire"), "1");
    EXPECT_EQ(refused.headers.at("retry-after"), "1");
    EXPECT_NE(refused.body.find("1 requests at once, see its --streams"), std::string::npos)
        << refused.body;
  }
  EXPECT_EQ(client.post_json(busy->url() + "/health", "{}")->status, 503);
  const std::string counted = client.get(busy->url() + "/metrics")->body;
  leave = true;
  first.join();
  EXPECT_NE(
      counted.find(R"(assay_http_requests_total{route="other",service="shop",status="503"} 3)"),
      std::string::npos)
      << counted;
}

TEST_F(ServiceFrameTest, GaugesAreReadWhenSomebodyAsks) {
  int depth = 3;
  metrics.on_scrape([&](Metrics& m) { m.set({"shop_queue", "Waiting."}, {}, depth); });
  EXPECT_NE(metrics.text().find("shop_queue 3"), std::string::npos);
  depth = 5;
  EXPECT_NE(metrics.text().find("shop_queue 5"), std::string::npos);
}

TEST_F(ServiceFrameTest, AWireVersionNobodySharesIsRefusedByName) {
  HttpClientOptions stranger;
  stranger.ours = false;
  HttpClient other(stranger);
  const auto ask = [&](const std::string& versions) {
    return *other.get(server->url() + "/things/1", {{"assay-wire", versions}});
  };
  EXPECT_EQ(ask("1").headers.at("assay-wire"), "1");
  EXPECT_EQ(ask("1-9").headers.at("assay-wire"), "1");
  const HttpReply refused = ask("2-3");
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.body.find("unsupported_wire_version"), std::string::npos) << refused.body;
  EXPECT_NE(refused.body.find("the caller speaks 2-3, this side 1; upgrade the answering one"),
            std::string::npos)
      << refused.body;
  EXPECT_EQ(ask("new").status, 400);
  // Other people's clients state nothing and are served.
  EXPECT_EQ(other.get(server->url() + "/things/1")->status, 200);
}

TEST_F(ServiceFrameTest, AnAnswerInALaterVersionIsAnError) {
  auto later = *HttpServer::start({}, [](HttpRequest&, HttpResponse& response) {
    response.set_header("assay-wire", "2");
    response.send_json(200, json::object{});
  });
  const auto reply = client.get(later->url() + "/");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::unsupported);
  EXPECT_NE(reply.error().message.find("speaks wire version 2, this assay 1"), std::string::npos);
}

TEST(Wire, TheHighestInCommon) {
  EXPECT_EQ(*agree("", {2, 4}), 2u);
  EXPECT_EQ(*agree("1-3", {2, 4}), 3u);
  EXPECT_EQ(*agree("3-9", {2, 4}), 4u);
  EXPECT_EQ(*agree("4", {2, 4}), 4u);
  EXPECT_EQ(agree("1", {2, 4}).error().code, Errc::unsupported);
  EXPECT_NE(agree("1", {2, 4}).error().message.find("upgrade the calling one"), std::string::npos);
  EXPECT_EQ(agree("5-6", {2, 4}).error().code, Errc::unsupported);
  EXPECT_EQ(agree("3-2", {1, 4}).error().code, Errc::unsupported);
  for (const char* bad : {"0", "-1", "1-", "a", "1-2-3", "99999999999", " 1"})
    EXPECT_EQ(agree(bad).error().code, Errc::invalid) << bad;
}

TEST(LogFormat, JsonLinesParseAndCarryTheRequest) {
  ::setenv("ASSAY_LOG_FORMAT", "json", 1);
  ASSERT_TRUE(setup_log("warn", "shop"));
  testing::internal::CaptureStderr();
  {
    const RequestScope scope("r1");
    log_fields(LogLevel::warn, "sold", {{"thing", "a \"hat\"\nand"}, {"price", 7}});
  }
  log_warn("plain {}", 1);
  const std::string out = testing::internal::GetCapturedStderr();
  ::setenv("ASSAY_LOG_FORMAT", "xml", 1);
  EXPECT_FALSE(setup_log("warn", "shop"));
  ::unsetenv("ASSAY_LOG_FORMAT");
  ASSERT_TRUE(setup_log("warn"));

  const std::size_t end = out.find('\n');
  const auto first = json::parse(out.substr(0, end));
  ASSERT_TRUE(first) << out;
  const json::object& line = first->get_object();
  EXPECT_EQ(line.at("message"), "sold");
  EXPECT_EQ(line.at("service"), "shop");
  EXPECT_EQ(line.at("level"), "warning");
  EXPECT_EQ(line.at("thing"), "a \"hat\"\nand");
  EXPECT_EQ(line.at("price"), 7);
  EXPECT_EQ(line.at("request_id"), "r1");
  EXPECT_EQ(std::string_view(line.at("time").get_string()).size(), 24u);
  const auto second = json::parse(out.substr(end + 1, out.size() - end - 2));
  ASSERT_TRUE(second) << out;
  EXPECT_FALSE(second->get_object().contains("request_id"));
}

}  // namespace
}  // namespace assay::io
