#include "io/http_parser.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>

#include "base/assert.hpp"

namespace assay::io {
namespace http = boost::beast::http;
namespace {

std::string_view std_view(boost::beast::string_view s) { return {s.data(), s.size()}; }

bool same_word(std::string_view a, std::string_view b) {
  const FieldLess less;
  return !less(a, b) && !less(b, a);
}

bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

// Behind the first empty line, whichever way lines end: Beast then refuses bare line feeds.
std::size_t header_end(std::string_view text) {
  for (std::size_t at = text.find('\n'); at != std::string_view::npos;
       at = text.find('\n', at + 1)) {
    if (text.substr(at + 1, 1) == "\n") return at + 2;
    if (text.substr(at + 1, 2) == "\r\n") return at + 3;
  }
  return std::string_view::npos;
}

Status parse_query(std::string_view text, HttpRequest& request) {
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(pair.size() + 1, text.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    TRY(std::string key, percent_decode(pair.substr(0, equals), true));
    TRY(std::string value, percent_decode(pair.substr(std::min(equals + 1, pair.size())), true));
    request.query[std::move(key)] = std::move(value);
  }
  return {};
}

Status parse_target(std::string_view target, HttpRequest& request) {
  for (const char c : target)
    if (c <= ' ' || c > '~') return fail(Errc::invalid, "the URL has characters to be encoded");
  // Absolute form (RFC 9112, 3.2.2): what a client sends that takes us for its proxy.
  for (const std::string_view scheme : {"http://", "https://"})
    if (target.starts_with(scheme)) {
      target.remove_prefix(std::min(target.find('/', scheme.size()), target.size()));
      if (target.empty()) target = "/";
    }
  if (!target.starts_with('/')) return fail(Errc::invalid, "the URL must be a path");
  target = target.substr(0, target.find('#'));
  request.target = target;
  const std::size_t question = std::min(target.find('?'), target.size());
  TRY(request.path, percent_decode(target.substr(0, question)));
  return parse_query(target.substr(std::min(question + 1, target.size())), request);
}

}  // namespace

struct HttpParser::Impl {
  std::optional<http::request_parser<http::string_body>> beast;
  // Made when the header is complete: trailer fields that come after the body are not headers.
  std::optional<HttpRequest> request;
  bool expects_continue = false;

  void start(const HttpParserLimits& limits) {
    beast.emplace();
    beast->header_limit(UINT32_MAX);  // parse_header keeps the limit
    beast->body_limit(limits.max_body_bytes);
    request.reset();
    expects_continue = false;
  }

  // The status and reason to refuse with, or 0.
  std::pair<int, std::string> take_header() {
    const auto& message = beast->get();
    request.emplace();
    request->method = std_view(message.method_string());
    request->keep_alive = message.keep_alive();
    request->http_1_0 = message.version() == 10;
    for (const auto& field : message) {
      const std::string_view value = std_view(field.value());
      auto [it, fresh] =
          request->headers.try_emplace(std::string(std_view(field.name_string())), value);
      if (!fresh) it->second.append(", ").append(value);
    }
    if (message.version() != 10 && message.version() != 11)
      return {505, "this server speaks HTTP/1.1"};
    if (auto parsed = parse_target(std_view(message.target()), *request); !parsed)
      return {400, parsed.error().message};
    // Anything else than plain "chunked" is where two parsers may disagree on a body's end.
    const std::string_view coding = request->header("Transfer-Encoding");
    if (!coding.empty() && !same_word(coding, "chunked"))
      return {501, "only the transfer coding 'chunked' is supported"};
    if (!coding.empty() && request->headers.contains("Content-Length"))
      return {400, "Content-Length beside Transfer-Encoding"};
    if (!request->http_1_0 && !request->headers.contains("Host"))
      return {400, "the Host header is missing"};
    expects_continue = !request->http_1_0 && same_word(request->header("Expect"), "100-continue");
    return {0, {}};
  }
};

HttpParser::HttpParser(HttpParserLimits limits) : limits_(limits), impl_(std::make_unique<Impl>()) {
  impl_->start(limits_);
}

HttpParser::~HttpParser() = default;

HttpParser::State HttpParser::fail_with(int status, std::string message) {
  status_ = status;
  message_ = std::move(message);
  return state_ = State::failed;
}

HttpParser::State HttpParser::feed(std::string_view bytes) {
  if (state_ == State::failed) return state_;
  buffer_ += bytes;
  return state_ == State::done ? state_ : parse();
}

// Gives Beast the header only when it is whole and within its limit, so that what is accepted does
// not depend on how the bytes were cut on their way.
HttpParser::State HttpParser::parse_header() {
  // RFC 9112, 2.2: empty lines before a request are skipped.
  buffer_.erase(0, std::min(buffer_.find_first_not_of("\r\n"), buffer_.size()));
  if (buffer_.empty()) return state_ = State::more;
  // TLS, or another protocol: it would never send the end of a header.
  if (!is_letter(buffer_.front())) return fail_with(400, "not an HTTP request");
  const std::size_t end = header_end(buffer_);
  if (std::min(end, buffer_.size()) > limits_.max_header_bytes)
    return fail_with(431, fmt::format("request headers exceed {} bytes", limits_.max_header_bytes));
  if (end == std::string::npos) return state_ = State::more;
  boost::system::error_code error;
  impl_->beast->put(boost::asio::buffer(buffer_.data(), end), error);
  if (error == http::error::body_limit)
    return fail_with(413, fmt::format("request body exceeds {} bytes", limits_.max_body_bytes));
  if (error || !impl_->beast->is_header_done())
    return fail_with(400, fmt::format("malformed HTTP request: {}",
                                      error ? error.message() : "bad line ending"));
  buffer_.erase(0, end);
  auto [status, message] = impl_->take_header();
  if (status != 0) return fail_with(status, std::move(message));
  impl_->beast->eager(true);
  return state_;
}

HttpParser::State HttpParser::parse() {
  auto& beast = *impl_->beast;
  state_ = State::more;
  if (!impl_->request) parse_header();
  while (impl_->request && state_ == State::more && !beast.is_done()) {
    if (buffer_.empty()) return state_;
    // What must be seen whole (a chunk's line, trailers) must fit this window.
    const std::size_t window = std::min(buffer_.size(), limits_.max_header_bytes);
    boost::system::error_code error;
    const std::size_t used = beast.put(boost::asio::buffer(buffer_.data(), window), error);
    buffer_.erase(0, used);
    if (error == http::error::body_limit)
      return fail_with(413, fmt::format("request body exceeds {} bytes", limits_.max_body_bytes));
    if (error && error != http::error::need_more)
      return fail_with(400, fmt::format("malformed HTTP request: {}", error.message()));
    if (used > 0) continue;
    if (window == limits_.max_header_bytes)
      return fail_with(400, "a line between chunks is too long");
    return state_;
  }
  if (state_ == State::more && impl_->request) state_ = State::done;
  return state_;
}

HttpRequest HttpParser::take() {
  ASSAY_ASSERT(state_ == State::done && impl_->request);
  HttpRequest request = std::move(*impl_->request);
  request.body = std::move(impl_->beast->get().body());
  impl_->start(limits_);
  state_ = State::more;
  parse();
  return request;
}

bool HttpParser::idle() const {
  return state_ == State::more && !impl_->request && buffer_.empty();
}

bool HttpParser::take_expect_continue() {
  return state_ == State::more && std::exchange(impl_->expects_continue, false);
}

}  // namespace assay::io
