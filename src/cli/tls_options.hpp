// --tls, --plain-http, --tls-cert FILE and --tls-key FILE of services that strangers speak to.
#pragma once
#include "io/server_tls.hpp"

namespace CLI {
class App;
}

namespace assay::cli {

void add_tls_options(CLI::App* verb, io::TlsOptions& options);

}  // namespace assay::cli
