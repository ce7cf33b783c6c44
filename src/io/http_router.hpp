// Method and path pattern to handler. "/v1/models/{id}" captures one segment into params["id"],
// "/files/{name*}" the non-empty rest. Segments are matched before percent-decoding is applied to
// them, so "%2F" never splits one. Literal segments win over captures. Unknown path: 404; known
// path, other method: 405 with Allow; HEAD is answered by GET. Both errors are JSON.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "io/http_server.hpp"

namespace assay::io {

class Router {
 public:
  // Patterns are programmer input: a malformed one is an assertion.
  Router& add(std::string_view method, std::string_view pattern, HttpHandler handler);
  Router& get(std::string_view pattern, HttpHandler handler) {
    return add("GET", pattern, std::move(handler));
  }
  Router& post(std::string_view pattern, HttpHandler handler) {
    return add("POST", pattern, std::move(handler));
  }

  void route(HttpRequest& request, HttpResponse& response) const;
  // For HttpServer::start: a handler that owns a copy of the table.
  HttpHandler handler() const;

 private:
  struct Segment {
    std::string text;  // literal or the capture's name
    enum class Kind { literal, capture, rest } kind;
  };
  struct Route {
    std::string method, pattern;
    std::vector<Segment> segments;
    HttpHandler handler;
  };
  static bool matches(const Route& route, const std::vector<std::string>& path,
                      std::map<std::string, std::string, std::less<>>& params);
  std::vector<Route> routes_;
};

}  // namespace assay::io
