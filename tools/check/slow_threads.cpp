// Preloaded, it lets some of a program's threads sleep at random after they woke, started or wrote
// to somebody, as a busy machine does: what a test or a service takes for granted about who comes
// first then fails here and not on somebody else's machine. Environment: SLOW_SEED,
// SLOW_MICROSECONDS (the longest sleep).
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

// Of 65536 calls of a kind how many are followed by a sleep, in a slow thread.
constexpr std::uint64_t kUnlocked = 16, kWoken = 3200, kStarted = 8000, kWritten = 800;

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::strtoull(value, nullptr, 10) : otherwise;
}

// Which threads are slow is drawn for each: a third never sleeps, a third four times as often.
struct Thread {
  std::uint64_t state = (setting("SLOW_SEED", 1) + 1) * 0x9e3779b97f4a7c15 ^
                        static_cast<std::uint64_t>(syscall(SYS_gettid)) * 0xbf58476d1ce4e5b9;
  std::uint64_t times = draw() % 3 == 0 ? 0 : draw() % 2 == 0 ? 1 : 4;

  std::uint64_t draw() {  // splitmix64
    std::uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
};

void perhaps_sleep(std::uint64_t chance) {
  thread_local Thread thread;
  if (thread.draw() % 65536 >= chance * thread.times) return;
  static const std::uint64_t longest = setting("SLOW_MICROSECONDS", 20'000);
  const std::uint64_t us = thread.draw() % (longest + 1);
  const timespec rest{static_cast<time_t>(us / 1'000'000),
                      static_cast<long>(us % 1'000'000) * 1000};
  nanosleep(&rest, nullptr);
}

template <typename F>
F next(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

struct Start {
  void* (*function)(void*);
  void* argument;
};

void* begin(void* opaque) {
  const Start start = *static_cast<Start*>(opaque);
  delete static_cast<Start*>(opaque);
  perhaps_sleep(kStarted);
  return start.function(start.argument);
}

}  // namespace

extern "C" {

int pthread_mutex_unlock(pthread_mutex_t* mutex) {
  static const auto real = next<int (*)(pthread_mutex_t*)>("pthread_mutex_unlock");
  const int result = real(mutex);
  perhaps_sleep(kUnlocked);
  return result;
}

int pthread_cond_signal(pthread_cond_t* condition) {
  static const auto real = next<int (*)(pthread_cond_t*)>("pthread_cond_signal");
  const int result = real(condition);
  perhaps_sleep(kWoken);
  return result;
}

int pthread_cond_broadcast(pthread_cond_t* condition) {
  static const auto real = next<int (*)(pthread_cond_t*)>("pthread_cond_broadcast");
  const int result = real(condition);
  perhaps_sleep(kWoken);
  return result;
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*function)(void*),
                   void* argument) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto real = next<Create>("pthread_create");
  auto* start = new Start{function, argument};
  const int result = real(thread, attributes, begin, start);
  if (result != 0) delete start;
  perhaps_sleep(kStarted);
  return result;
}

ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t, int)>("send");
  const ssize_t result = real(fd, bytes, size, flags);
  const int error = errno;
  perhaps_sleep(kWritten);
  errno = error;
  return result;
}

ssize_t write(int fd, const void* bytes, size_t size) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
  const ssize_t result = real(fd, bytes, size);
  const int error = errno;
  perhaps_sleep(kWritten);
  errno = error;
  return result;
}
}
