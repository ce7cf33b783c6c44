// assay market
#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "cli/option_checks.hpp"
#include "cli/settlement_flags.hpp"
#include "cli/signing_key.hpp"
#include "io/files.hpp"
#include "io/log.hpp"
#include "io/signals.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"
#include "services/market/chain_market.hpp"
#include "services/market/market_service.hpp"

namespace assay::cli {
namespace {

struct MarketOptions {
  services::MarketOptions market;
  KeyOptions key;
  bool dev_key = false;
  SettlementFlags chain;
  std::string stake_min = "1.00", dispute_bond = "0.10", reward_max = "1.00";
};

Result<crypto::SecretKey> host_key(const MarketOptions& options) {
  CHECK_OK(io::make_directories(options.market.data_dir, 0700));
  const std::string own = options.market.data_dir + "/host.key.json";
  if (options.dev_key) {
    fmt::print(stderr,
               "assay: WARNING: --insecure-dev-key: the host key in {} has a public passphrase. "
               "Whoever can read the file can print money on this ledger. Never for real money.\n",
               own);
    return load_or_make_dev_key(own);
  }
  if (!options.key.file.empty()) return load_key(options.key);
  return load_or_make_key({own, options.key.passphrase});
}

// Contracts elsewhere; a board of offers, and the ledger's HTTP in front of them, here.
Result<int> run_on_chain(const Context& context, const MarketOptions& options) {
  const io::StopSignal stop;
  TRY(const crypto::SecretKey key, host_key(options));
  const io::SystemClock clock;
  TRY(const ChainPlace place, chain_place(options.chain));
  TRY(auto ledger, open_chain(place, key, options.market.data_dir + "/chain", clock,
                              [&stop] { return stop.requested(); }));
  TRY(auto service, services::ChainMarketService::start({.address = options.market.address,
                                                         .port = options.market.port,
                                                         .data_dir = options.market.data_dir},
                                                        *ledger, clock));
  if (context.json())
    context.print(json::object{{"ready", "market"},
                               {"url", service->url()},
                               {"market", place.market.to_string()},
                               {"host", crypto::address_of(key).to_string()},
                               {"data", options.market.data_dir}});
  else
    fmt::print("market ready on {} in front of {} on chain {}\n", service->url(),
               place.market.to_string(), place.rpc.chain_id);
  std::fflush(stdout);
  stop.wait();
  service->stop();
  return kOk;
}

Result<int> run_market(const Context& context, MarketOptions options) {
  CHECK_OK(io::setup_log("", "market"));
  if (options.chain.on_chain()) return run_on_chain(context, options);
  const io::StopSignal stop;
  auto& parameters = options.market.parameters;
  TRY(parameters.stake_min, market::parse_money(options.stake_min));
  TRY(parameters.dispute_bond, market::parse_money(options.dispute_bond));
  TRY(parameters.reward_max, market::parse_money(options.reward_max));
  TRY(const crypto::SecretKey key, host_key(options));
  const io::SystemClock clock;
  TRY(auto service, services::MarketService::start(options.market, key, clock));
  TRY(const auto info, service->ledger().info());
  const auto ledger = to_hex(info.domain.ledger);
  if (context.json())
    context.print(json::object{{"ready", "market"},
                               {"url", service->url()},
                               {"ledger", ledger},
                               {"host", info.host.to_string()},
                               {"data", options.market.data_dir}});
  else
    fmt::print("market ready on {} ledger {}\n", service->url(), ledger);
  std::fflush(stdout);
  stop.wait();
  service->stop();
  return kOk;
}

}  // namespace

void add_market(CLI::App& app, Context& context) {
  auto* verb = context.verb(app, "market", "host a ledger (SQLite) and a board of offers over HTTP",
                            "assay market --data ./market --port 8790");
  const auto o = std::make_shared<MarketOptions>();
  auto& m = o->market;
  auto& p = m.parameters;
  verb->add_option("--data", m.data_dir, "folder of the ledger; made when missing")->required();
  verb->add_option("--address", m.address, "address to listen on (default 127.0.0.1)")
      ->check(listen_value());
  verb->add_option("--port", m.port, "port (default: a free one)");
  auto* key = add_key_options(verb, o->key, "the host's key, default DIR/host.key.json");
  verb->add_flag("--insecure-dev-key", o->dev_key, "host key without a secret passphrase")
      ->excludes(key);
  verb->add_option("--settlement", o->chain.settlement,
                   "embedded (the ledger is here), or evm: contracts on a chain, with a board here")
      ->check(CLI::IsMember({"embedded", "evm"}));
  verb->add_option("--market", o->chain.market,
                   "the market's contract, 0x…, or the file `assay chain deploy` wrote")
      ->group("on a chain");
  verb->add_option("--from-block", o->chain.from_block,
                   "block of the deployment (default: the manifest's, else 0)")
      ->group("on a chain");
  add_chain_flags(verb, o->chain);
  add_code_flag(verb, o->chain);
  verb->add_option("--beacon-ms", m.beacon_ms,
                   "between beacon rounds, which draw auditors, ms (default 10000)")
      ->check(CLI::PositiveNumber);
  verb->add_option("--log", m.log_url,
                   "append side of the transparency log to publish to (`assay log serve`)");
  verb->add_option("--log-ms", m.log_ms,
                   "the ledger's rows are in the log within so long, ms (default 10000)")
      ->check(CLI::PositiveNumber);
  const std::string fresh = "rules of a new ledger (an existing one keeps its own)";
  verb->add_option("--exposure-factor", p.exposure_factor,
                   "unpaid escrow per provider <= factor x stake (default 3)")
      ->group(fresh);
  verb->add_option("--stake-min", o->stake_min, "least stake to be leased from (default 1.00)")
      ->group(fresh);
  verb->add_option("--dispute-bond", o->dispute_bond, "least bond (default 0.10)")->group(fresh);
  verb->add_option("--reward-max", o->reward_max, "most a challenger gains (default 1.00)")
      ->group(fresh);
  verb->add_option("--burned-bps", p.burned_bps, "burned share of a slash, >= 5000 (default 5000)")
      ->group(fresh);
  verb->add_option(
          "--audit-burned-bps", m.audit_burned_bps,
          "burned share of the fee a hired auditor's pass earns, <= 5000; reputation counts "
          "what was burned (default 2000)")
      ->group(fresh);
  verb->add_option("--window-min", p.window_min_s, "shortest challenge window, s (default 3600)")
      ->group(fresh);
  verb->add_option("--window-max", p.window_max_s, "longest, s (default 604800)")->group(fresh);
  verb->add_option("--unbonding", p.unbonding_s, "unbonding time, s (default 604800)")
      ->group(fresh);
  verb->add_option("--lease-max", p.lease_max_s, "longest lease, s (default 2592000)")
      ->group(fresh);
  verb->add_option("--move-deadline", p.move_s, "time for one move of a dispute, s (default 3600)")
      ->group(fresh);
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return run_market(context, *o); });
}

}  // namespace assay::cli
