#include "cli/tls_options.hpp"

#include <CLI/CLI.hpp>

namespace assay::cli {

void add_tls_options(CLI::App* verb, io::TlsOptions& options) {
  using Mode = io::TlsOptions::Mode;
  auto* cert = verb->add_option(
      "--tls-cert", options.cert_file,
      "PEM certificate to show (default: one of its own, which buyers know by its key)");
  auto* key = verb->add_option("--tls-key", options.key_file, "PEM key of --tls-cert");
  cert->needs(key);
  key->needs(cert);
  auto* on = verb->add_flag_callback(
      "--tls", [&options] { options.mode = Mode::on; }, "TLS on a loopback address as well");
  auto* off = verb->add_flag_callback(
      "--plain-http", [&options] { options.mode = Mode::off; },
      "no TLS though others can connect: behind a proxy that has it");
  on->excludes(off);
}

}  // namespace assay::cli
