// A market of real processes on loopback: ledger and board, providers, one buyer's gateway, each an
// `assay` child with its own key and data directory under one folder. Used by `up` and `demo`.
#pragma once
#include <functional>
#include <map>

#include "base/json.hpp"
#include "crypto/keystore.hpp"
#include "io/dev_chain.hpp"
#include "io/process.hpp"
#include "settle/remote.hpp"

namespace assay::cli {

struct LocalProvider {
  std::string name;    // "alder": folder, key and log are named after it
  std::string model;   // GGUF it serves
  std::string claims;  // GGUF it says it serves; empty: honest. Else run as `attack model-swap`
  std::string price_in, price_out;  // per million tokens, decimal
  std::string stake;
  std::string region;
  unsigned bits = 0;  // a cheat's: `claims` is served at so few bits, `model` is not used
};

struct LocalMarketOptions {
  std::string data;    // created; holds everything written
  std::string models;  // folder of GGUF files for the gateway and the referee
  std::uint16_t market_port = 0, gateway_port = 0;  // 0: free ones
  std::vector<LocalProvider> providers;
  std::string buyer_funds = "10.00";
  std::vector<std::string> market_flags, gateway_flags;
  crypto::ScryptCost key_cost;  // demo keys live for a minute and may be cheap
  unsigned threads = 1;         // engine threads per provider
  bool log = false;             // with a transparency log beside the ledger
  // Settle on contracts on a chain of its own (io/dev_chain.hpp), which ends with the market.
  bool on_chain = false;
  std::string anvil{};  // the program; empty: where `make setup` puts it
  std::vector<std::string> deploy_flags{};
};

struct LocalParty {
  std::string name, key_file, data, log, url;
  crypto::Address address;
};

class LocalMarket {
 public:
  // Starts everything or nothing; on an error the children that ran are stopped and the error names
  // the log to read. `stopping` is asked between steps and ends the start with Errc::cancelled.
  static Result<LocalMarket> start(const LocalMarketOptions& options,
                                   const std::function<bool()>& stopping = {});
  LocalMarket(LocalMarket&&) = default;
  ~LocalMarket();

  const std::string& market_url() const { return parties_.at("ledger").url; }
  const std::string& gateway_url() const { return parties_.at("buyer").url; }
  // Of the chain, where there is one: its RPC, and the deployment's manifest.
  const std::string& chain_url() const { return chain_url_; }
  const std::string& manifest() const { return manifest_; }
  // Of the log, where there is one: its readers' side and its public key.
  const std::string& log_url() const { return log_url_; }
  const std::string& log_vkey() const { return log_vkey_; }
  const LocalParty& party(const std::string& name) const { return parties_.at(name); }
  std::vector<std::string> names() const;  // ledger, buyer, then providers in order
  std::string name_of(const crypto::Address& address) const;  // or its hex
  std::vector<pid_t> pids() const;
  // The first child that ended by itself, with its log; empty while all run.
  std::string dead();
  // Gateway, then providers, then the ledger; each gets SIGTERM and a grace period.
  void stop();

 private:
  LocalMarket() = default;
  Status make_key(const LocalMarketOptions& options, const std::string& name);
  // The child's ready line.
  Result<json::object> launch(const std::string& name, std::vector<std::string> argv);
  // Returns the flags that tell the market of it.
  Result<std::vector<std::string>> launch_log();
  Status fund(const std::string& name, const std::string& amount);
  // A verb of this program, to its end.
  Status run(const std::string& name, std::vector<std::string> argv);
  // A chain, money for gas, the contracts.
  Status launch_chain(const LocalMarketOptions& options);
  // What tells a party where it settles.
  std::vector<std::string> settlement_flags() const;

  std::string data_, passphrase_, log_url_, log_vkey_, chain_url_, manifest_;
  std::unique_ptr<io::DevChain> chain_;
  std::map<std::string, LocalParty> parties_;
  std::vector<std::string> order_;
  std::vector<std::pair<std::string, io::ChildProcess>> children_;
};

}  // namespace assay::cli
