#include "io/signals.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.hpp"
#include "io/system_clock.hpp"

namespace assay::io {
namespace {

// A signal handler can reach nothing but globals.
std::atomic<int> g_event_fd{-1};
std::atomic<int> g_count{0};
struct sigaction g_old_int, g_old_term, g_old_pipe;

static_assert(std::atomic<int>::is_always_lock_free, "used in a signal handler");

void latch() {
  const int saved = errno;
  const std::uint64_t one = 1;
  if (::write(g_event_fd.load(), &one, sizeof one) < 0) {
    // The counter is already set: the latch holds.
  }
  errno = saved;
}

extern "C" void assay_on_stop_signal(int number) {
  if (g_count.fetch_add(1) > 0) ::_exit(128 + number);
  latch();
}

}  // namespace

StopSignal::StopSignal() {
  ASSAY_ASSERT(g_event_fd == -1);
  g_count = 0;
  g_event_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  ASSAY_ASSERT(g_event_fd >= 0);
  struct sigaction action{};
  action.sa_handler = assay_on_stop_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &g_old_int);
  ::sigaction(SIGTERM, &action, &g_old_term);
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &action, &g_old_pipe);
}

StopSignal::~StopSignal() {
  ::sigaction(SIGINT, &g_old_int, nullptr);
  ::sigaction(SIGTERM, &g_old_term, nullptr);
  ::sigaction(SIGPIPE, &g_old_pipe, nullptr);
  ::close(g_event_fd.exchange(-1));
}

bool StopSignal::requested() const { return wait(0); }

bool StopSignal::wait(std::int64_t timeout_ms) const {
  const std::int64_t end = steady_ms() + timeout_ms;
  for (;;) {
    pollfd watch{g_event_fd, POLLIN, 0};
    const std::int64_t left = timeout_ms < 0 ? -1 : std::max<std::int64_t>(0, end - steady_ms());
    const int ready = ::poll(&watch, 1, static_cast<int>(std::min<std::int64_t>(left, 3'600'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
    if (timeout_ms >= 0 && steady_ms() >= end) return false;
  }
}

void StopSignal::request() { latch(); }

}  // namespace assay::io
