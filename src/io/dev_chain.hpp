// A chain for one process: anvil (Foundry's node, pinned through npm in contracts/), started on a
// free port of loopback, whose time, blocks and balances its owner sets. For the demo and tests;
// nothing on it is worth anything.
#pragma once
#include "io/chain_rpc.hpp"
#include "io/process.hpp"

namespace assay::io {

struct DevChainOptions {
  std::string anvil;     // the program
  std::string log_file;  // its output
  std::vector<std::string> arguments{};
};

class DevChain {
 public:
  static constexpr std::uint64_t kChainId = 31337;

  // Answers when it returns. Errors: not_found (no such program), unavailable.
  static Result<DevChain> start(const DevChainOptions& options);

  const std::string& url() const { return url_; }
  ChainRpc& rpc() { return *rpc_; }
  ChildProcess& process() { return process_; }

  Status set_balance(const Address& of, const Uint256& wei);
  // The time of the next block; later than the last one's.
  Status set_next_time(std::uint64_t unix_s);
  Status mine();

 private:
  DevChain(ChildProcess process, std::string url);
  ChildProcess process_;
  std::string url_;
  std::unique_ptr<ChainRpc> rpc_;
};

// Where make setup puts anvil, seen from a checkout's root or from beside its build folder;
// not_found says so.
Result<std::string> find_anvil();

}  // namespace assay::io
