// Child processes of this program. A child dies with its parent (PR_SET_PDEATHSIG) and has a
// process group of its own, so that Ctrl-C in the terminal reaches the parent only, which then ends
// its children in the order it wants.
//
// PR_SET_PDEATHSIG follows the *thread* that spawned: spawn from a thread that lives as long as the
// child should (the main thread).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace assay::io {

struct ChildOptions {
  std::vector<std::pair<std::string, std::string>> env;  // added to this process's environment
  enum class Output { inherit, null, pipe, file };
  Output out = Output::inherit;
  Output err = Output::inherit;    // pipe is for stdout only
  std::string out_file, err_file;  // appended to; the same name is fine for both
};

struct ExitStatus {
  int code = 0;    // exit code, or 128 + signal as shells say
  int signal = 0;  // 0: it exited by itself
};

class ChildProcess {
 public:
  // argv[0] is a path, or a name looked up in PATH. "cannot start X: no such file" is an error
  // here, not an exit code later.
  static Result<ChildProcess> spawn(const std::vector<std::string>& argv,
                                    const ChildOptions& options = {});
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();  // kill9 and wait, unless it has ended

  pid_t pid() const { return pid_; }
  bool running();                      // reaps it when it has ended
  std::optional<ExitStatus> status();  // once ended

  ExitStatus wait();
  std::optional<ExitStatus> wait_for(std::int64_t timeout_ms);
  // SIGTERM to its group, up to grace_ms, then SIGKILL.
  ExitStatus terminate(std::int64_t grace_ms);
  ExitStatus kill9();  // SIGKILL to its group, at once
  void signal(int number);

  // The next line of its stdout (Output::pipe) without the line break. Errc::unavailable after
  // timeout_ms, "… ended before …" when the child closed its stdout.
  Result<std::string> read_line(std::int64_t timeout_ms);

 private:
  ChildProcess(pid_t pid, int out_fd, std::string name)
      : pid_(pid), out_fd_(out_fd), name_(std::move(name)) {}
  void reap(int options);

  pid_t pid_ = -1;
  int out_fd_ = -1;
  std::string name_, buffer_;
  std::optional<ExitStatus> ended_;
};

// The path of the running program, for starting more of it.
std::string self_executable();

// Raises this process's limit on open files to the most it may have: a stream is a connection on
// each side, and the usual 1024 is for select(), which nothing here uses. Children inherit it.
void allow_many_files();

}  // namespace assay::io
