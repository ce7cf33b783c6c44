#include "io/process.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "base/json.hpp"
#include "io/files.hpp"
#include "io/signals.hpp"
#include "io/system_clock.hpp"

namespace assay::io {
namespace {

ChildOptions piped() {
  ChildOptions options;
  options.out = ChildOptions::Output::pipe;
  return options;
}

// A zombie whose new parent has not looked yet counts as dead.
bool alive(pid_t pid) {
  const auto stat = read_file(fmt::format("/proc/{}/stat", pid));
  if (!stat) return false;
  const std::size_t name_end = stat->rfind(')');
  return name_end != std::string::npos && stat->substr(name_end + 2, 1) != "Z";
}

bool dies(pid_t pid, std::int64_t within_ms) {
  const std::int64_t end = steady_ms() + within_ms;
  while (alive(pid) && steady_ms() < end) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return !alive(pid);
}

TEST(ChildProcess, ExitCodesAndSignals) {
  auto zero = ChildProcess::spawn({"true"});
  ASSERT_TRUE(zero) << zero.error().message;
  EXPECT_EQ(zero->wait().code, 0);
  auto seven = ChildProcess::spawn({"/bin/sh", "-c", "exit 7"});
  ASSERT_TRUE(seven);
  EXPECT_EQ(seven->wait().code, 7);
  EXPECT_EQ(seven->status()->code, 7);
  auto killed = ChildProcess::spawn({"sleep", "60"});
  ASSERT_TRUE(killed);
  EXPECT_TRUE(killed->running());
  EXPECT_FALSE(killed->wait_for(20));
  const ExitStatus status = killed->kill9();
  EXPECT_EQ(status.signal, SIGKILL);
  EXPECT_EQ(status.code, 137);
  EXPECT_FALSE(killed->running());
}

TEST(ChildProcess, MissingProgramIsAnError) {
  const auto child = ChildProcess::spawn({"/no/such/program"});
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().code, Errc::not_found);
  EXPECT_EQ(child.error().message, "cannot start /no/such/program: no such file");
  EXPECT_EQ(ChildProcess::spawn({"/tmp"}).error().code, Errc::io);
}

TEST(ChildProcess, ReadsLinesOfItsOutput) {
  auto child =
      ChildProcess::spawn({"/bin/sh", "-c", "echo ready $ASSAY_TEST_X; echo two; sleep 60"}, [] {
        ChildOptions options = piped();
        options.env = {{"ASSAY_TEST_X", "8080"}};
        return options;
      }());
  ASSERT_TRUE(child);
  EXPECT_EQ(*child->read_line(5000), "ready 8080");
  EXPECT_EQ(*child->read_line(5000), "two");
  const auto late = child->read_line(50);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().message, "/bin/sh printed no line within 50 ms");
  child->kill9();
  EXPECT_EQ(child->read_line(5000).error().message, "/bin/sh ended before it printed a line");
}

TEST(ChildProcess, OutputToAFile) {
  const auto dir = TempDirectory::create("assay-process-test");
  ASSERT_TRUE(dir);
  ChildOptions options;
  options.out = options.err = ChildOptions::Output::file;
  options.out_file = options.err_file = dir->file("log");
  auto child = ChildProcess::spawn({"/bin/sh", "-c", "echo out; echo err >&2"}, options);
  ASSERT_TRUE(child);
  EXPECT_EQ(child->wait().code, 0);
  EXPECT_EQ(*read_file(dir->file("log")), "out\nerr\n");
}

TEST(ChildProcess, TerminateIsGentleFirst) {
  auto gentle = ChildProcess::spawn(
      {"/bin/sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done"}, piped());
  ASSERT_TRUE(gentle);
  ASSERT_TRUE(gentle->read_line(5000));
  EXPECT_EQ(gentle->terminate(5000).code, 3);
  auto stubborn = ChildProcess::spawn(
      {"/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done"}, piped());
  ASSERT_TRUE(stubborn);
  ASSERT_TRUE(stubborn->read_line(5000));
  EXPECT_EQ(stubborn->terminate(100).signal, SIGKILL);
}

TEST(ChildProcess, WhatWasMovedFromIsNobodysParent) {
  auto child = ChildProcess::spawn({"sleep", "60"});
  ASSERT_TRUE(child);
  ChildProcess other = std::move(*child);
  EXPECT_FALSE(child->running());
  child->terminate(10);
  EXPECT_TRUE(other.running());
  EXPECT_EQ(other.terminate(5000).signal, SIGTERM);
}

TEST(ChildProcess, DestructionKillsTheWholeGroup) {
  pid_t grandchild = 0;
  {
    auto child = ChildProcess::spawn({"/bin/sh", "-c", "sleep 60 & echo $!; wait"}, piped());
    ASSERT_TRUE(child);
    EXPECT_EQ(::getpgid(child->pid()), child->pid());
    grandchild = static_cast<pid_t>(*json::parse_i64(*child->read_line(5000)));
    ASSERT_TRUE(alive(grandchild));
  }
  EXPECT_TRUE(dies(grandchild, 5000));
}

TEST(ChildProcess, DiesWithItsParent) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t parent = ::fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    auto child = ChildProcess::spawn({"sleep", "60"});
    const pid_t pid = child ? child->pid() : -1;
    if (::write(ends[1], &pid, sizeof pid) != sizeof pid) ::_exit(1);
    for (;;) ::pause();
  }
  pid_t child = -1;
  ASSERT_EQ(::read(ends[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
  ASSERT_GT(child, 0);
  EXPECT_TRUE(alive(child));
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  EXPECT_TRUE(dies(child, 5000));
  ::close(ends[0]);
  ::close(ends[1]);
}

// Runs body in a fork whose exit code the caller reads; signals never touch the test program.
int in_child(int (*body)()) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(StopSignal, LatchesAndASecondOneEnds) {
  EXPECT_EQ(in_child([] {
              const StopSignal stop;
              if (stop.requested() || stop.wait(10)) return 1;
              ::raise(SIGPIPE);
              ::raise(SIGTERM);
              if (!stop.requested() || !stop.wait(1000) || !stop.wait()) return 2;
              ::raise(SIGINT);
              return 3;  // not reached
            }),
            128 + SIGINT);
}

TEST(StopSignal, WakesAWaiterAndRestoresHandlers) {
  EXPECT_EQ(in_child([] {
              {
                const StopSignal stop;
                std::thread([] {
                  std::this_thread::sleep_for(std::chrono::milliseconds(30));
                  ::kill(::getpid(), SIGINT);
                }).detach();
                const std::int64_t start = steady_ms();
                if (!stop.wait(5000) || steady_ms() - start > 4000) return 1;
              }
              {
                StopSignal again;
                if (again.requested()) return 2;
                again.request();
                if (!again.requested()) return 3;
              }
              ::raise(SIGTERM);
              return 4;  // the default action ends it before
            }),
            1000 + SIGTERM);
}

TEST(SelfExecutable, IsThisTest) {
  EXPECT_NE(self_executable().find("assay_io_test"), std::string::npos);
}

}  // namespace
}  // namespace assay::io
