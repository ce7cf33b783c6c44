#include "cli/passphrase.hpp"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "io/files.hpp"
#include "io/unique_fd.hpp"

namespace assay::cli {
namespace {

constexpr const char* kVariable = "ASSAY_PASSPHRASE";

// Character by character, so that Ctrl-C is a value and the terminal is always put back.
class NoEcho {
 public:
  explicit NoEcho(int fd) : fd_(fd), ok_(tcgetattr(fd, &saved_) == 0) {
    termios quiet = saved_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON | ISIG);
    quiet.c_cc[VMIN] = 1;
    quiet.c_cc[VTIME] = 0;
    ok_ = ok_ && tcsetattr(fd, TCSAFLUSH, &quiet) == 0;
  }
  ~NoEcho() {
    if (ok_) tcsetattr(fd_, TCSAFLUSH, &saved_);
  }
  NoEcho(const NoEcho&) = delete;
  NoEcho& operator=(const NoEcho&) = delete;
  bool ok() const { return ok_; }

 private:
  int fd_;
  termios saved_{};
  bool ok_;
};

void erase_last_character(std::string& text) {
  // A UTF-8 character: its continuation bytes, then its first.
  while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80) text.pop_back();
  if (!text.empty()) text.pop_back();
}

Result<std::string> ask(int terminal, const std::string& prompt) {
  const NoEcho quiet(terminal);
  if (!quiet.ok()) return fail(Errc::unavailable, "cannot switch off the terminal's echo");
  const auto say = [&](std::string_view text) {
    return write(terminal, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  };
  if (!say(prompt + ": ")) return fail(Errc::io, "cannot write to the terminal");
  constexpr char kCtrlC = 3, kCtrlD = 4, kBackspace = 8, kDelete = 127;
  std::string out;
  for (char c = 0; read(terminal, &c, 1) == 1;) {
    if (c == '\n' || c == '\r' || c == kCtrlD) {
      if (!say("\n")) return fail(Errc::io, "cannot write to the terminal");
      return out;
    }
    if (c == kCtrlC) break;
    if (c == kBackspace || c == kDelete)
      erase_last_character(out);
    else
      out.push_back(c);
  }
  static_cast<void>(say("\n"));
  return fail(Errc::cancelled, "cancelled: no passphrase was entered");
}

}  // namespace

void add_passphrase_options(CLI::App* verb, PassphraseOptions& options) {
  verb->add_option("--passphrase-file", options.file,
                   "file whose first line is the passphrase (default: $ASSAY_PASSPHRASE, then a "
                   "prompt)");
}

bool passphrase_given(const PassphraseOptions& options) {
  return !options.file.empty() || std::getenv(kVariable) != nullptr;
}

Result<std::string> read_passphrase(const PassphraseOptions& options, const std::string& prompt,
                                    bool confirm) {
  if (!options.file.empty()) {
    TRY(const std::string text, io::read_file(options.file, 4096));
    return text.substr(0, text.find_first_of("\r\n"));
  }
  if (const char* value = std::getenv(kVariable)) return std::string(value);
  const io::UniqueFd terminal(open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.valid())
    return fail(Errc::unavailable,
                "no passphrase: give --passphrase-file FILE or set {} (there is no terminal to "
                "ask on)",
                kVariable);
  TRY(std::string first, ask(terminal.get(), prompt));
  if (!confirm) return first;
  TRY(const std::string second, ask(terminal.get(), prompt + " again"));
  if (first != second) return fail(Errc::mismatch, "the two passphrases differ: start again");
  return first;
}

}  // namespace assay::cli
