// The key a verb signs with: a keystore file and its passphrase.
#pragma once
#include "cli/passphrase.hpp"
#include "crypto/keystore.hpp"

namespace CLI {
class Option;
}

namespace assay::cli {

struct KeyOptions {
  std::string file;
  PassphraseOptions passphrase;
};
// --key FILE and --passphrase-file FILE.
CLI::Option* add_key_options(CLI::App* verb, KeyOptions& options, const std::string& whose);

// Errors: no such file, wrong passphrase (each one line that says what to do).
Result<crypto::SecretKey> load_key(const KeyOptions& options);
// The same; a file that is missing is made, with a new random key under the same passphrase.
Result<crypto::SecretKey> load_or_make_key(const KeyOptions& options);
// For throw-away markets: the file's passphrase is public, so the file is the key.
Result<crypto::SecretKey> load_or_make_dev_key(const std::string& file);

}  // namespace assay::cli
