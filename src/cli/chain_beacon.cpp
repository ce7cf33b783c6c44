// assay chain beacon
#include "services/market/chain_beacon.hpp"

#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/chain_verbs.hpp"
#include "cli/cli.hpp"
#include "io/files.hpp"
#include "io/log.hpp"
#include "io/signals.hpp"
#include "io/system_clock.hpp"

namespace assay::cli {
namespace {

struct ChainBeaconOptions {
  SettlementFlags chain;
  KeyOptions key;
  std::string data;
  std::uint64_t every_s = 10;
  bool once = false, make = false;
};

std::string seed_file(const std::string& folder) { return folder + "/beacon.seed"; }

void say_done(const Context& context, const services::ChainBeacon::Done& done) {
  json::array audits;
  std::string shown;
  for (const Hash& audit : done.drawn) {
    audits.emplace_back(to_hex(audit));
    shown += ' ' + to_hex(audit);
  }
  if (context.json()) {
    json::object line{{"round", nullptr}, {"block", nullptr}, {"drawn", audits}};
    if (done.round) {
      line["round"] = std::to_string(*done.round);
      line["block"] = std::to_string(done.block_num);
    }
    context.print(line);
  } else if (done.round) {
    fmt::print("round {} in block {}: {} audits drawn{}\n", *done.round, done.block_num,
               done.drawn.size(), shown);
  } else {
    fmt::print("{} audits drawn of rounds before{}\n", done.drawn.size(), shown);
  }
  std::fflush(stdout);
}

Result<int> make_chain(const Context& context, const ChainBeaconOptions& options) {
  CHECK_OK(io::make_directories(options.data, 0700));
  TRY(auto chain, settle::BeaconChain::open(seed_file(options.data)));
  if (context.json())
    context.print(json::object{{"beacon", to_hex(chain.value(0))}});
  else
    fmt::print(
        "{}\nfor `assay chain deploy --beacon-host ADDRESS --beacon {}`; keep {}: whoever has "
        "it knows every draw to come, and without it nobody is drawn\n",
        to_hex(chain.value(0)), to_hex(chain.value(0)), seed_file(options.data));
  return kOk;
}

// Until it is told to stop. What fails is tried again: rounds wait, and audits give everything
// back.
int serve(const Context& context, const io::StopSignal& stop, services::ChainBeacon& beacon,
          std::int64_t every_ms) {
  while (!stop.requested()) {
    const auto done = beacon.step();
    if (!done)
      io::log_warn("the beacon stands still: {} (tried again later)", done.error().message);
    else if (!done->nothing())
      say_done(context, *done);
    if (stop.wait(every_ms)) break;
  }
  return kOk;
}

Result<int> run_beacon(const Context& context, ChainBeaconOptions options) {
  if (options.make) return make_chain(context, options);
  if (options.chain.rpc.empty() || options.key.file.empty())
    return context.report({Errc::invalid, "--rpc and --key are required (see --help)"}, kUsage);
  const io::StopSignal stop;
  CHECK_OK(io::setup_log("", "beacon"));
  if (options.chain.market.empty()) options.chain.market = options.data + "/manifest.json";
  TRY(const crypto::SecretKey key, load_key(options.key));
  const io::SystemClock clock;
  TRY(const ChainPlace place, chain_place(options.chain));
  TRY(const auto ledger,
      open_chain(place, key, options.data, clock, [&stop] { return stop.requested(); }));
  TRY(auto beacon, services::ChainBeacon::open(*ledger, seed_file(options.data), key, clock));
  if (options.once) {
    TRY(const auto done, beacon.step());
    if (context.json() || !done.nothing())
      say_done(context, done);
    else
      fmt::print("no audit waits: nothing was sent\n");
    return kOk;
  }
  if (context.json())
    context.print(json::object{{"ready", "beacon"},
                               {"market", place.market.to_string()},
                               {"host", crypto::address_of(key).to_string()},
                               {"data", options.data}});
  else
    fmt::print("beacon ready for {} on chain {} as {}\n", place.market.to_string(),
               place.rpc.chain_id, crypto::address_of(key).to_string());
  std::fflush(stdout);
  return serve(context, stop, beacon, static_cast<std::int64_t>(options.every_s) * 1000);
}

}  // namespace

void add_chain_beacon(CLI::App& chain, Context& context) {
  auto* verb = context.verb(
      chain, "beacon", "publishes the rounds that draw hired auditors, when an audit waits for one",
      "assay chain beacon --data ./deployment --rpc https://rpc.example --key deployer.json\n"
      "  assay chain beacon --data ./beacon --make   # for another's deployment");
  const auto o = std::make_shared<ChainBeaconOptions>();
  verb->add_option("--data", o->data,
                   "folder with beacon.seed, the chain of values, and of this key's transactions: "
                   "the deployment's, unless --beacon-host was given there")
      ->required();
  verb->add_option(
      "--market", o->chain.market,
      "the market's contract, 0x…, or its manifest (default: manifest.json of --data)");
  verb->add_option("--from-block", o->chain.from_block,
                   "block of the deployment (default: the manifest's, else 0)");
  add_key_options(verb, o->key, "the host's key, which signs the rounds and pays for gas");
  verb->add_option("--every-s", o->every_s,
                   "a round at most so often, s (default 10); none while no audit waits")
      ->check(CLI::Range(1, 3600));
  auto* once = verb->add_flag("--once", o->once, "what is due now, and no more: for cron");
  verb->add_flag("--make", o->make,
                 "draws a chain of values in --data where there is none, and says its value 0")
      ->excludes(once);
  add_chain_flags(verb, o->chain);
  add_code_flag(verb, o->chain);
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return run_beacon(context, *o); });
}

}  // namespace assay::cli
