// assay chain deploy | status
#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/chain_verbs.hpp"
#include "cli/cli.hpp"
#include "cli/contracts_json.hpp"
#include "io/dev_chain.hpp"
#include "io/files.hpp"
#include "io/random.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"
#include "settle/evm/deploy.hpp"

namespace assay::cli {
namespace {

using market::format_money;
using settle::evm::Manifest;

struct DeployOptions {
  SettlementFlags chain;
  KeyOptions key;
  std::string data, token, mint_to, stake_min = "1.00", dispute_bond = "0.10", reward_max = "1.00";
  market::Parameters parameters;
};

// Of a folder: the same deployment goes on after whatever ended it.
Result<Hash> deployment_id(const std::string& file) {
  if (!io::path_exists(file))
    CHECK_OK(io::write_file_atomic(file, view(to_hex(io::random_hash())), 0600));
  TRY(const std::string text, io::read_file(file));
  return array_from_hex<32>(text);
}

void print_manifest(const Manifest& manifest, const std::string& file) {
  for (const auto& c : manifest.contracts)
    fmt::print("{:<16}{}  {} gas\n", c.name, c.address.to_string(), c.gas_used);
  fmt::print("{:<16}{}\nchain {} from block {}; written to {}\n", "token",
             manifest.token.to_string(), manifest.chain_id, manifest.first_block, file);
}

Result<int> deploy(const Context& context, DeployOptions options) {
  auto& p = options.parameters;
  TRY(p.stake_min, market::parse_money(options.stake_min));
  TRY(p.dispute_bond, market::parse_money(options.dispute_bond));
  TRY(p.reward_max, market::parse_money(options.reward_max));
  if (options.token.empty() == options.mint_to.empty())
    return context.report({Errc::invalid,
                           "either --token, a stablecoin of 6 decimals on this chain, or "
                           "--test-token-for, whose token is worth nothing"},
                          kUsage);
  settle::evm::DeployPlan plan;
  plan.parameters = p;
  if (!options.token.empty()) {
    TRY(plan.token, crypto::Address::parse(options.token));
  } else {
    TRY(plan.mint_to, crypto::Address::parse(options.mint_to));
  }
  if (options.chain.rpc.empty())
    return context.report({Errc::invalid, "--rpc is required (see --help)"}, kUsage);
  TRY(const crypto::SecretKey key, load_key(options.key));
  CHECK_OK(io::make_directories(options.data, 0700));
  TRY(plan.id, deployment_id(options.data + "/deployment.id"));
  TRY(const auto contracts, built_in_contracts());
  io::ChainRpc rpc({.endpoints = options.chain.rpc, .ca_file = options.chain.ca_file});
  const auto chain_id = rpc.chain_id();
  if (!chain_id) return std::unexpected(Error(chain_id.error()));
  const bool dev = *chain_id == io::DevChain::kChainId;
  io::ChainSenderOptions sending;
  sending.confirmations = options.chain.confirmations != 0 ? options.chain.confirmations
                          : dev                            ? 1
                                                           : 3;
  if (dev) sending.poll_ms = 50;
  const io::SystemClock clock;
  auto sender = io::ChainSender::open(options.data + "/transactions.db", rpc, key, clock, sending);
  if (!sender) return std::unexpected(Error(sender.error()));
  TRY(const Manifest manifest, settle::evm::deploy(rpc, **sender, contracts, plan));
  const std::string file = options.data + "/manifest.json";
  CHECK_OK(io::write_file_atomic(
      file, view(json::dump_pretty(settle::evm::to_json(manifest)) + "\n"), 0644));
  if (context.json()) {
    context.print(settle::evm::to_json(manifest));
    return kOk;
  }
  print_manifest(manifest, file);
  return kOk;
}

struct StatusOptions {
  SettlementFlags chain;
};

Result<int> chain_status(const Context& context, const StatusOptions& options) {
  TRY(const ChainPlace place, chain_place(options.chain));
  TRY(const auto contracts, built_in_contracts());
  io::ChainRpc rpc(place.rpc);
  TRY(const auto checks, settle::evm::check_code(rpc, contracts, place.market));
  TRY(const auto parameters, settle::evm::parameters_of(rpc, place.market));
  TRY(const auto at, settle::evm::contracts_of(rpc, place.market));
  const auto head = rpc.head();
  if (!head) return std::unexpected(Error(head.error()));
  TRY(const Bytes sums,
      settle::evm::call_view(rpc, place.market, crypto::AbiWriter().call("totals()"), "latest"));
  crypto::AbiReader in(sums);
  TRY(const auto deposited, in.i64());
  TRY(const auto withdrawn, in.i64());
  TRY(const auto burned, in.i64());
  TRY(const auto bonds, in.i64());
  bool good = !place.manifest || place.manifest->parameters == parameters;
  json::object list;
  for (const auto& check : checks) {
    bool as_manifest = true;
    if (place.manifest)
      for (const auto& c : place.manifest->contracts)
        if (c.name == check.name)
          as_manifest = c.address == check.address && c.code_hash == check.code_hash;
    good = good && check.same && as_manifest;
    list[check.name] = json::object{{"address", check.address.to_string()},
                                    {"code_hash", to_hex(check.code_hash)},
                                    {"as_built", check.same},
                                    {"as_manifest", as_manifest}};
  }
  if (context.json()) {
    context.print(json::object{{"ok", good},
                               {"chain_id", std::to_string(place.rpc.chain_id)},
                               {"block", std::to_string(head->number)},
                               {"market", place.market.to_string()},
                               {"token", at.token.to_string()},
                               {"parameters", market::to_json(parameters)},
                               {"deposited", std::to_string(deposited)},
                               {"withdrawn", std::to_string(withdrawn)},
                               {"burned", std::to_string(burned)},
                               {"bonds", std::to_string(bonds)},
                               {"contracts", list}});
    return good ? kOk : kFailed;
  }
  fmt::print("chain       {} at block {}\n", place.rpc.chain_id, head->number);
  for (const auto& check : checks)
    fmt::print("{:<16}{}  {}\n", check.name, check.address.to_string(),
               check.same ? green("the code this program knows") : red("OTHER CODE"));
  fmt::print("token           {}\ndeposited {}  withdrawn {}  burned {}  bonds {}\n",
             at.token.to_string(), format_money(deposited), format_money(withdrawn),
             format_money(burned), format_money(bonds));
  fmt::print("stake from {}, exposure {} x, windows {} to {} s, a move {} s, canon 0 (a draft)\n",
             format_money(parameters.stake_min), parameters.exposure_factor,
             parameters.window_min_s, parameters.window_max_s, parameters.move_s);
  if (!good)
    fmt::print("{}\n", red("not what was deployed, or not what this program would deploy"));
  return good ? kOk : kFailed;
}

void add_deploy(CLI::App& chain, Context& context) {
  auto* verb = context.verb(
      chain, "deploy", "puts a market's contracts on a chain; nobody owns them afterwards",
      "assay chain deploy --rpc https://rpc.example --key deployer.json --data ./deployment \\\n"
      "    --token 0xA0b8…eB48");
  const auto o = std::make_shared<DeployOptions>();
  auto& p = o->parameters;
  add_chain_flags(verb, o->chain);
  add_key_options(verb, o->key, "the key that pays for gas")->required();
  verb->add_option("--data", o->data,
                   "folder of its transactions and of manifest.json; started again, it goes on")
      ->required();
  verb->add_option("--token", o->token, "the stablecoin, an ERC-20 of 6 decimals");
  verb->add_option("--test-token-for", o->mint_to,
                   "deploys a worthless token instead, and gives this address a million");
  verb->add_option("--exposure-factor", p.exposure_factor,
                   "unpaid escrow per provider <= factor x stake (default 3)");
  verb->add_option("--stake-min", o->stake_min, "least stake to be leased from (default 1.00)");
  verb->add_option("--dispute-bond", o->dispute_bond, "least bond (default 0.10)");
  verb->add_option("--reward-max", o->reward_max, "most a challenger gains (default 1.00)");
  verb->add_option("--burned-bps", p.burned_bps, "burned share of a slash, >= 5000 (default 5000)");
  verb->add_option("--window-min", p.window_min_s, "shortest challenge window, s (default 3600)");
  verb->add_option("--window-max", p.window_max_s, "longest, s (default 604800)");
  verb->add_option("--unbonding", p.unbonding_s, "unbonding time, s (default 604800)");
  verb->add_option("--lease-max", p.lease_max_s, "longest lease, s (default 2592000)");
  verb->add_option("--move-deadline", p.move_s, "time for one move of a dispute, s (default 3600)");
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return deploy(context, *o); });
}

void add_status(CLI::App& chain, Context& context) {
  auto* verb = context.verb(
      chain, "status", "what is deployed, and whether it is the code this program knows",
      "assay chain status --rpc https://rpc.example --market ./deployment/manifest.json");
  const auto o = std::make_shared<StatusOptions>();
  verb->add_option("--market", o->chain.market, "the market's contract, 0x…, or its manifest")
      ->required();
  add_chain_flags(verb, o->chain);
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return chain_status(context, *o); });
}

}  // namespace

void add_chain(CLI::App& app, Context& context) {
  auto* chain = context.verb(app, "chain", "a market's contracts on an EVM chain",
                             "assay chain status --rpc URL --market 0x…");
  chain->require_subcommand(1);
  add_deploy(*chain, context);
  add_status(*chain, context);
  add_chain_deposit(*chain, context);
  add_chain_anchor(*chain, context);
  add_chain_events(*chain, context);
}

}  // namespace assay::cli
