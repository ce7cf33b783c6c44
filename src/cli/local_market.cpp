#include "cli/local_market.hpp"

#include "base/hex.hpp"
#include "base/json.hpp"
#include "io/files.hpp"
#include "io/random.hpp"

namespace assay::cli {
namespace {

constexpr std::int64_t kReadyMs = 60'000;
constexpr std::int64_t kGraceMs = 15'000;

// The last line a failed child logged is what the user should see.
std::string last_line(const std::string& file) {
  auto text = io::read_file(file, 64u << 20);
  if (!text) return "";
  while (text->ends_with('\n')) text->pop_back();
  const auto from = text->rfind('\n');
  return from == std::string::npos ? *text : text->substr(from + 1);
}

}  // namespace

Status LocalMarket::make_key(const LocalMarketOptions& options, const std::string& name) {
  LocalParty party;
  party.name = name;
  party.data = data_ + "/" + name;
  party.key_file = data_ + "/keys/" + name + ".json";
  party.log = data_ + "/logs/" + name + ".log";
  CHECK_OK(io::make_directories(party.data, 0700));
  auto text = io::read_file(party.key_file);
  if (!text) {
    const Hash secret = io::random_hash();
    TRY(const crypto::SecretKey key, crypto::secret_key(secret));
    crypto::KeystoreRandom random;
    io::random_bytes(random.salt);
    io::random_bytes(random.iv);
    io::random_bytes(random.uuid);
    TRY(const std::string json,
        crypto::keystore_encrypt(key, passphrase_, random, options.key_cost));
    CHECK_OK(io::write_file_atomic(party.key_file, view(json), 0600));
    party.address = crypto::address_of(key);
  } else {
    TRY(party.address, crypto::keystore_address(*text));
  }
  parties_[name] = std::move(party);
  order_.push_back(name);
  return {};
}

Result<json::object> LocalMarket::launch(const std::string& name, std::vector<std::string> argv) {
  LocalParty& party = parties_.at(name);
  argv.insert(argv.begin(), io::self_executable());
  argv.push_back("--json");
  io::ChildOptions options;
  options.env = {{"ASSAY_PASSPHRASE", passphrase_}};
  options.out = io::ChildOptions::Output::pipe;
  options.err = io::ChildOptions::Output::file;
  options.err_file = party.log;
  TRY(io::ChildProcess child, io::ChildProcess::spawn(argv, options));
  const auto line = child.read_line(kReadyMs);
  if (!line) {
    const std::string why = last_line(party.log);
    return fail(line.error().code, "{} did not start: {} (log: {})", name,
                why.empty() ? line.error().message : why, party.log);
  }
  TRY(const json::value ready, json::parse(*line));
  TRY(const json::object* o, json::as_object(ready, "the ready line"));
  if (o->contains("error")) {
    TRY(const json::object* error, json::get_object(*o, "error"));
    TRY(const std::string message, json::get_string(*error, "message"));
    return fail(Errc::unavailable, "{} did not start: {}", name, message);
  }
  TRY(party.url, json::get_string(*o, "url"));
  children_.emplace_back(name, std::move(child));
  return *o;
}

Result<std::vector<std::string>> LocalMarket::launch_log() {
  LocalParty& party = parties_["log"];
  party.name = "log";
  party.data = data_ + "/log";
  party.log = data_ + "/logs/log.log";
  TRY(const json::object ready,
      launch("log", {"log", "serve", "--data", party.data, "--origin", "localhost/assay"}));
  log_url_ = party.url;
  TRY(log_vkey_, json::get_string(ready, "vkey"));
  TRY(const std::string append_url, json::get_string(ready, "append_url"));
  return std::vector<std::string>{"--log", append_url};
}

// Through the host's own verb, so that the demo uses what an operator would use.
Status LocalMarket::fund(const std::string& name, const std::string& amount) {
  const LocalParty& party = parties_.at(name);
  // A restarted market keeps its balances; money enters once, however the first start ended.
  const std::string mark = party.data + "/funded";
  if (io::path_exists(mark)) return {};
  CHECK_OK(run(
      name, {"ledger", "deposit", "--market", market_url(), "--key", parties_.at("ledger").key_file,
             "--to", party.address.to_string(), "--amount", amount}));
  return io::write_file_atomic(mark, view(amount + "\n"), 0600);
}

Status LocalMarket::run(const std::string& name, std::vector<std::string> argv) {
  const LocalParty& party = parties_.at(name);
  io::ChildOptions options;
  options.env = {{"ASSAY_PASSPHRASE", passphrase_}};
  options.out = io::ChildOptions::Output::null;
  options.err = io::ChildOptions::Output::file;
  options.err_file = party.log;
  const std::string verb = argv[0] + " " + argv[1];
  argv.insert(argv.begin(), io::self_executable());
  TRY(io::ChildProcess child, io::ChildProcess::spawn(argv, options));
  if (child.wait().code != 0)
    return fail(Errc::unavailable, "assay {} for {} failed: {}", verb, name, last_line(party.log));
  return {};
}

Status LocalMarket::launch_chain(const LocalMarketOptions& options) {
  std::string anvil = options.anvil;
  if (anvil.empty()) {
    TRY(anvil, io::find_anvil());
  }
  TRY(auto chain, io::DevChain::start({.anvil = anvil, .log_file = data_ + "/logs/chain.log"}));
  chain_ = std::make_unique<io::DevChain>(std::move(chain));
  chain_url_ = chain_->url();
  // Ten ether each: more gas than anybody here can use.
  Hash wei{};
  wei[23] = 0x8a;
  wei[24] = 0xc7;
  for (const auto& [name, party] : parties_)
    CHECK_OK(chain_->set_balance(party.address, crypto::Uint256(wei)));
  const LocalParty& deployer = parties_.at("deployer");
  std::vector<std::string> argv{"chain",
                                "deploy",
                                "--rpc",
                                chain_url_,
                                "--key",
                                deployer.key_file,
                                "--data",
                                deployer.data,
                                "--test-token-for",
                                parties_.at("ledger").address.to_string()};
  argv.insert(argv.end(), options.deploy_flags.begin(), options.deploy_flags.end());
  CHECK_OK(run("deployer", argv));
  manifest_ = deployer.data + "/manifest.json";
  return {};
}

std::vector<std::string> LocalMarket::settlement_flags() const {
  if (!chain_) return {"--market", market_url()};
  return {"--settlement", "evm",     "--rpc",   chain_url_,
          "--market",     manifest_, "--board", market_url()};
}

Result<LocalMarket> LocalMarket::start(const LocalMarketOptions& options,
                                       const std::function<bool()>& stopping) {
  LocalMarket market;
  market.data_ = options.data;
  CHECK_OK(io::make_directories(options.data, 0700));
  CHECK_OK(io::make_directories(options.data + "/keys", 0700));
  CHECK_OK(io::make_directories(options.data + "/logs", 0700));

  const std::string passphrase_file = options.data + "/passphrase";
  if (!io::path_exists(passphrase_file)) {
    const std::string made = to_hex_bare(io::random_hash());
    CHECK_OK(io::write_file_atomic(passphrase_file, view(made), 0600));
  }
  TRY(market.passphrase_, io::read_file(passphrase_file));

  const auto interrupted = [&] { return stopping && stopping(); };
  const auto cancelled = [] { return fail(Errc::cancelled, "stopped while starting"); };
  CHECK_OK(market.make_key(options, "ledger"));
  CHECK_OK(market.make_key(options, "buyer"));
  for (const auto& provider : options.providers) CHECK_OK(market.make_key(options, provider.name));
  if (options.on_chain) CHECK_OK(market.make_key(options, "deployer"));
  if (interrupted()) return cancelled();
  if (options.on_chain) CHECK_OK(market.launch_chain(options));

  std::vector<std::string> ledger{"market",
                                  "--data",
                                  market.party("ledger").data,
                                  "--key",
                                  market.party("ledger").key_file,
                                  "--port",
                                  std::to_string(options.market_port)};
  ledger.insert(ledger.end(), options.market_flags.begin(), options.market_flags.end());
  if (options.on_chain)
    for (const std::string& flag :
         {std::string("--settlement"), std::string("evm"), std::string("--rpc"), market.chain_url_,
          std::string("--market"), market.manifest_})
      ledger.push_back(flag);
  if (options.log) {
    TRY(const auto flags, market.launch_log());
    ledger.insert(ledger.end(), flags.begin(), flags.end());
  }
  CHECK_OK(market.launch("ledger", ledger));
  CHECK_OK(market.fund("buyer", options.buyer_funds));
  for (const auto& provider : options.providers)
    CHECK_OK(market.fund(provider.name, provider.stake));
  for (const auto& provider : options.providers) {
    if (interrupted()) return cancelled();
    std::vector<std::string> argv;
    if (provider.claims.empty())
      argv = {"provider", "--model", provider.model, "--batch-discount", "50"};
    else if (provider.bits != 0)
      argv = {"attack",  "model-swap",   "--bits", std::to_string(provider.bits),
              "--claim", provider.claims};
    else
      argv = {"attack", "model-swap", "--serve", provider.model, "--claim", provider.claims};
    const LocalParty& party = market.party(provider.name);
    for (const auto& flag : std::vector<std::string>{
             "--price-in", provider.price_in, "--price-out", provider.price_out, "--key",
             party.key_file, "--data", party.data, "--region", provider.region, "--stake",
             provider.stake, "--threads", std::to_string(options.threads)})
      argv.push_back(flag);
    for (const auto& flag : market.settlement_flags()) argv.push_back(flag);
    CHECK_OK(market.launch(provider.name, argv));
  }
  if (interrupted()) return cancelled();
  std::vector<std::string> gateway{"gateway",
                                   "--models",
                                   options.models,
                                   "--key",
                                   market.party("buyer").key_file,
                                   "--data",
                                   market.party("buyer").data,
                                   "--port",
                                   std::to_string(options.gateway_port)};
  if (options.log)
    for (const auto& flag :
         {std::string("--log"), market.log_url_, std::string("--log-key"), market.log_vkey_})
      gateway.push_back(flag);
  gateway.insert(gateway.end(), options.gateway_flags.begin(), options.gateway_flags.end());
  for (const auto& flag : market.settlement_flags()) gateway.push_back(flag);
  CHECK_OK(market.launch("buyer", gateway));
  return market;
}

LocalMarket::~LocalMarket() { stop(); }

void LocalMarket::stop() {
  while (!children_.empty()) {
    children_.back().second.terminate(kGraceMs);
    children_.pop_back();
  }
  if (chain_) chain_->process().terminate(kGraceMs);
  chain_.reset();
}

std::vector<std::string> LocalMarket::names() const { return order_; }

std::string LocalMarket::name_of(const crypto::Address& address) const {
  for (const auto& [name, party] : parties_)
    if (party.address == address) return name;
  return address.to_string();
}

std::vector<pid_t> LocalMarket::pids() const {
  std::vector<pid_t> out;
  for (const auto& [name, child] : children_) out.push_back(child.pid());
  return out;
}

std::string LocalMarket::dead() {
  for (auto& [name, child] : children_)
    if (!child.running()) return name + " ended by itself; see " + parties_.at(name).log;
  return "";
}

}  // namespace assay::cli
