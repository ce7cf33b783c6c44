// assay keys new | import | show | list. A secret key leaves its file only inside the process that
// signs with it: no verb prints one.
#include <CLI/CLI.hpp>
#include <cctype>
#include <filesystem>
#include <memory>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "cli/passphrase.hpp"
#include "crypto/keystore.hpp"
#include "io/files.hpp"
#include "io/random.hpp"

namespace assay::cli {
namespace {

constexpr std::size_t kKeyFileBytesMax = 64 << 10;

struct KeysOptions {
  PassphraseOptions passphrase;
  std::string out, file, hex_file, keystore, directory;
  unsigned cost = 17;
};

Result<crypto::SecretKey> random_key() {
  for (;;) {
    const Hash bytes = io::random_hash();
    // All but one in 2^128 values are keys.
    if (auto key = crypto::secret_key(bytes)) return key;
  }
}

Result<int> store(const Context& context, const KeysOptions& options, const crypto::SecretKey& key,
                  const std::string& passphrase) {
  if (passphrase.empty()) return fail(Errc::invalid, "the passphrase is empty: choose another");
  const crypto::Address address = crypto::address_of(key);
  const std::string path = options.out.empty() ? to_hex(address.bytes) + ".json" : options.out;
  if (io::path_exists(path))
    return fail(Errc::conflict, "{} exists already: choose another file with --out", path);
  crypto::KeystoreRandom random;
  io::random_bytes(random.salt);
  io::random_bytes(random.iv);
  io::random_bytes(random.uuid);
  crypto::ScryptCost cost;
  cost.n = std::uint64_t{1} << options.cost;
  TRY(const std::string text, crypto::keystore_encrypt(key, passphrase, random, cost));
  CHECK_OK(io::write_file_atomic(path, view(text), 0600));
  if (context.json())
    context.print(json::object{{"address", address.to_string()}, {"file", path}});
  else
    fmt::print("address  {}\nfile     {}\n", address.to_string(), path);
  return kOk;
}

Result<int> run_new(const Context& context, const KeysOptions& options) {
  TRY(const std::string passphrase,
      read_passphrase(options.passphrase, "Passphrase for the new key", true));
  TRY(const crypto::SecretKey key, random_key());
  return store(context, options, key, passphrase);
}

std::string trimmed(std::string text) {
  const auto space = [](unsigned char c) { return std::isspace(c) != 0; };
  while (!text.empty() && space(text.back())) text.pop_back();
  return text;
}

Result<crypto::SecretKey> key_from_hex_file(const std::string& path) {
  TRY(const std::string text, io::read_file(path, kKeyFileBytesMax));
  crypto::SecretKey bytes;
  if (!from_hex(trimmed(text), bytes.bytes))
    return fail(Errc::invalid, "{} must contain a secret key of 64 hex digits and nothing else",
                path);
  auto key = crypto::secret_key(bytes.bytes);
  if (!key) return fail_in(path, key.error());
  return key;
}

Result<crypto::SecretKey> open_keystore(const std::string& path, const std::string& passphrase) {
  TRY(const std::string text, io::read_file(path, kKeyFileBytesMax));
  auto key = crypto::keystore_decrypt(text, passphrase);
  if (!key) return fail_in(path, key.error());
  return key;
}

Result<int> run_import(const Context& context, const KeysOptions& options) {
  if (!options.hex_file.empty()) {
    TRY(const crypto::SecretKey key, key_from_hex_file(options.hex_file));
    TRY(const std::string passphrase,
        read_passphrase(options.passphrase, "Passphrase for the new file", true));
    return store(context, options, key, passphrase);
  }
  TRY(const std::string passphrase,
      read_passphrase(options.passphrase, "Passphrase of " + options.keystore, false));
  TRY(const crypto::SecretKey key, open_keystore(options.keystore, passphrase));
  return store(context, options, key, passphrase);
}

// Without a passphrase the address is the file's own word, and so it is called.
Result<int> show_keys(const Context& context, const KeysOptions& options) {
  TRY(const std::string text, io::read_file(options.file, kKeyFileBytesMax));
  auto address = crypto::keystore_address(text);
  const bool checked = passphrase_given(options.passphrase);
  if (checked) {
    TRY(const std::string passphrase, read_passphrase(options.passphrase, "Passphrase", false));
    TRY(const crypto::SecretKey key, open_keystore(options.file, passphrase));
    address = crypto::address_of(key);
  }
  if (!address) return fail_in(options.file, address.error());
  if (context.json())
    context.print(json::object{
        {"address", address->to_string()}, {"file", options.file}, {"checked", checked}});
  else
    fmt::print("address  {}{}\nfile     {}\n", address->to_string(),
               checked ? "" : "  (as the file says; give the passphrase to check it)",
               options.file);
  return kOk;
}

Result<int> run_list(const Context& context, const KeysOptions& options) {
  std::error_code error;
  std::vector<std::string> paths;
  for (std::filesystem::directory_iterator it(options.directory, error), end; !error && it != end;
       it.increment(error))
    if (it->path().extension() == ".json") paths.push_back(it->path().string());
  if (error) return fail(Errc::io, "cannot list {}: {}", options.directory, error.message());
  std::ranges::sort(paths);
  json::array keys;
  for (const std::string& path : paths) {
    const auto text = io::read_file(path, kKeyFileBytesMax);
    if (!text) continue;
    const auto address = crypto::keystore_address(*text);
    if (!address) continue;
    keys.push_back(json::object{{"address", address->to_string()}, {"file", path}});
    if (!context.json()) fmt::print("{}  {}\n", address->to_string(), path);
  }
  if (context.json())
    context.print(json::object{{"keys", keys}});
  else if (keys.empty())
    fmt::print("no keys in {} (make one with `assay keys new`)\n", options.directory);
  return kOk;
}

}  // namespace

void add_keys(CLI::App& app, Context& context) {
  CLI::App* keys = context.verb(app, "keys", "make, import and look at keys (Web3 keystore files)",
                                "assay keys new --out buyer.json");
  keys->require_subcommand(1);
  using Run = Result<int> (*)(const Context&, const KeysOptions&);
  const auto add = [&](const char* name, const char* purpose, const char* example, Run run) {
    CLI::App* verb = context.verb(*keys, name, purpose, example);
    const auto options = std::make_shared<KeysOptions>();
    context.json_flag(verb);
    context.on_run(verb, [&context, options, run] { return run(context, *options); });
    return std::pair(verb, options);
  };
  {
    const auto [verb, options] =
        add("new", "a new random key", "assay keys new --out buyer.json", run_new);
    verb->add_option("--out", options->out, "file to write (default ./ADDRESS.json)");
    verb->add_option("--cost", options->cost,
                     "log2 of scrypt's n (default 17); less only for keys that guard nothing")
        ->check(CLI::Range(1, 18));
    add_passphrase_options(verb, options->passphrase);
  }
  {
    const auto [verb, options] =
        add("import", "a key from a hex file or another keystore",
            "assay keys import --keystore geth-key.json --out buyer.json", run_import);
    CLI::Option_group* source = verb->add_option_group("source");
    source->add_option("--hex-file", options->hex_file, "file with 64 hex digits");
    source->add_option("--keystore", options->keystore, "Web3 keystore version 3");
    source->require_option(1);
    verb->add_option("--out", options->out, "file to write (default ./ADDRESS.json)");
    add_passphrase_options(verb, options->passphrase);
  }
  {
    const auto [verb, options] =
        add("show", "the address of a key file; checked if a passphrase is given",
            "assay keys show buyer.json --passphrase-file p.txt", show_keys);
    verb->add_option("FILE", options->file, "key file")->required();
    add_passphrase_options(verb, options->passphrase);
  }
  {
    const auto [verb, options] =
        add("list", "the key files of a folder", "assay keys list ~/keys --json", run_list);
    verb->add_option("DIR", options->directory, "folder")->required();
  }
}

}  // namespace assay::cli
