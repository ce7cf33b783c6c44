// assay chain status
#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/chain_verbs.hpp"
#include "cli/cli.hpp"
#include "cli/contracts_json.hpp"
#include "market/money.hpp"
#include "settle/evm/code_check.hpp"

namespace assay::cli {
namespace {

using market::format_money;
using settle::evm::Difference;

struct StatusOptions {
  SettlementFlags chain;
};

// What is not as it should be: other code than this program's, and all that the manifest says.
Result<settle::evm::ManifestCheck> check_all(io::ChainRpc& rpc, const ChainPlace& place,
                                             const std::vector<settle::evm::CodeCheck>& checks) {
  settle::evm::ManifestCheck out;
  if (place.manifest) {
    TRY(out, settle::evm::check_manifest(rpc, *place.manifest, checks, true));
  }
  for (const auto& check : checks)
    if (!check.same)
      out.differences.push_back({check.name, "code (by its hash)", to_hex(check.built_hash),
                                 check.present ? to_hex(check.code_hash) : ""});
  return out;
}

// The beacon that draws auditors: nothing where the market has none.
struct BeaconStatus {
  settle::evm::AuditParameters made;
  std::uint64_t round = 0;  // that was published last
};
Result<std::optional<BeaconStatus>> beacon_status(io::ChainRpc& rpc,
                                                  const crypto::Address& audits) {
  BeaconStatus out;
  TRY(out.made, settle::evm::audit_parameters_of(rpc, audits));
  if (out.made.beacon == Hash{}) return std::nullopt;
  TRY(const Bytes last,
      settle::evm::call_view(rpc, audits, crypto::AbiWriter().call("lastBeacon()"), "latest"));
  crypto::AbiReader in(last);
  TRY(out.round, in.u64());
  return out;
}

json::value to_json(const std::optional<BeaconStatus>& beacon) {
  if (!beacon) return nullptr;
  return json::object{{"host", beacon->made.host.to_string()},
                      {"value_0", to_hex(beacon->made.beacon)},
                      {"round", std::to_string(beacon->round)},
                      {"audit_burned_bps", std::to_string(beacon->made.burned_bps)}};
}

Result<int> chain_status(const Context& context, const StatusOptions& options) {
  TRY(const ChainPlace place, chain_place(options.chain));
  TRY(const auto contracts, built_in_contracts());
  io::ChainRpc rpc(place.rpc);
  const auto* manifest = place.manifest ? &*place.manifest : nullptr;
  TRY(const auto checks, settle::evm::check_code(rpc, contracts, place.market, manifest));
  TRY(const auto found, check_all(rpc, place, checks));
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
  TRY(const auto fees, in.i64());
  TRY(const auto beacon, beacon_status(rpc, at.audits));
  const bool good = found.differences.empty();
  const std::string warning = settle::evm::deadline_warning(parameters, place.rpc.chain_id);
  if (context.json()) {
    json::object list;
    for (const auto& check : checks) {
      const bool as_manifest = std::ranges::none_of(found.differences, [&](const Difference& d) {
        return d.of == check.name && (d.field == "address" || d.field == "code_hash");
      });
      list[check.name] = json::object{{"address", check.address.to_string()},
                                      {"code_hash", to_hex(check.code_hash)},
                                      {"as_built", check.same},
                                      {"as_manifest", as_manifest}};
    }
    json::array differences;
    for (const auto& d : found.differences)
      differences.push_back(json::object{
          {"of", d.of}, {"field", d.field}, {"expected", d.expected}, {"found", d.found}});
    json::array warnings;
    if (!warning.empty()) warnings.emplace_back(warning);
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
                               {"fees", std::to_string(fees)},
                               {"beacon", to_json(beacon)},
                               {"contracts", list},
                               {"differences", differences},
                               {"transactions_unknown", found.transactions_unknown},
                               {"warnings", warnings}});
    return good ? kOk : kFailed;
  }
  fmt::print("chain       {} at block {}\n", place.rpc.chain_id, head->number);
  for (const auto& check : checks)
    fmt::print("{:<16}{}  {}\n", check.name, check.address.to_string(),
               check.same ? green("the code this program knows") : red("OTHER CODE"));
  fmt::print("token           {}\ndeposited {}  withdrawn {}  burned {}  bonds {}  fees held {}\n",
             at.token.to_string(), format_money(deposited), format_money(withdrawn),
             format_money(burned), format_money(bonds), format_money(fees));
  fmt::print("stake from {}, exposure {} x, windows {} to {} s, a move {} s, canon 0 (a draft)\n",
             format_money(parameters.stake_min), parameters.exposure_factor,
             parameters.window_min_s, parameters.window_max_s, parameters.move_s);
  if (beacon)
    fmt::print("auditors are drawn by {}, {} rounds so far; {:.2f} % of a pass's fee is burned\n",
               beacon->made.host.to_string(), beacon->round, beacon->made.burned_bps / 100.0);
  else
    fmt::print("no beacon: nobody can hire auditors here\n");
  if (!warning.empty()) fmt::print("{} {}\n", red("WARNING:"), warning);
  if (found.transactions_unknown > 0)
    fmt::print(
        "the endpoint no longer knows {} of the transactions: who deployed, in which block "
        "and for how much gas was not compared\n",
        found.transactions_unknown);
  for (const auto& difference : found.differences)
    fmt::print("{}\n", red(settle::evm::to_string(difference)));
  if (!good)
    fmt::print("{}\n", red("not what was deployed, or not what this program would deploy"));
  return good ? kOk : kFailed;
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
  add_chain_deploy(*chain, context);
  add_chain_beacon(*chain, context);
  add_status(*chain, context);
  add_chain_deposit(*chain, context);
  add_chain_anchor(*chain, context);
  add_chain_attest(*chain, context);
  add_chain_events(*chain, context);
}

}  // namespace assay::cli
