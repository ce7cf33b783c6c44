#include "cli/api_key.hpp"

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "io/files.hpp"

namespace assay::cli {

void add_api_key_options(CLI::App* verb, ApiKeyOptions& options) {
  verb->add_option("--api-key-file", options.file,
                   "file whose first line is the gateway's API key (default: $ASSAY_API_KEY)");
}

Result<io::HttpClient::Headers> authorization(const ApiKeyOptions& options) {
  std::string key;
  if (!options.file.empty()) {
    TRY(const std::string text, io::read_file(options.file, 4096));
    key = text.substr(0, text.find_first_of("\r\n"));
    if (key.empty()) return fail(Errc::invalid, "the first line of {} is no key", options.file);
  } else if (const char* value = std::getenv("ASSAY_API_KEY")) {
    key = value;
  }
  if (key.empty()) return io::HttpClient::Headers{};
  return io::HttpClient::Headers{{"Authorization", "Bearer " + key}};
}

}  // namespace assay::cli
