// assay log: keygen, serve, append; and what the other parts share
#include "io/log.hpp"

#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "cli/log_verbs.hpp"
#include "cli/option_checks.hpp"
#include "cli/signing_key.hpp"
#include "io/files.hpp"
#include "io/random.hpp"
#include "io/signals.hpp"
#include "services/log/log_service.hpp"
#include "settle/log_client.hpp"

namespace assay::cli {
namespace {

Result<tlog::SignerKey> make_signer(const std::string& file, const std::string& name,
                                    tlog::KeyType type) {
  if (!tlog::valid_key_name(name))
    return fail(Errc::invalid, "a name is not empty and has no spaces or '+': example.com/log");
  tlog::SignerKey key{name, type, {}};
  io::random_bytes(key.seed.bytes);
  CHECK_OK(io::write_file_atomic(file, view(key.to_string() + "\n"), 0600));
  return key;
}

struct KeygenOptions {
  std::string name, out;
  bool witness = false;
};

Result<int> keygen(const Context& context, const KeygenOptions& options) {
  if (io::path_exists(options.out))
    return fail(Errc::conflict, "{} is there already: a key is never overwritten", options.out);
  TRY(const auto key,
      make_signer(options.out, options.name,
                  options.witness ? tlog::KeyType::cosignature : tlog::KeyType::ed25519));
  const std::string vkey = key.verifier().to_string();
  if (context.json())
    context.print(json::object{{"file", options.out}, {"vkey", vkey}});
  else
    fmt::print("{}\n", vkey);
  return kOk;
}

struct ServeOptions {
  services::LogOptions log;
  std::string origin, key;
  std::vector<std::string> witnesses;
};

Result<int> serve_log(const Context& context, ServeOptions options) {
  const io::StopSignal stop;
  CHECK_OK(io::setup_log("", "log"));
  auto& log = options.log;
  for (const auto& text : options.witnesses) {
    TRY(auto peer, services::WitnessPeer::parse(text));
    log.publisher.witnesses.push_back(std::move(peer));
  }
  if (log.publisher.quorum > log.publisher.witnesses.size())
    return fail(Errc::invalid, "--quorum {} of {} witnesses: nothing would ever be published",
                log.publisher.quorum, log.publisher.witnesses.size());
  CHECK_OK(io::make_directories(log.data_dir));
  const std::string file = options.key.empty() ? log.data_dir + "/log.key" : options.key;
  TRY(const auto key, load_signer(file, options.origin, tlog::KeyType::ed25519));
  TRY(auto service, services::LogService::start(log, key));
  const std::string vkey = key.verifier().to_string();
  if (context.json())
    context.print(json::object{{"ready", "log"},
                               {"url", service->url()},
                               {"append_url", service->append_url()},
                               {"vkey", vkey},
                               {"entries", service->store().committed().size}});
  else
    fmt::print("log ready on {} append {} vkey {}\n", service->url(), service->append_url(), vkey);
  std::fflush(stdout);
  stop.wait();
  service->stop();
  return kOk;
}

struct AppendOptions {
  std::string log, ledger;
  std::vector<std::string> commitments;
  std::uint64_t random = 0, at_once = 1;
  KeyOptions key;
};

// Repeats what the log could not do for now; the same entries again are the same entries.
template <class Ask>
auto patiently(const io::StopSignal& stop, const Ask& ask) -> decltype(ask()) {
  for (;;) {
    auto answer = ask();
    if (answer || answer.error().code != Errc::unavailable) return answer;
    if (stop.wait(100)) return fail(Errc::cancelled, "stopped: {}", answer.error().message);
  }
}

Result<int> append(const Context& context, const AppendOptions& options) {
  const io::StopSignal stop;
  TRY(const Hash ledger, array_from_hex<32>(options.ledger));
  std::vector<Hash> commitments;
  for (const auto& text : options.commitments) {
    TRY(commitments.emplace_back(), array_from_hex<32>(text));
  }
  TRY(const auto key, load_key(options.key));
  settle::LogWriter writer(options.log);
  TRY(std::uint64_t number,
      patiently(stop, [&] { return writer.next_number(ledger, crypto::address_of(key)); }));
  const std::uint64_t total = options.random > 0 ? options.random : commitments.size();
  for (std::uint64_t done = 0; done < total && !stop.requested();) {
    std::vector<tlog::LogEntry> entries;
    for (; entries.size() < options.at_once && done < total; ++done)
      entries.push_back(tlog::sign_entry(
          ledger, number++, options.random > 0 ? io::random_hash() : commitments[done], key));
    const auto indexes = patiently(stop, [&] { return writer.append(entries); });
    if (!indexes) {
      if (stop.requested()) break;
      return std::unexpected(indexes.error());
    }
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (context.json())
        context.print(json::object{{"index", (*indexes)[i]},
                                   {"number", entries[i].number},
                                   {"entry", to_hex_bare(entries[i].to_bytes())}});
      else
        fmt::print("entry {}  number {}  {}\n", (*indexes)[i], entries[i].number,
                   to_hex(entries[i].commitment));
    }
    std::fflush(stdout);
  }
  return kOk;
}

}  // namespace

Result<tlog::SignerKey> load_signer(const std::string& file, const std::string& name,
                                    tlog::KeyType type) {
  if (!io::path_exists(file)) {
    if (name.empty())
      return fail(Errc::not_found, "no such key file: {} (give a name to make one)", file);
    return make_signer(file, name, type);
  }
  TRY(std::string text, io::read_file(file, 4096));
  while (text.ends_with('\n')) text.pop_back();
  auto key = tlog::SignerKey::parse(text);
  if (!key) return fail_in(file, key.error());
  if (key->type != type)
    return fail(Errc::invalid, "{} is a key for {}, not for {}", file,
                key->type == tlog::KeyType::ed25519 ? "a log" : "a witness",
                type == tlog::KeyType::ed25519 ? "a log" : "a witness");
  if (!name.empty() && key->name != name)
    return fail(Errc::conflict, "{} is the key of '{}', not of '{}'", file, key->name, name);
  return key;
}

void add_log_serving(CLI::App& log, Context& context) {
  {
    auto* verb = context.verb(log, "keygen", "make the Ed25519 key of a log or witness",
                              "assay log keygen --name example.com/log --out log.key");
    const auto o = std::make_shared<KeygenOptions>();
    verb->add_option("--name", o->name, "name of the log (its origin) or witness")->required();
    verb->add_option("--out", o->out, "file for the private key; its vkey is printed")->required();
    verb->add_flag("--witness", o->witness, "a witness's key (cosignatures)");
    context.json_flag(verb);
    context.on_run(verb, [&context, o] { return keygen(context, *o); });
  }
  {
    auto* verb = context.verb(log, "serve", "keep a transparency log and serve it as plain files",
                              "assay log serve --data ./log --origin example.com/log --port 8795");
    const auto o = std::make_shared<ServeOptions>();
    auto& l = o->log;
    verb->add_option("--data", l.data_dir, "folder of the log; made when missing")->required();
    verb->add_option("--origin", o->origin, "name of a new log: a URL without its scheme");
    verb->add_option("--key", o->key, "private key (default DIR/log.key, made when missing)");
    verb->add_option("--address", l.address, "address for readers (default 127.0.0.1)")
        ->check(listen_value());
    verb->add_option("--port", l.port, "port for readers (default: a free one)");
    verb->add_option("--append-address", l.append_address,
                     "address for the market that appends (default 127.0.0.1)");
    verb->add_option("--append-port", l.append_port, "its port (default: a free one)");
    verb->add_option("--batch-ms", l.store.batch_ms,
                     "how long an entry waits for others, ms (default 100)")
        ->check(CLI::NonNegativeNumber);
    verb->add_option("--checkpoint-ms", l.publisher.every_ms,
                     "between checkpoints, ms (default 0; public witnesses want 10000)")
        ->check(CLI::NonNegativeNumber);
    verb->add_option("--witness", o->witnesses, "ask this witness: VKEY@URL; repeat for more");
    verb->add_option("--quorum", l.publisher.quorum,
                     "publish only with so many cosignatures (default 0)");
    context.json_flag(verb);
    context.on_run(verb, [&context, o] { return serve_log(context, *o); });
  }
  {
    auto* verb = context.verb(log, "append", "append signed, numbered commitments",
                              "assay log append --log http://127.0.0.1:8796 --key k.json --ledger "
                              "0x12… --commitment 0x34…");
    const auto o = std::make_shared<AppendOptions>();
    verb->add_option("--log", o->log, "the log's append side")->required();
    verb->add_option("--ledger", o->ledger, "domain separator of the ledger, 32 bytes of hex")
        ->required();
    add_key_options(verb, o->key, "the issuer's key")->required();
    auto* given =
        verb->add_option("--commitment", o->commitments, "32 bytes of hex; repeat for more");
    verb->add_option("--random", o->random, "so many random ones instead, for tests")
        ->excludes(given);
    verb->add_option("--at-once", o->at_once, "entries in one call (default 1)")
        ->check(CLI::Range(std::size_t{1}, settle::kLogAppendMax));
    context.json_flag(verb);
    context.on_run(verb, [&context, o] { return append(context, *o); });
  }
}

void add_log(CLI::App& app, Context& context) {
  CLI::App* log = context.verb(app, "log", "a transparency log: serve, witness, monitor, verify",
                               "assay log check http://127.0.0.1:8795 --vkey example.com/log+…");
  log->require_subcommand(1);
  add_log_serving(*log, context);
  add_log_witness(*log, context);
  add_log_monitor(*log, context);
  add_log_reading(*log, context);
}

}  // namespace assay::cli
