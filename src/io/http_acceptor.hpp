// The Asio side of the HTTP server: one I/O thread with a listening socket, a ticking timer and the
// transports of accepted connections. Sessions and their bookkeeping live above it.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>

#include "io/http_server.hpp"
#include "io/http_transport.hpp"

namespace assay::io {

class HttpAcceptor {
 public:
  struct Events {  // all called on the I/O thread
    std::function<void(std::unique_ptr<Transport>)> accepted;
    std::function<void()> tick;  // every 50 ms
  };

  // Listens; connections wait in the kernel until run.
  static Result<std::unique_ptr<HttpAcceptor>> listen(const HttpServerOptions& options);
  ~HttpAcceptor();

  void run(Events events);  // starts the I/O thread
  std::uint16_t port() const;
  void post(std::function<void()> job);
  void stop_accepting();  // I/O thread
  void join();            // ends the I/O thread; pending jobs are dropped

 private:
  struct Impl;
  explicit HttpAcceptor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace assay::io
