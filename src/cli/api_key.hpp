// The API key a verb shows a gateway: from --api-key-file, or $ASSAY_API_KEY. Never an argument,
// which other users of the machine can read.
#pragma once
#include <string>

#include "io/http_client.hpp"

namespace CLI {
class App;
}

namespace assay::cli {

struct ApiKeyOptions {
  std::string file;
};
void add_api_key_options(CLI::App* verb, ApiKeyOptions& options);
// "Authorization: Bearer …", or nothing where no key was given. Errors: an unreadable or empty
// file.
Result<io::HttpClient::Headers> authorization(const ApiKeyOptions& options);

}  // namespace assay::cli
