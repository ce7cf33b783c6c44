// Where a passphrase comes from, in this order: --passphrase-file, the environment variable
// ASSAY_PASSPHRASE, the terminal without echo.
#pragma once
#include <string>

#include "base/result.hpp"

namespace CLI {
class App;
}

namespace assay::cli {

struct PassphraseOptions {
  std::string file;
};
void add_passphrase_options(CLI::App* verb, PassphraseOptions& options);

// True when one is at hand without asking.
bool passphrase_given(const PassphraseOptions& options);

// The file's first line, the variable, or what the user types; asked twice with `confirm`. Errors:
// unavailable when there is no terminal to ask on, cancelled by Ctrl-C, mismatch when the two
// differ, io for the file.
Result<std::string> read_passphrase(const PassphraseOptions& options, const std::string& prompt,
                                    bool confirm);

}  // namespace assay::cli
