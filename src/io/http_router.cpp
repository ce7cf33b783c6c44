#include "io/http_router.hpp"

#include <algorithm>
#include <memory>

#include "base/assert.hpp"

namespace assay::io {
namespace {

// "/a/b" → ["a", "b"]; "/a/" → ["a", ""].
std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> out;
  for (std::size_t begin = 1; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    out.emplace_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

}  // namespace

Router& Router::add(std::string_view method, std::string_view pattern, HttpHandler handler) {
  ASSAY_ASSERT(pattern.starts_with('/') && handler);
  Route route{std::string(method), std::string(pattern), {}, std::move(handler)};
  for (std::string& text : split(pattern)) {
    ASSAY_ASSERT(route.segments.empty() || route.segments.back().kind != Segment::Kind::rest);
    if (text.starts_with('{')) {
      ASSAY_ASSERT(text.ends_with('}') && text.size() > 2);
      std::string name = text.substr(1, text.size() - 2);
      const bool rest = name.ends_with('*');
      if (rest) name.pop_back();
      route.segments.push_back(
          {std::move(name), rest ? Segment::Kind::rest : Segment::Kind::capture});
    } else {
      route.segments.push_back({std::move(text), Segment::Kind::literal});
    }
  }
  // Literals before captures before rests, segment by segment, so that the first match is the best.
  const auto before = [](const Route& a, const Route& b) {
    return std::ranges::lexicographical_compare(a.segments, b.segments, {}, &Segment::kind,
                                                &Segment::kind);
  };
  routes_.insert(std::ranges::upper_bound(routes_, route, before), std::move(route));
  return *this;
}

bool Router::matches(const Route& route, const std::vector<std::string>& path,
                     std::map<std::string, std::string, std::less<>>& params) {
  params.clear();
  for (std::size_t i = 0; i < route.segments.size(); ++i) {
    const Segment& segment = route.segments[i];
    if (i >= path.size()) return false;
    std::string raw = path[i];
    if (segment.kind == Segment::Kind::rest)
      for (std::size_t k = i + 1; k < path.size(); ++k) raw += "/" + path[k];
    auto text = percent_decode(raw);
    if (!text) return false;
    if (segment.kind == Segment::Kind::literal) {
      if (*text != segment.text) return false;
      continue;
    }
    if (text->empty()) return false;
    params[segment.text] = std::move(*text);
    if (segment.kind == Segment::Kind::rest) return true;
  }
  return path.size() == route.segments.size();
}

void Router::route(HttpRequest& request, HttpResponse& response) const {
  const std::string_view target = request.target;
  const std::vector<std::string> path = split(target.substr(0, target.find('?')));
  std::string allowed;
  for (const Route& candidate : routes_) {
    if (!matches(candidate, path, request.params)) continue;
    const bool same = candidate.method == request.method ||
                      (candidate.method == "GET" && request.method == "HEAD");
    if (same) {
      request.route = candidate.pattern;
      return candidate.handler(request, response);
    }
    if (!allowed.empty()) allowed += ", ";
    allowed += candidate.method;
  }
  request.params.clear();
  // The target as sent is plain ASCII, the decoded path need not be UTF-8.
  const std::string_view shown = target.substr(0, std::min<std::size_t>(target.find('?'), 200));
  if (allowed.empty()) {
    response.send_error(404, fmt::format("no such path: {} {}", request.method, shown),
                        "not_found");
    return;
  }
  response.set_header("Allow", allowed);
  response.send_error(
      405, fmt::format("{} is not allowed on {}: use {}", request.method, shown, allowed),
      "method_not_allowed");
}

HttpHandler Router::handler() const {
  return [table = std::make_shared<const Router>(*this)](
             HttpRequest& request, HttpResponse& response) { table->route(request, response); };
}

}  // namespace assay::io
