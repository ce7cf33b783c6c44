#include "io/http_server.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <unordered_map>

#include "base/assert.hpp"
#include "io/http_acceptor.hpp"
#include "io/http_session.hpp"
#include "io/system_clock.hpp"
#include "io/worker_threads.hpp"

namespace assay::io {

namespace {
constexpr unsigned kSpareThreads = 4;
}

struct HttpServer::Impl : HttpSessionHost {
  Impl(HttpServerOptions o, HttpHandler h, std::unique_ptr<HttpAcceptor> a)
      : settings(std::move(o)),
        handler(std::move(h)),
        acceptor(std::move(a)),
        port(acceptor->port()),
        workers(std::max(1u, settings.threads)) {}

  const HttpServerOptions settings;
  const HttpHandler handler;
  std::unique_ptr<HttpAcceptor> acceptor;
  const std::uint16_t port;
  WorkerThreads workers, spares{kSpareThreads};
  std::atomic<bool> is_stopping{false};
  std::unordered_map<HttpSession*, std::shared_ptr<HttpSession>> sessions;  // I/O thread only

  std::mutex mutex;  // guards the rest
  std::condition_variable drained;
  std::size_t open_sessions = 0;
  bool stopped = false;

  void post(std::function<void()> job) override { acceptor->post(std::move(job)); }
  bool try_run(const HttpRequest& request, std::function<void()> job) override {
    if (workers.try_run(job)) return true;
    const bool reads = request.method == "GET" || request.method == "HEAD";
    return reads &&
           std::ranges::find(settings.spared_paths, request.path) != settings.spared_paths.end() &&
           spares.try_run(std::move(job));
  }
  void handle(HttpRequest& request, HttpResponse& response) override { handler(request, response); }
  bool stopping() const override { return is_stopping; }
  const HttpServerOptions& options() const override { return settings; }

  void closed(HttpSession* session) override {
    sessions.erase(session);
    count_sessions();
  }

  void count_sessions() {
    const std::scoped_lock lock(mutex);
    open_sessions = sessions.size();
    if (open_sessions == 0) drained.notify_all();
  }

  // Makes room by closing the connection that has been idle longest.
  bool evict_idle() {
    HttpSession* oldest = nullptr;
    for (const auto& [session, owner] : sessions)
      if (session->idle() &&
          (oldest == nullptr || session->idle_since_ms() < oldest->idle_since_ms()))
        oldest = session;
    if (oldest != nullptr) oldest->cut();
    return oldest != nullptr;
  }

  void accepted(std::unique_ptr<Transport> transport) {
    if (is_stopping) return;
    // Above the limit the connection is dropped at once: writing it a 503 would cost what is short.
    if (sessions.size() >= settings.max_connections && !evict_idle()) return;
    auto session = std::make_shared<HttpSession>(*this, std::move(transport));
    sessions.emplace(session.get(), session);
    count_sessions();
    session->start();
  }

  template <class Wanted>
  void cut_where(Wanted wanted) {
    // cut() only shuts the socket; sessions leave the map later, when their operations end.
    for (const auto& [session, owner] : sessions)
      if (wanted(*session)) session->cut();
  }

  bool wait_drained(std::int64_t timeout_ms) {
    std::unique_lock lock(mutex);
    return drained.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                            [this] { return open_sessions == 0; });
  }
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() { stop(); }

Result<std::unique_ptr<HttpServer>> HttpServer::start(const HttpServerOptions& options,
                                                      HttpHandler handler) {
  ASSAY_ASSERT(handler);
  TRY(auto acceptor, HttpAcceptor::listen(options));
  auto impl = std::make_unique<Impl>(options, std::move(handler), std::move(acceptor));
  Impl* const p = impl.get();
  p->acceptor->run({[p](std::unique_ptr<Transport> t) { p->accepted(std::move(t)); },
                    [p] {
                      const std::int64_t now = steady_ms();
                      // sweep may close a session, which removes it from the map.
                      std::vector<std::shared_ptr<HttpSession>> all;
                      for (const auto& [session, owner] : p->sessions) all.push_back(owner);
                      for (const auto& session : all) session->sweep(now);
                    }});
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

std::uint16_t HttpServer::port() const { return impl_->port; }

std::string HttpServer::url() const {
  const std::string& address = impl_->settings.address;
  const bool v6 = address.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}",
                     impl_->settings.tls_cert_file.empty() && impl_->settings.tls_cert_pem.empty()
                         ? "http"
                         : "https",
                     v6 ? "[" : "", address, v6 ? "]" : "", port());
}

void HttpServer::stop() {
  Impl& impl = *impl_;
  {
    const std::scoped_lock lock(impl.mutex);
    if (std::exchange(impl.stopped, true)) return;
  }
  impl.is_stopping = true;
  impl.post([&impl] {
    impl.acceptor->stop_accepting();
    impl.cut_where([](const HttpSession& s) { return s.idle(); });
  });
  // Sessions close themselves after the running response, since they see stopping().
  if (!impl.wait_drained(impl.settings.stop_grace_ms))
    impl.post([&impl] { impl.cut_where([](const HttpSession&) { return true; }); });
  while (!impl.wait_drained(60'000)) {
  }
  impl.acceptor->join();
}

}  // namespace assay::io
