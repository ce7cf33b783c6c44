#include "io/dev_chain.hpp"

#include "io/files.hpp"
#include "io/system_clock.hpp"

namespace assay::io {
namespace {

constexpr std::int64_t kStartMs = 30'000;
constexpr std::string_view kInFolder = "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";

}  // namespace

DevChain::DevChain(ChildProcess process, std::string url)
    : process_(std::move(process)),
      url_(std::move(url)),
      rpc_(std::make_unique<ChainRpc>(
          ChainRpcOptions{.endpoints = {url_}, .chain_id = kChainId})) {}

Result<DevChain> DevChain::start(const DevChainOptions& options) {
  if (!path_exists(options.anvil))
    return fail(Errc::not_found, "there is no anvil at {}: run `make setup` in a checkout, or say "
                "where it is (--anvil PATH)",
                options.anvil);
  ChildOptions child;
  child.out = child.err = ChildOptions::Output::file;
  child.out_file = child.err_file = options.log_file;
  // Without a bound on its history it keeps every block's state, by the gigabyte, in ~/.foundry.
  std::vector<std::string> argv{options.anvil, "--port", "0", "--prune-history", "256"};
  argv.insert(argv.end(), options.arguments.begin(), options.arguments.end());
  TRY(ChildProcess process, ChildProcess::spawn(argv, child));
  constexpr std::string_view kSaid = "Listening on ";
  for (const std::int64_t until = steady_ms() + kStartMs; steady_ms() < until;) {
    const std::string log = read_file(options.log_file).value_or("");
    const std::size_t at = log.find(kSaid);
    if (at != std::string::npos) {
      const std::size_t end = log.find('\n', at);
      if (end != std::string::npos)
        return DevChain(std::move(process),
                        "http://" + log.substr(at + kSaid.size(), end - at - kSaid.size()));
    }
    if (process.wait_for(20))
      return fail(Errc::unavailable, "anvil ended at its start: see {}", options.log_file);
  }
  return fail(Errc::unavailable, "anvil did not start in {} s: see {}", kStartMs / 1000,
              options.log_file);
}

Status DevChain::set_balance(const Address& of, const Uint256& wei) {
  CHECK_OK(rpc_->call("anvil_setBalance", {of.to_string(), crypto::to_quantity(wei)}));
  return {};
}

Status DevChain::set_next_time(std::uint64_t unix_s) {
  CHECK_OK(rpc_->call("evm_setNextBlockTimestamp", {crypto::to_quantity(unix_s)}));
  return {};
}

Status DevChain::mine() {
  CHECK_OK(rpc_->call("evm_mine", {}));
  return {};
}

Result<std::string> find_anvil() {
  const std::string self = self_executable();
  const std::string beside = self.substr(0, self.rfind('/'));
  for (const std::string& root :
       {std::string("."), beside + "/..", beside + "/../..", beside + "/../../.."}) {
    const std::string path = fmt::format("{}/contracts/{}", root, kInFolder);
    if (path_exists(path)) return path;
  }
  return fail(Errc::not_found, 
              "anvil, the chain's program, is missing. In a checkout `make setup` installs it; "
              "elsewhere `npm install @foundry-rs/anvil-linux-amd64@1` does, or the installer of "
              "getfoundry.sh: then say where it is (--anvil PATH)");
}

}  // namespace assay::io
