#include "io/process.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

#include "base/assert.hpp"
#include "io/files.hpp"
#include "io/system_clock.hpp"
#include "io/unique_fd.hpp"

extern char** environ;

namespace assay::io {
namespace {

constexpr std::size_t kLineBytesMax = 1u << 20;

struct Pipe {
  UniqueFd read, write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return fail(Errc::unavailable, "cannot make a pipe: {}",
                std::generic_category().message(errno));
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<UniqueFd> open_output(ChildOptions::Output kind, const std::string& file) {
  if (kind != ChildOptions::Output::null && kind != ChildOptions::Output::file) return UniqueFd();
  const std::string path = kind == ChildOptions::Output::null ? "/dev/null" : file;
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!fd.valid()) return std::unexpected(errno_error(errno, "write", path));
  return fd;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (std::string& s : strings) out.push_back(s.data());
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> environment(const ChildOptions& options) {
  std::map<std::string, std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = std::min(text.find('='), text.size());
    all[std::string(text.substr(0, equals))] = text.substr(equals);
  }
  for (const auto& [name, value] : options.env) all[name] = "=" + value;
  std::vector<std::string> out;
  for (const auto& [name, value] : all) out.push_back(name + value);
  return out;
}

// Between fork and exec: async-signal-safe calls only, since other threads may hold any lock.
[[noreturn]] void become(char** argv, char** env, int out, int err, int report, pid_t parent) {
  const auto give_up = [&] {
    const int error = errno;
    if (::write(report, &error, sizeof error) < 0) ::_exit(126);
    ::_exit(127);
  };
  ::setpgid(0, 0);
  // stdin first: a descriptor of ours may sit on 0..2 if the parent was started without them.
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || ::dup2(null, 0) < 0) give_up();
  if (out >= 0 && ::dup2(out, 1) < 0) give_up();
  if (err >= 0 && ::dup2(err, 2) < 0) give_up();
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up();
  if (::getppid() != parent) ::_exit(127);  // it died before prctl
  for (const int number : {SIGINT, SIGTERM, SIGPIPE, SIGCHLD}) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execvpe(argv[0], argv, env);
  give_up();
  ::_exit(127);
}

}  // namespace

Result<ChildProcess> ChildProcess::spawn(const std::vector<std::string>& argv,
                                         const ChildOptions& options) {
  ASSAY_ASSERT(!argv.empty() && options.err != ChildOptions::Output::pipe);
  TRY(Pipe report, make_pipe());
  Pipe out_pipe;
  if (options.out == ChildOptions::Output::pipe) {
    TRY(out_pipe, make_pipe());
  }
  TRY(const UniqueFd out, open_output(options.out, options.out_file));
  TRY(const UniqueFd err, open_output(options.err, options.err_file));
  const int out_fd = out_pipe.write.valid() ? out_pipe.write.get() : out.get();

  std::vector<std::string> arguments = argv, env = environment(options);
  const std::vector<char*> argv_pointers = pointers(arguments), env_pointers = pointers(env);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0)
    return fail(Errc::unavailable, "cannot start {}: {}", argv[0],
                std::generic_category().message(errno));
  if (pid == 0)
    become(const_cast<char**>(argv_pointers.data()), const_cast<char**>(env_pointers.data()),
           out_fd, err.get(), report.write.get(), parent);
  ::setpgid(pid, pid);  // in both, so that it is done whoever comes first
  report.write.reset();
  ChildProcess child(pid, out_pipe.read.release(), argv[0]);
  // exec closes the pipe; otherwise the child's errno comes through it.
  int error = 0;
  ssize_t n = 0;
  do n = ::read(report.read.get(), &error, sizeof error);
  while (n < 0 && errno == EINTR);
  if (n == sizeof error) {
    child.wait();
    return fail(error == ENOENT ? Errc::not_found : Errc::io, "cannot start {}: {}", argv[0],
                error == ENOENT ? "no such file" : std::generic_category().message(error));
  }
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      out_fd_(std::exchange(other.out_fd_, -1)),
      name_(std::move(other.name_)),
      buffer_(std::move(other.buffer_)),
      ended_(other.ended_) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(out_fd_, other.out_fd_);
  std::swap(name_, other.name_);
  std::swap(buffer_, other.buffer_);
  std::swap(ended_, other.ended_);
  return *this;
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0 && !ended_) kill9();
  if (out_fd_ >= 0) ::close(out_fd_);
}

void ChildProcess::reap(int options) {
  // Moved from: nobody's parent, and -1 names strangers to waitpid and kill.
  if (pid_ <= 0 && !ended_) ended_ = ExitStatus{127, 0};
  if (ended_) return;
  int status = 0;
  pid_t got = 0;
  do got = ::waitpid(pid_, &status, options);
  while (got < 0 && errno == EINTR);
  if (got == 0) return;
  ExitStatus out{127, 0};  // somebody else reaped it (SIGCHLD ignored): nothing is known
  if (got == pid_ && WIFEXITED(status)) out = {WEXITSTATUS(status), 0};
  if (got == pid_ && WIFSIGNALED(status)) out = {128 + WTERMSIG(status), WTERMSIG(status)};
  ended_ = out;
}

bool ChildProcess::running() {
  reap(WNOHANG);
  return !ended_;
}

std::optional<ExitStatus> ChildProcess::status() {
  reap(WNOHANG);
  return ended_;
}

ExitStatus ChildProcess::wait() {
  reap(0);
  return *ended_;
}

std::optional<ExitStatus> ChildProcess::wait_for(std::int64_t timeout_ms) {
  const std::int64_t end = steady_ms() + timeout_ms;
  while (running() && steady_ms() < end) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return ended_;
}

void ChildProcess::signal(int number) {
  // Not after it was reaped: the number may belong to a stranger then.
  if (running()) ::kill(-pid_, number);
}

ExitStatus ChildProcess::terminate(std::int64_t grace_ms) {
  signal(SIGTERM);
  if (const auto ended = wait_for(grace_ms)) return *ended;
  return kill9();
}

ExitStatus ChildProcess::kill9() {
  signal(SIGKILL);
  return wait();
}

Result<std::string> ChildProcess::read_line(std::int64_t timeout_ms) {
  ASSAY_ASSERT(out_fd_ >= 0);
  const std::int64_t end = steady_ms() + timeout_ms;
  for (;;) {
    if (const std::size_t line_end = buffer_.find('\n'); line_end != std::string::npos) {
      std::string line = buffer_.substr(0, line_end);
      buffer_.erase(0, line_end + 1);
      return line;
    }
    if (buffer_.size() > kLineBytesMax)
      return fail(Errc::invalid, "{} printed a line of over {} bytes", name_, kLineBytesMax);
    const std::int64_t left = end - steady_ms();
    if (left <= 0)
      return fail(Errc::unavailable, "{} printed no line within {} ms", name_, timeout_ms);
    pollfd watch{out_fd_, POLLIN, 0};
    if (::poll(&watch, 1, static_cast<int>(std::min<std::int64_t>(left, 1'000'000))) <= 0) continue;
    char chunk[4096];
    const ssize_t n = ::read(out_fd_, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(Errc::unavailable, "{} ended before it printed a line", name_);
    buffer_.append(chunk, static_cast<std::size_t>(n));
  }
}

std::string self_executable() {
  char path[4096];
  const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  return n > 0 ? std::string(path, static_cast<std::size_t>(n)) : std::string();
}

void allow_many_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);  // what cannot be raised stays: accept() says so when it ends
}

}  // namespace assay::io
