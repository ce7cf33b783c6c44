#include "io/service_frame.hpp"

#include "io/log.hpp"
#include "io/request_id.hpp"
#include "io/system_clock.hpp"
#include "io/wire.hpp"

namespace assay::io {
namespace {

constexpr Metric kRequests{"assay_http_requests_total", "Requests answered, by route and status."};
constexpr Metric kRequestSeconds{"assay_http_request_seconds",
                                 "From a whole request to the end of its answer."};
constexpr Metric kRunning{"assay_http_requests_running", "Requests being answered."};
constexpr Metric kReady{"assay_ready", "1 when the last readiness check said yes."};

bool is_loopback(std::string_view peer) {
  return peer.starts_with("127.") || peer.starts_with("[::1]") || peer.starts_with("::1");
}

// Of what no route knows only that it came: whoever asks must not choose the labels.
std::string route_of(const HttpRequest& request) {
  return request.route.empty() ? "other" : request.route;
}

void count_answer(Metrics& metrics, const std::string& service, const HttpRequest& request,
                  const HttpResponse& response) {
  metrics.count(kRequests, {{"service", service},
                            {"route", route_of(request)},
                            {"status", std::to_string(response.status())}});
}

struct Frame {
  std::string service;
  Metrics& metrics;
  HttpHandler inner;
  Readiness ready;

  void handle(HttpRequest& request, HttpResponse& response) const {
    const RequestScope scope(request_id_of(request.header(kRequestIdHeader)));
    response.set_header(kRequestIdHeader, current_request_id());
    const Metrics::Labels who{{"service", service}};
    const std::int64_t began_ms = steady_ms();
    metrics.add(kRunning, who, 1);
    const bool quiet = own(request, response);
    if (!quiet) serve(request, response);
    metrics.add(kRunning, who, -1);
    const double seconds = static_cast<double>(steady_ms() - began_ms) / 1000;
    const std::string route = route_of(request);
    count_answer(metrics, service, request, response);
    metrics.observe(kRequestSeconds, {{"service", service}, {"route", route}}, seconds);
    log_fields(quiet ? LogLevel::debug : LogLevel::info, "request",
               {{"route", route},
                {"status", response.status()},
                {"seconds", seconds},
                {"bytes", response.body_bytes()}});
  }

  void serve(HttpRequest& request, HttpResponse& response) const {
    const auto version = agree(request.header(kWireHeader));
    if (!version) {
      response.set_header(kWireHeader, to_string(kWire));
      response.send_error(400, version.error().message, "unsupported_wire_version");
      return;
    }
    response.set_header(kWireHeader, std::to_string(*version));
    inner(request, response);
  }

  // true: it was one of the frame's own.
  bool own(HttpRequest& request, HttpResponse& response) const {
    if (request.method != "GET" && request.method != "HEAD") return false;
    if (request.path == "/health") {
      response.send_json(
          200, json::object{{"status", "ok"}, {"service", service}, {"wire", to_string(kWire)}});
    } else if (request.path == "/ready") {
      const Status now = ready ? ready() : Status{};
      metrics.set(kReady, {{"service", service}}, now ? 1 : 0);
      if (now) {
        response.send_json(200, json::object{{"status", "ready"}, {"service", service}});
      } else {
        response.send_error(503, now.error().message, "not_ready");
      }
    } else if (request.path == "/metrics") {
      if (is_loopback(request.peer)) {
        response.send(200, "text/plain; version=0.0.4; charset=utf-8", metrics.text());
      } else {
        response.send_error(403, "metrics are for this machine: scrape them from here",
                            "loopback_only");
      }
    } else {
      return false;
    }
    request.route = request.path;
    return true;
  }
};

}  // namespace

HttpHandler in_frame(std::string service, Metrics& metrics, HttpHandler inner, Readiness ready) {
  return [frame = Frame{std::move(service), metrics, std::move(inner), std::move(ready)}](
             HttpRequest& request, HttpResponse& response) { frame.handle(request, response); };
}

void keep_in_frame(HttpServerOptions& http, std::string service, Metrics& metrics,
                   std::string limit) {
  http.spared_paths = {"/health", "/ready", "/metrics"};
  http.when_busy = [service = std::move(service), &metrics, limit = std::move(limit),
                    threads = http.threads](HttpRequest& request, HttpResponse& response) {
    const RequestScope scope(request_id_of(request.header(kRequestIdHeader)));
    response.set_header(kRequestIdHeader, current_request_id());
    const auto version = agree(request.header(kWireHeader));
    response.set_header(kWireHeader, version ? std::to_string(*version) : to_string(kWire));
    response.send_error(503,
                        fmt::format("this {} is busy ({} requests at once, see its {}): try again "
                                    "in a second",
                                    service, threads, limit),
                        "overloaded");
    count_answer(metrics, service, request, response);
    log_fields(LogLevel::debug, "no thread is free", {{"status", response.status()}});
  };
}

}  // namespace assay::io
