#include "io/http_response.hpp"

#include "base/assert.hpp"

namespace assay::io {
namespace {

// A line break in a field would let its content forge further fields.
std::string without_breaks(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (c != '\r' && c != '\n' && c != '\0') out.push_back(c);
  return out;
}

bool has_body(int status) { return status >= 200 && status != 204 && status != 304; }

}  // namespace

HttpResponse::HttpResponse(ByteSink& sink, const HttpRequest& request, bool keep_alive)
    : sink_(sink),
      keep_alive_(keep_alive),
      chunked_(!request.http_1_0),
      head_only_(request.method == "HEAD") {}

void HttpResponse::set_header(std::string_view name, std::string_view value) {
  ASSAY_ASSERT(state_ == State::fresh);
  fields_.emplace_back(without_breaks(name), without_breaks(value));
}

std::string HttpResponse::head(int status, std::string_view content_type) const {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\n", status, reason_phrase(status));
  for (const auto& [name, value] : fields_) out += fmt::format("{}: {}\r\n", name, value);
  if (!content_type.empty() && has_body(status))
    out += fmt::format("Content-Type: {}\r\n", without_breaks(content_type));
  out += keep_alive_ ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
  return out;
}

bool HttpResponse::put(std::string_view bytes) {
  if (!failed_ && !sink_.write(bytes)) failed_ = true;
  return !failed_;
}

bool HttpResponse::send(int status, std::string_view content_type, std::string_view body) {
  ASSAY_ASSERT(state_ == State::fresh);
  state_ = State::done;
  status_ = status;
  std::string out = head(status, content_type);
  if (has_body(status)) out += fmt::format("Content-Length: {}\r\n", body.size());
  out += "\r\n";
  if (has_body(status) && !head_only_) {
    out += body;
    body_bytes_ = body.size();
  }
  return put(out);
}

bool HttpResponse::send_json(int status, const json::value& body) {
  return send(status, "application/json", json::dump(body));
}

bool HttpResponse::send_error(int status, std::string_view message, std::string_view code) {
  return send_json(status, error_body(status, message, code));
}

bool HttpResponse::send_error(const Error& error) {
  return send_error(http_status(error.code), error.message, to_string(error.code));
}

bool HttpResponse::begin_stream(int status, std::string_view content_type) {
  ASSAY_ASSERT(state_ == State::fresh && has_body(status));
  state_ = State::streaming;
  status_ = status;
  if (!chunked_) keep_alive_ = false;  // HTTP/1.0: the end of the connection ends the body
  std::string out = head(status, content_type);
  out += "Cache-Control: no-store\r\n";
  if (chunked_) out += "Transfer-Encoding: chunked\r\n";
  return put(out + "\r\n");
}

bool HttpResponse::write(std::string_view data) {
  ASSAY_ASSERT(state_ == State::streaming);
  // An empty chunk would end the body.
  if (data.empty() || head_only_) return !client_gone();
  body_bytes_ += data.size();
  if (!chunked_) return put(data);
  std::string chunk = fmt::format("{:x}\r\n", data.size());
  chunk += data;
  chunk += "\r\n";
  return put(chunk);
}

bool HttpResponse::write_event(std::string_view data) {
  return write(fmt::format("data: {}\n\n", data));
}

bool HttpResponse::end() {
  if (state_ != State::streaming) return !failed_;
  state_ = State::done;
  return chunked_ && !head_only_ ? put("0\r\n\r\n") : !failed_;
}

void HttpResponse::abort() {
  failed_ = true;
  state_ = State::done;
}

bool HttpResponse::finish() {
  if (state_ == State::fresh && !failed_) send_error(500, "the handler gave no answer", "internal");
  end();
  return keep_alive_ && !failed_;
}

}  // namespace assay::io
