#include "cli/signing_key.hpp"

#include <CLI/CLI.hpp>

#include "io/files.hpp"
#include "io/random.hpp"

namespace assay::cli {
namespace {

constexpr std::size_t kFileBytesMax = 64 << 10;
constexpr const char* kPublicPassphrase = "insecure-dev-key";

Result<crypto::SecretKey> open_file(const std::string& file, const std::string& passphrase) {
  TRY(const std::string text, io::read_file(file, kFileBytesMax));
  auto key = crypto::keystore_decrypt(text, passphrase);
  if (!key) return fail_in(file, key.error());
  return key;
}

Result<crypto::SecretKey> make_file(const std::string& file, const std::string& passphrase,
                                    crypto::ScryptCost cost) {
  if (passphrase.empty()) return fail(Errc::invalid, "the passphrase is empty: choose another");
  TRY(const crypto::SecretKey key, crypto::secret_key(io::random_hash()));
  crypto::KeystoreRandom random;
  io::random_bytes(random.salt);
  io::random_bytes(random.iv);
  io::random_bytes(random.uuid);
  TRY(const std::string text, crypto::keystore_encrypt(key, passphrase, random, cost));
  CHECK_OK(io::write_file_atomic(file, view(text), 0600));
  return key;
}

}  // namespace

CLI::Option* add_key_options(CLI::App* verb, KeyOptions& options, const std::string& whose) {
  auto* key = verb->add_option("--key", options.file, whose + " (keystore; `assay keys new`)");
  add_passphrase_options(verb, options.passphrase);
  return key;
}

Result<crypto::SecretKey> load_key(const KeyOptions& options) {
  if (!io::path_exists(options.file))
    return fail(Errc::not_found, "no such key file: {} (make one with `assay keys new --out {}`)",
                options.file, options.file);
  TRY(const std::string passphrase,
      read_passphrase(options.passphrase, "Passphrase of " + options.file, false));
  return open_file(options.file, passphrase);
}

Result<crypto::SecretKey> load_or_make_key(const KeyOptions& options) {
  if (io::path_exists(options.file)) return load_key(options);
  TRY(const std::string passphrase,
      read_passphrase(options.passphrase, "Passphrase for the new key " + options.file, true));
  return make_file(options.file, passphrase, {});
}

Result<crypto::SecretKey> load_or_make_dev_key(const std::string& file) {
  constexpr crypto::ScryptCost kCheap{.n = 1 << 10, .r = 8, .p = 1};
  if (io::path_exists(file)) return open_file(file, kPublicPassphrase);
  return make_file(file, kPublicPassphrase, kCheap);
}

}  // namespace assay::cli
