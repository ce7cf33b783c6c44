#include "cli/cli.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

#include "base/assert.hpp"

namespace assay::cli {
namespace {

std::string coloured(std::string_view text, int code) {
  const char* no_color = std::getenv("NO_COLOR");
  const bool plain = !stdout_is_terminal() || (no_color != nullptr && *no_color != '\0');
  return plain ? std::string(text) : fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

}  // namespace

bool stdout_is_terminal() { return isatty(STDOUT_FILENO) != 0; }
bool stderr_is_terminal() { return isatty(STDERR_FILENO) != 0; }
std::string bold(std::string_view text) { return coloured(text, 1); }
std::string dim(std::string_view text) { return coloured(text, 2); }
std::string green(std::string_view text) { return coloured(text, 32); }
std::string red(std::string_view text) { return coloured(text, 31); }

CLI::App* Context::verb(CLI::App& parent, const std::string& name, const std::string& purpose,
                        const std::string& example) {
  CLI::App* out = parent.add_subcommand(name, purpose);
  out->footer("Example:\n  " + example);
  return out;
}

void Context::json_flag(CLI::App* verb) {
  verb->add_flag("--json", json_, "print one JSON document, for machines");
}

void Context::on_run(CLI::App* verb, Action action) {
  // A verb is run after the verbs within it: what the innermost one named sets stands.
  verb->final_callback([this, action = std::move(action)] {
    if (!action_) action_ = action;
  });
}

void Context::print(const json::value& document) const {
  const std::string text =
      stdout_is_terminal() ? json::dump_pretty(document) : json::dump(document);
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
}

int Context::run() {
  ASSAY_ASSERT(action_ != nullptr);
  const Result<int> result = action_();
  if (!result) return report(result.error(), kFailed);
  // A full disk or closed pipe must not look like success.
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    return report({Errc::io, "cannot write the output: is the disk full or the pipe closed?"},
                  kFailed);
  return *result;
}

int Context::report(const Error& error, int exit_code) const {
  if (json_) {
    print(json::object{{"error", {{"code", to_string(error.code)}, {"message", error.message}}}});
  } else {
    std::fflush(stdout);
    fmt::print(stderr, "assay: {}\n", error.message);
  }
  std::fflush(stdout);
  return exit_code;
}

}  // namespace assay::cli
