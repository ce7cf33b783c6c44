// One accepted connection, plain or TLS, without Asio in sight: the sessions above it compile
// without Boost. Every call and callback is on the server's I/O thread, except fd(), cut().
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace assay::io {

struct Transport {
  using Done = std::function<void(bool ok, std::size_t bytes)>;

  virtual ~Transport() = default;  // closes
  virtual void handshake(Done done) = 0;
  virtual void read(std::span<char> into, Done done) = 0;  // at least one byte, or not ok
  virtual void write(std::string_view all, Done done) = 0;
  virtual void shutdown(Done done) = 0;  // says goodbye; the other side may still send
  virtual int fd() const = 0;
  virtual std::string peer() const = 0;
  // Ends the connection both ways, so that pending operations finish, not ok. The descriptor
  // stays open until destruction: whoever polls it cannot meet a stranger's.
  void cut();
};

}  // namespace assay::io
