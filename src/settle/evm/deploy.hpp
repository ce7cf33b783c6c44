// Puts a market on a chain: the referee and its parts, the courts, the market, the anchor and the
// registry, in an order in which each knows the others at its construction. Nobody owns any of it.
#pragma once
#include <functional>

#include "io/chain_sender.hpp"
#include "settle/evm/artifacts.hpp"
#include "settle/evm/manifest.hpp"

namespace assay::settle::evm {

struct DeployPlan {
  Hash id{};  // of the deployment: the same id again goes on where it stopped
  market::Parameters parameters;
  std::optional<crypto::Address> token;  // none: a test token, that anybody can mint
  crypto::Address mint_to{};             // of the test token: who gets some; zero: nobody
  // Instead of the games of the real referee, for tests: these, and the market alone.
  std::optional<Bytes> games{};
  std::int64_t patience_ms = 300'000;  // for one transaction
};

// Told of each contract when it is final.
using DeployProgress = std::function<void(const DeployedContract&)>;

// The sender's key must send nothing else meanwhile: a contract's address follows from its nonce.
// Errors: invalid (parameters), conflict (the key was used for something else in between: deploy
// anew), and those of the chain.
Result<Manifest> deploy(io::ChainRpc& rpc, io::ChainSender& sender, const Artifacts& artifacts,
                        const DeployPlan& plan, const DeployProgress& progress = {});

// Whether the code at each address is what this program would deploy there: what the chain says of
// the same constructor run now. `false` names the contract.
struct CodeCheck {
  std::string name;
  crypto::Address address{};
  Hash code_hash{};
  bool present = false, same = false;
};
Result<std::vector<CodeCheck>> check_code(io::ChainRpc& rpc, const Artifacts& artifacts,
                                          const crypto::Address& market);

// Keccak-256 of the code at an address; nullopt: there is none.
Result<std::optional<Hash>> code_hash_at(io::ChainRpc& rpc, const crypto::Address& at);

}  // namespace assay::settle::evm
