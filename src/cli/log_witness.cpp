// assay log witness
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/cli.hpp"
#include "cli/log_verbs.hpp"
#include "cli/option_checks.hpp"
#include "io/log.hpp"
#include "io/signals.hpp"
#include "io/system_clock.hpp"
#include "services/log/witness_service.hpp"

namespace assay::cli {
namespace {

struct LogWitnessOptions {
  services::WitnessOptions witness;
  std::string name, key;
  std::vector<std::string> logs;
};

Result<int> run_log_witness(const Context& context, LogWitnessOptions options) {
  const io::StopSignal stop;
  CHECK_OK(io::setup_log("", "witness"));
  for (const auto& text : options.logs) {
    const auto key = tlog::VerifierKey::parse(text);
    if (!key) return fail_in("--log " + text, key.error());
    auto& logs = options.witness.logs;
    const auto same = std::ranges::find(logs, key->name, &tlog::LogPolicy::origin);
    if (same != logs.end())
      same->log.push_back(*key);  // a log that changes its key
    else
      logs.push_back(tlog::LogPolicy::of(*key));
  }
  CHECK_OK(io::make_directories(options.witness.data_dir, 0700));
  const std::string file =
      options.key.empty() ? options.witness.data_dir + "/witness.key" : options.key;
  TRY(const auto key, load_signer(file, options.name, tlog::KeyType::cosignature));
  const io::SystemClock clock;
  TRY(auto service, services::WitnessService::start(options.witness, key, clock));
  const std::string vkey = key.verifier().to_string();
  if (context.json())
    context.print(json::object{{"ready", "witness"}, {"url", service->url()}, {"vkey", vkey}});
  else
    fmt::print("witness ready on {} vkey {}\n", service->url(), vkey);
  std::fflush(stdout);
  stop.wait();
  service->stop();
  return kOk;
}

}  // namespace

void add_log_witness(CLI::App& log, Context& context) {
  auto* verb = context.verb(log, "witness",
                            "cosign checkpoints of logs that only ever grow (C2SP tlog-witness)",
                            "assay log witness --data ./witness --name example.com/w1 --log "
                            "example.org/log+… --port 8797");
  const auto o = std::make_shared<LogWitnessOptions>();
  auto& w = o->witness;
  verb->add_option("--data", w.data_dir, "folder of what was cosigned; made when missing")
      ->required();
  verb->add_option("--name", o->name, "name of a new witness: a URL without its scheme");
  verb->add_option("--key", o->key, "private key (default DIR/witness.key, made when missing)");
  verb->add_option("--log", o->logs, "vkey of a log to cosign; repeat for more")->required();
  verb->add_option("--address", w.address, "address to listen on (default 127.0.0.1)")
      ->check(listen_value());
  verb->add_option("--port", w.port, "port (default: a free one)");
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return run_log_witness(context, *o); });
}

}  // namespace assay::cli
