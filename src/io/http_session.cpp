#include "io/http_session.hpp"

#include <exception>
#include <poll.h>
#include <sys/socket.h>

#include "io/log.hpp"
#include "io/system_clock.hpp"

namespace assay::io {
namespace {

constexpr std::size_t kWritePiece = 64u << 10;    // each has the whole write timeout
constexpr std::size_t kDrainBytesMax = 1u << 20;  // read and dropped before a close
constexpr std::int64_t kLingerMs = 1000, kLingerStoppingMs = 100;

struct StringSink : ByteSink {
  std::string bytes;
  bool write(std::string_view more) override {
    bytes += more;
    return true;
  }
  bool gone() const override { return false; }
};

}  // namespace

void Transport::cut() { ::shutdown(fd(), SHUT_RDWR); }

HttpSession::HttpSession(HttpSessionHost& host, std::unique_ptr<Transport> transport)
    : host_(host),
      transport_(std::move(transport)),
      parser_({host.options().max_header_bytes, host.options().max_body_bytes}) {}

void HttpSession::start() {
  deadline_ms_ = steady_ms() + host_.options().request_timeout_ms;
  transport_->handshake([self = shared_from_this()](bool ok, std::size_t) {
    if (!ok) return self->close();
    self->phase_ = Phase::reading;
    self->idle_since_ms_ = steady_ms();
    self->read_more();
  });
}

void HttpSession::sweep(std::int64_t now_ms) {
  if (deadline_ms_ == 0 || now_ms < deadline_ms_) return;
  deadline_ms_ = 0;
  if (phase_ == Phase::reading && !parser_.idle())
    return answer(408, "the request did not arrive in time", "timeout", false);
  cut();
}

void HttpSession::cut() {
  cut_ = true;
  transport_->cut();
}

void HttpSession::read_more() {
  transport_->read(
      in_, [self = shared_from_this()](bool ok, std::size_t bytes) { self->on_read(ok, bytes); });
}

void HttpSession::on_read(bool ok, std::size_t bytes) {
  if (phase_ != Phase::reading) {
    // The request timed out while this read was pending; its answer is under way.
    if (phase_ != Phase::closing || !ok) return close();
    return drain();
  }
  if (!ok) return close();
  if (parser_.idle()) deadline_ms_ = steady_ms() + host_.options().request_timeout_ms;
  parser_.feed({in_.data(), bytes});
  advance();
}

void HttpSession::advance() {
  switch (parser_.state()) {
    case HttpParser::State::failed:
      return answer(parser_.status(), parser_.message(), "invalid", false);
    case HttpParser::State::done:
      return dispatch();
    case HttpParser::State::more:
      break;
  }
  if (!parser_.take_expect_continue()) return read_more();
  transport_->write("HTTP/1.1 100 Continue\r\n\r\n",
                    [self = shared_from_this()](bool ok, std::size_t) {
                      if (!ok || self->phase_ != Phase::reading) return self->close();
                      self->read_more();
                    });
}

void HttpSession::dispatch() {
  phase_ = Phase::running;
  deadline_ms_ = 0;
  auto request = std::make_shared<HttpRequest>(parser_.take());
  request->peer = transport_->peer();
  const bool keep = request->keep_alive && !host_.stopping();
  if (!host_.try_run(*request,
                     [self = shared_from_this(), request] { self->run(std::move(*request)); }))
    refuse(*request, keep);
}

void HttpSession::refuse(HttpRequest& request, bool keep) {
  if (!keep) phase_ = Phase::closing;
  StringSink sink;
  HttpResponse response(sink, request, keep);
  response.set_header("Retry-After", "1");
  if (host_.options().when_busy) {
    host_.options().when_busy(request, response);
  } else {
    response.send_error(503,
                        fmt::format("the server is busy ({} requests at once): try again in a "
                                    "second",
                                    host_.options().threads),
                        "overloaded");
  }
  send(std::move(sink.bytes), keep, false);
}

void HttpSession::run(HttpRequest request) {
  HttpResponse response(*this, request, request.keep_alive && !host_.stopping());
  try {
    host_.handle(request, response);
  } catch (const std::exception& e) {
    log_error("handler of {} {} threw: {}", request.method, request.path, e.what());
    if (response.started()) {
      response.abort();
    } else {
      response.send_error(500, "internal error", "internal");
    }
  }
  const bool keep = response.finish();
  const bool orderly = !response.client_gone();
  host_.post([self = shared_from_this(), keep, orderly] { self->finished(keep, orderly); });
}

bool HttpSession::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kWritePiece);
    bytes.remove_prefix(piece.size());
    {
      const std::scoped_lock lock(mutex_);
      written_ = Written::pending;
    }
    host_.post([self = shared_from_this(), piece] {
      self->deadline_ms_ = steady_ms() + self->host_.options().write_timeout_ms;
      self->transport_->write(piece, [self](bool ok, std::size_t) {
        self->deadline_ms_ = 0;
        const std::scoped_lock lock(self->mutex_);
        self->written_ = ok ? Written::ok : Written::failed;
        self->written_changed_.notify_one();
      });
    });
    std::unique_lock lock(mutex_);
    written_changed_.wait(lock, [this] { return written_ != Written::pending; });
    if (written_ == Written::failed) return false;
  }
  return !cut_;
}

bool HttpSession::gone() const {
  if (cut_) return true;
  pollfd watch{transport_->fd(), POLLRDHUP, 0};
  return ::poll(&watch, 1, 0) > 0 && (watch.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void HttpSession::finished(bool keep, bool orderly) {
  if (keep && !host_.stopping()) return next_request();
  if (!orderly) return close();
  linger();
}

void HttpSession::next_request() {
  phase_ = Phase::reading;
  idle_since_ms_ = steady_ms();
  const HttpServerOptions& options = host_.options();
  deadline_ms_ =
      idle_since_ms_ + (parser_.idle() ? options.idle_timeout_ms : options.request_timeout_ms);
  advance();
}

void HttpSession::answer(int status, std::string_view message, std::string_view code, bool keep) {
  const bool read_pending = phase_ == Phase::reading && status == 408;
  phase_ = keep ? Phase::running : Phase::closing;
  StringSink sink;
  HttpResponse response(sink, HttpRequest{}, keep);
  response.send_error(status, message, code);
  send(std::move(sink.bytes), keep, read_pending);
}

void HttpSession::send(std::string bytes, bool keep, bool read_pending) {
  out_ = std::move(bytes);
  deadline_ms_ = steady_ms() + host_.options().write_timeout_ms;
  transport_->write(out_, [self = shared_from_this(), keep, read_pending](bool ok, std::size_t) {
    if (!ok) return self->cut(), self->close();
    if (keep) return self->finished(true, true);
    if (!read_pending) return self->linger();
    // The pending read ends with the cut and closes the session.
    self->cut();
  });
}

void HttpSession::linger() {
  // Closing with unread input makes the kernel send a reset, which can overtake the answer: say
  // goodbye, then read on for a moment.
  phase_ = Phase::closing;
  deadline_ms_ = steady_ms() + (host_.stopping() ? kLingerStoppingMs : kLingerMs);
  transport_->shutdown([self = shared_from_this()](bool ok, std::size_t) {
    if (!ok) return self->close();
    self->drain();
  });
}

void HttpSession::drain() {
  transport_->read(in_, [self = shared_from_this()](bool ok, std::size_t bytes) {
    self->drained_ += bytes;
    if (!ok || self->drained_ > kDrainBytesMax) return self->close();
    self->drain();
  });
}

void HttpSession::close() {
  if (phase_ == Phase::closed) return;
  phase_ = Phase::closed;
  deadline_ms_ = 0;
  cut();
  host_.closed(this);
}

}  // namespace assay::io
