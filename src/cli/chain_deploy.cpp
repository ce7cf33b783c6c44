// assay chain deploy
#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/chain_verbs.hpp"
#include "cli/cli.hpp"
#include "cli/contracts_json.hpp"
#include "io/files.hpp"
#include "io/log.hpp"
#include "io/random.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"
#include "settle/beacon_chain.hpp"
#include "settle/evm/code_check.hpp"
#include "settle/evm/deploy.hpp"

namespace assay::cli {
namespace {

using settle::evm::Difference;
using settle::evm::Manifest;

struct DeployOptions {
  SettlementFlags chain;
  KeyOptions key;
  std::string data, token, mint_to, stake_min = "1.00", dispute_bond = "0.10", reward_max = "1.00";
  market::Parameters parameters;
  std::optional<std::uint64_t> window_min_s, move_s;
  bool no_beacon = false;
  std::string beacon_host, beacon;
  std::uint32_t audit_burned_bps = settle::evm::AuditParameters{}.burned_bps;
};

constexpr const char* kTestToken = "a test token";
constexpr const char* kOwnBeacon = "a chain of this folder";

// Of a folder: the same deployment goes on after whatever ended it.
Result<Hash> deployment_id(const std::string& file) {
  if (!io::path_exists(file))
    CHECK_OK(io::write_file_atomic(file, view(to_hex(io::random_hash())), 0600));
  TRY(const std::string text, io::read_file(file));
  return array_from_hex<32>(text);
}

// What was asked for, in words that a manifest can be compared with.
json::object asked_for(std::uint64_t chain_id, const crypto::Address& deployer,
                       const settle::evm::DeployPlan& plan) {
  json::object out{{"chain_id", std::to_string(chain_id)},
                   {"deployer", deployer.to_string()},
                   {"token", plan.token ? plan.token->to_string() : kTestToken}};
  if (!plan.token) out["test_token_for"] = plan.mint_to.to_string();
  for (const auto& [name, value] : market::to_json(plan.parameters)) out[name] = value;
  for (const auto& [name, value] : settle::evm::to_json(plan.audits)) out[name] = value;
  return out;
}
json::object said_by(const Manifest& manifest) {
  settle::evm::DeployPlan plan;
  plan.parameters = manifest.parameters;
  plan.audits = manifest.audits;
  if (!manifest.address("TestDollar")) plan.token = manifest.token;
  json::object out = asked_for(manifest.chain_id, manifest.deployer, plan);
  out.erase("test_token_for");  // not in a manifest
  return out;
}

Result<json::object> read_object(const std::string& file) {
  TRY(const std::string text, io::read_file(file, 1u << 20));
  const auto document = json::parse(text);
  if (!document) return fail_in(file, document.error());
  TRY(const json::object* o, json::as_object(*document, file));
  return *o;
}

// A folder is one deployment's: another would take its manifest's place.
Status same_as_before(const json::object& there, json::object asked, const std::string& folder) {
  if (!there.contains("test_token_for")) asked.erase("test_token_for");
  std::vector<Difference> differences;
  settle::evm::compare("", there, asked, differences);
  if (differences.empty()) return {};
  std::string what;
  for (const auto& d : differences)
    what += fmt::format("{}{}: {} there, {} asked for", what.empty() ? "" : "; ", d.field,
                        d.expected.empty() ? "nothing" : d.expected,
                        d.found.empty() ? "nothing" : d.found);
  return fail(Errc::conflict,
              "{} holds another deployment ({}): nothing was sent or written; give this one a "
              "folder of its own (--data)",
              folder, what);
}

// That the chain still has what the manifest says: a devnet forgets.
Status still_there(io::ChainRpc& rpc, const Manifest& manifest, const std::string& file) {
  for (const auto& c : manifest.contracts) {
    TRY(const auto hash, settle::evm::code_hash_at(rpc, c.address));
    if (hash != c.code_hash)
      return fail(
          Errc::mismatch,
          "{} says that {} is at {}, but the chain has {} there (it was started anew, or is "
          "another of the same id): deploy in another folder (--data)",
          file, c.name, c.address.to_string(), hash ? "other code" : "nothing");
  }
  return {};
}

void print_manifest(const Manifest& manifest, const std::string& file, bool already) {
  if (already) fmt::print("already deployed: nothing was sent or written\n");
  for (const auto& c : manifest.contracts)
    fmt::print("{:<16}{}  {} gas\n", c.name, c.address.to_string(), c.gas_used);
  fmt::print("{:<16}{}\nchain {} from block {}; {} {}\n", "token", manifest.token.to_string(),
             manifest.chain_id, manifest.first_block, already ? "as in" : "written to", file);
}

void print_beacon(const Manifest& manifest) {
  if (manifest.audits.beacon == Hash{})
    fmt::print("no beacon: nobody can hire auditors at this market\n");
  else
    fmt::print("auditors are drawn while `assay chain beacon` runs with the key of {}\n",
               manifest.audits.host.to_string());
}

int show_manifest(const Context& context, const Manifest& manifest, const std::string& file,
                  bool already) {
  const std::string warning = settle::evm::deadline_warning(manifest.parameters, manifest.chain_id);
  if (!warning.empty()) fmt::print(stderr, "assay: WARNING: {}\n", warning);
  if (context.json()) {
    json::object document = settle::evm::to_json(manifest);
    document["already"] = already;
    context.print(document);
  } else {
    print_manifest(manifest, file, already);
    print_beacon(manifest);
  }
  return kOk;
}

// Seen on a terminal, and in the log with ASSAY_LOG=info.
void progress(const std::string& name, std::size_t number, std::size_t of) {
  io::log_info("contract {} of {}: {}", number, of, name);
  if (stderr_is_terminal()) fmt::print(stderr, "contract {} of {}: {}\n", number, of, name);
}

// Less than 26 hours only where nothing can be down for so long.
void choose_deadlines(DeployOptions& options, std::uint64_t chain_id) {
  auto& p = options.parameters;
  const bool local = settle::evm::is_local_chain(chain_id);
  p.move_s = options.move_s.value_or(local ? p.move_s : settle::evm::kSafeDeadlineS);
  p.window_min_s = options.window_min_s.value_or(
      local ? p.window_min_s : std::max(p.move_s, settle::evm::kSafeDeadlineS));
}

// Who draws auditors: this folder's own chain of values, unless another's is named, or none.
Result<settle::evm::AuditParameters> beacon_of(const DeployOptions& options,
                                               const crypto::Address& deployer) {
  settle::evm::AuditParameters out;
  out.burned_bps = options.audit_burned_bps;
  if (options.no_beacon) return out;
  out.host = deployer;
  if (!options.beacon_host.empty()) {
    TRY(out.host, crypto::Address::parse(options.beacon_host));
    const auto value = array_from_hex<32>(options.beacon);
    if (!value) return fail_in("--beacon", value.error());
    out.beacon = *value;
    return out;
  }
  const std::string seed = options.data + "/beacon.seed";
  // A folder of another deployment gets none: what it lacks is said by same_as_before.
  const bool begun = io::path_exists(options.data + "/asked.json") ||
                     io::path_exists(options.data + "/manifest.json");
  if (begun && !io::path_exists(seed)) return out;
  TRY(auto chain, settle::BeaconChain::open(seed));
  out.beacon = chain.value(0);
  return out;
}

Result<int> deploy(const Context& context, DeployOptions options) {
  CHECK_OK(io::setup_log("", "chain"));
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
  if (!options.token.empty()) {
    TRY(plan.token, crypto::Address::parse(options.token));
  } else {
    TRY(plan.mint_to, crypto::Address::parse(options.mint_to));
  }
  if (options.chain.rpc.empty())
    return context.report({Errc::invalid, "--rpc is required (see --help)"}, kUsage);
  TRY(const crypto::SecretKey key, load_key(options.key));
  io::ChainRpc rpc({.endpoints = options.chain.rpc, .ca_file = options.chain.ca_file});
  const auto chain_id = rpc.chain_id();
  if (!chain_id) return std::unexpected(Error(chain_id.error()));
  choose_deadlines(options, *chain_id);
  plan.parameters = p;
  CHECK_OK(market::check(p));

  const std::string file = options.data + "/manifest.json",
                    asked_file = options.data + "/asked.json";
  CHECK_OK(io::make_directories(options.data, 0700));
  TRY(const auto lock, io::FileLock::acquire(options.data));
  TRY(plan.audits, beacon_of(options, crypto::address_of(key)));
  CHECK_OK(settle::evm::check(plan.audits));
  json::object asked = asked_for(*chain_id, crypto::address_of(key), plan);
  if (!options.no_beacon && plan.audits.beacon == Hash{}) asked["beacon"] = kOwnBeacon;
  if (io::path_exists(asked_file)) {
    TRY(const json::object there, read_object(asked_file));
    CHECK_OK(same_as_before(there, asked, options.data));
  }
  if (io::path_exists(file)) {
    TRY(const Manifest manifest, read_manifest(file));
    CHECK_OK(same_as_before(said_by(manifest), asked, options.data));
    CHECK_OK(still_there(rpc, manifest, file));
    return show_manifest(context, manifest, file, true);
  }
  // Before the first transaction: what goes on after a crash is what was begun.
  CHECK_OK(io::write_file_atomic(asked_file, view(json::dump_pretty(asked) + "\n"), 0600));
  TRY(plan.id, deployment_id(options.data + "/deployment.id"));
  TRY(const auto contracts, built_in_contracts());
  const io::SystemClock clock;
  auto sender = io::ChainSender::open(options.data + "/transactions.db", rpc, key, clock,
                                      sending_options(options.chain, *chain_id));
  if (!sender) return std::unexpected(Error(sender.error()));
  TRY(const Manifest manifest, settle::evm::deploy(rpc, **sender, contracts, plan, progress));
  CHECK_OK(io::write_file_atomic(
      file, view(json::dump_pretty(settle::evm::to_json(manifest)) + "\n"), 0644));
  return show_manifest(context, manifest, file, false);
}

}  // namespace

void add_chain_deploy(CLI::App& chain, Context& context) {
  auto* verb = context.verb(
      chain, "deploy", "puts a market's contracts on a chain; nobody owns them afterwards",
      "assay chain deploy --rpc https://rpc.example --key deployer.json --data ./deployment \\\n"
      "    --token 0xA0b8…eB48");
  const auto o = std::make_shared<DeployOptions>();
  auto& p = o->parameters;
  add_chain_flags(verb, o->chain);
  add_key_options(verb, o->key, "the key that pays for gas")->required();
  verb->add_option(
          "--data", o->data,
          "folder of its transactions and of manifest.json, for one deployment; started again "
          "with the same flags, it goes on")
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
  verb->add_option(
      "--window-min", o->window_min_s,
      "shortest challenge window, s; under 93600 (26 h) an outage of the chain can cost "
      "honest parties their money (default 93600; 3600 on a local chain, 31337 or 1337)");
  verb->add_option("--window-max", p.window_max_s, "longest, s (default 604800)");
  verb->add_option("--unbonding", p.unbonding_s, "unbonding time, s (default 604800)");
  verb->add_option("--lease-max", p.lease_max_s, "longest lease, s (default 2592000)");
  verb->add_option("--move-deadline", o->move_s,
                   "time for one move of a dispute, s; as --window-min (default 93600; 3600 on a "
                   "local chain)");
  const std::string hired = "hired auditors";
  auto* none = verb->add_flag("--no-beacon", o->no_beacon,
                              "nobody can hire auditors there (default: this key is the beacon's "
                              "host, with a chain of values in --data: see `assay chain beacon`)")
                   ->group(hired);
  auto* host = verb->add_option("--beacon-host", o->beacon_host,
                                "another's: the address whose signature makes a round")
                   ->excludes(none)
                   ->group(hired);
  auto* value = verb->add_option("--beacon", o->beacon,
                                 "with it: value 0 of its chain, 0x… (`assay chain beacon --make`)")
                    ->excludes(none)
                    ->needs(host)
                    ->group(hired);
  host->needs(value);
  verb->add_option("--audit-burned-bps", o->audit_burned_bps,
                   "burned share of the fee that a pass earns, <= 5000 (default 2000)")
      ->group(hired);
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return deploy(context, *o); });
}

}  // namespace assay::cli
