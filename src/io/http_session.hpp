// One connection of the HTTP server: reads a request, has it run on a worker thread, writes what
// the worker sends, goes on with the next. All state belongs to the I/O thread except where noted.
#pragma once
#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "io/http_parser.hpp"
#include "io/http_server.hpp"
#include "io/http_transport.hpp"

namespace assay::io {

class HttpSession;

// What a session needs of its server.
struct HttpSessionHost {
  virtual ~HttpSessionHost() = default;
  virtual void post(std::function<void()> job) = 0;  // to the I/O thread, from any thread
  // On a worker thread: what answers this request. false: they are all busy.
  virtual bool try_run(const HttpRequest& request, std::function<void()> job) = 0;
  virtual void handle(HttpRequest& request, HttpResponse& response) = 0;
  virtual void closed(HttpSession* session) = 0;
  virtual bool stopping() const = 0;
  virtual const HttpServerOptions& options() const = 0;
};

class HttpSession : public std::enable_shared_from_this<HttpSession>, private ByteSink {
 public:
  HttpSession(HttpSessionHost& host, std::unique_ptr<Transport> transport);

  void start();
  // Called about ten times a second; cuts the connection when a deadline has passed.
  void sweep(std::int64_t now_ms);
  void cut();
  bool running() const { return phase_ == Phase::running; }
  bool idle() const { return phase_ == Phase::reading && parser_.idle(); }
  std::int64_t idle_since_ms() const { return idle_since_ms_; }

 private:
  enum class Phase { handshake, reading, running, closing, closed };

  // ByteSink, on the worker thread that runs the handler.
  bool write(std::string_view bytes) override;
  bool gone() const override;

  void read_more();
  void on_read(bool ok, std::size_t bytes);
  void advance();  // acts on the parser's state
  void dispatch();
  void run(HttpRequest request);           // worker thread
  void finished(bool keep, bool orderly);  // after a handler
  void next_request();
  void answer(int status, std::string_view message, std::string_view code, bool keep);
  void refuse(HttpRequest& request, bool keep);                // no thread is free
  void send(std::string bytes, bool keep, bool read_pending);  // an answer made here
  void linger();
  void drain();
  void close();

  HttpSessionHost& host_;
  std::unique_ptr<Transport> transport_;
  HttpParser parser_;
  Phase phase_ = Phase::handshake;
  std::int64_t deadline_ms_ = 0;  // 0: none
  std::int64_t idle_since_ms_ = 0;
  std::size_t drained_ = 0;
  std::array<char, 16384> in_;
  std::string out_;  // of answers made here
  std::atomic<bool> cut_{false};

  std::mutex mutex_;  // guards written_: how the worker's write ended
  std::condition_variable written_changed_;
  enum class Written { pending, ok, failed } written_ = Written::ok;
};

}  // namespace assay::io
