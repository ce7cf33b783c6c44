#include "io/http_acceptor.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <exception>
#include <optional>
#include <thread>

#include "io/log.hpp"

namespace assay::io {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::chrono::milliseconds kTick{50};
constexpr std::chrono::milliseconds kAcceptRetry{100};

std::string peer_of(const tcp::socket& socket) {
  error_code error;
  const auto end = socket.remote_endpoint(error);
  if (error) return "unknown";
  const std::string address = end.address().to_string();
  return end.address().is_v6() ? fmt::format("[{}]:{}", address, end.port())
                               : fmt::format("{}:{}", address, end.port());
}

class PlainTransport : public Transport {
 public:
  explicit PlainTransport(tcp::socket socket)
      : socket_(std::move(socket)), peer_(peer_of(socket_)) {}
  void handshake(Done done) override { done(true, 0); }
  void read(std::span<char> into, Done done) override {
    socket_.async_read_some(asio::buffer(into.data(), into.size()),
                            [done](error_code error, std::size_t n) { done(!error, n); });
  }
  void write(std::string_view all, Done done) override {
    asio::async_write(socket_, asio::buffer(all.data(), all.size()),
                      [done](error_code error, std::size_t n) { done(!error, n); });
  }
  void shutdown(Done done) override {
    error_code error;
    socket_.shutdown(tcp::socket::shutdown_send, error);
    done(!error, 0);
  }
  int fd() const override { return const_cast<tcp::socket&>(socket_).native_handle(); }
  std::string peer() const override { return peer_; }

 private:
  tcp::socket socket_;
  std::string peer_;
};

class TlsTransport : public Transport {
 public:
  TlsTransport(tcp::socket socket, asio::ssl::context& context)
      : peer_(peer_of(socket)), stream_(std::move(socket), context) {}
  void handshake(Done done) override {
    stream_.async_handshake(asio::ssl::stream_base::server,
                            [done](error_code error) { done(!error, 0); });
  }
  void read(std::span<char> into, Done done) override {
    stream_.async_read_some(asio::buffer(into.data(), into.size()),
                            [done](error_code error, std::size_t n) { done(!error, n); });
  }
  void write(std::string_view all, Done done) override {
    asio::async_write(stream_, asio::buffer(all.data(), all.size()),
                      [done](error_code error, std::size_t n) { done(!error, n); });
  }
  void shutdown(Done done) override {
    stream_.async_shutdown([done](error_code error) { done(!error, 0); });
  }
  int fd() const override {
    return const_cast<asio::ssl::stream<tcp::socket>&>(stream_).next_layer().native_handle();
  }
  std::string peer() const override { return peer_; }

 private:
  std::string peer_;
  asio::ssl::stream<tcp::socket> stream_;
};

Result<tcp::endpoint> endpoint_of(const HttpServerOptions& options) {
  const std::string& text = options.address == "localhost" ? "127.0.0.1" : options.address;
  error_code error;
  const auto address = asio::ip::make_address(text, error);
  if (error)
    return fail(Errc::invalid, "not an IP address to listen on: {} (for example 127.0.0.1)", text);
  return tcp::endpoint(address, options.port);
}

std::unexpected<Error> listen_error(const HttpServerOptions& options, const error_code& error) {
  if (error == asio::error::address_in_use)
    return fail(Errc::unavailable, "port {} on {} is in use: choose another with --port",
                options.port, options.address);
  if (error == asio::error::access_denied)
    return fail(Errc::io, "no permission to listen on port {}: choose one above 1023 with --port",
                options.port);
  if (error == boost::system::errc::address_not_available)
    return fail(Errc::invalid, "{} is not an address of this machine", options.address);
  return fail(Errc::io, "cannot listen on {} port {}: {}", options.address, options.port,
              error.message());
}

}  // namespace

struct HttpAcceptor::Impl {
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  asio::steady_timer tick{context}, retry{context};
  std::optional<asio::ssl::context> tls;
  Events events;
  std::thread thread;

  Status use_tls(const HttpServerOptions& options) {
    const bool files = !options.tls_cert_file.empty() || !options.tls_key_file.empty();
    if (!files && options.tls_cert_pem.empty()) return {};
    if (files && (options.tls_cert_file.empty() || options.tls_key_file.empty()))
      return fail(Errc::invalid, "TLS needs both a certificate file and a key file");
    tls.emplace(asio::ssl::context::tls_server);
    error_code error;
    tls->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                         asio::ssl::context::no_tlsv1_1,
                     error);
    if (!files) {
      tls->use_certificate_chain(asio::buffer(options.tls_cert_pem), error);
      if (!error)
        tls->use_private_key(asio::buffer(options.tls_key_pem), asio::ssl::context::pem, error);
      if (error) return fail(Errc::invalid, "cannot use the TLS certificate: {}", error.message());
      return {};
    }
    tls->use_certificate_chain_file(options.tls_cert_file, error);
    if (error)
      return fail(Errc::invalid, "cannot use the TLS certificate {}: {}", options.tls_cert_file,
                  error.message());
    tls->use_private_key_file(options.tls_key_file, asio::ssl::context::pem, error);
    if (error)
      return fail(Errc::invalid, "cannot use the TLS key {}: {}", options.tls_key_file,
                  error.message());
    return {};
  }

  void accept() {
    acceptor.async_accept([this](error_code error, tcp::socket socket) {
      if (!acceptor.is_open()) return;
      if (!error) {
        error_code ignored;
        socket.set_option(tcp::no_delay(true), ignored);
        if (tls) {
          events.accepted(std::make_unique<TlsTransport>(std::move(socket), *tls));
        } else {
          events.accepted(std::make_unique<PlainTransport>(std::move(socket)));
        }
        return accept();
      }
      // Out of descriptors, most likely: give connections time to end instead of spinning.
      retry.expires_after(kAcceptRetry);
      retry.async_wait([this](error_code stopped) {
        if (!stopped) accept();
      });
    });
  }

  void next_tick() {
    tick.expires_after(kTick);
    tick.async_wait([this](error_code stopped) {
      if (stopped) return;
      events.tick();
      next_tick();
    });
  }

  void run() {
    for (;;) {
      try {
        context.run();
        return;
      } catch (const std::exception& e) {  // out of memory: that connection is lost, not the server
        log_error("HTTP server: {}", e.what());
      }
    }
  }
};

HttpAcceptor::HttpAcceptor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpAcceptor::~HttpAcceptor() { join(); }

Result<std::unique_ptr<HttpAcceptor>> HttpAcceptor::listen(const HttpServerOptions& options) {
  try {
    auto impl = std::make_unique<Impl>();
    CHECK_OK(impl->use_tls(options));
    TRY(const tcp::endpoint endpoint, endpoint_of(options));
    error_code error;
    impl->acceptor.open(endpoint.protocol(), error);
    if (!error) impl->acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) impl->acceptor.bind(endpoint, error);
    if (!error) impl->acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return listen_error(options, error);
    return std::unique_ptr<HttpAcceptor>(new HttpAcceptor(std::move(impl)));
  } catch (const std::exception& e) {
    return fail(Errc::io, "cannot start an HTTP server: {}", e.what());
  }
}

void HttpAcceptor::run(Events events) {
  impl_->events = std::move(events);
  impl_->accept();
  impl_->next_tick();
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

std::uint16_t HttpAcceptor::port() const {
  error_code ignored;
  return impl_->acceptor.local_endpoint(ignored).port();
}

void HttpAcceptor::post(std::function<void()> job) { asio::post(impl_->context, std::move(job)); }

void HttpAcceptor::stop_accepting() {
  error_code ignored;
  impl_->acceptor.close(ignored);
  impl_->retry.cancel();
}

void HttpAcceptor::join() {
  if (!impl_->thread.joinable()) return;
  impl_->context.stop();
  impl_->thread.join();
  // A posted stop may not have had its turn: the port is free when this returns.
  stop_accepting();
}

}  // namespace assay::io
