// Puts a market on a chain: the referee and its parts, the courts, what hired auditors need, the
// market, the anchor and the registry, in an order in which each knows the others at its
// construction. Nobody owns any of it.
#pragma once
#include <functional>

#include "io/chain_sender.hpp"
#include "settle/evm/artifacts.hpp"
#include "settle/evm/manifest.hpp"

namespace assay::settle::evm {

struct DeployPlan {
  Hash id{};  // of the deployment: the same id again goes on where it stopped
  market::Parameters parameters;
  AuditParameters audits{};
  std::optional<crypto::Address> token;  // none: a test token, that anybody can mint
  crypto::Address mint_to{};             // of the test token: who gets some; zero: nobody
  // By name, instead of what the real referee needs, for tests: "Games" and "Keyed". Then these,
  // and the market alone.
  std::map<std::string, Bytes> toys{};
  std::int64_t patience_ms = 300'000;  // for one transaction
};

// Told of each contract before it is sent or looked for: the first of `of` is 1.
using DeployProgress =
    std::function<void(const std::string& name, std::size_t number, std::size_t of)>;

// The sender's key must send nothing else meanwhile: a contract's address follows from its nonce.
// Errors: invalid (parameters), conflict (the key was used for something else in between: deploy
// anew), unavailable at once when the key cannot pay for gas, and those of the chain.
Result<Manifest> deploy(io::ChainRpc& rpc, io::ChainSender& sender, const Artifacts& artifacts,
                        const DeployPlan& plan, const DeployProgress& progress = {});

// What a contract is constructed with, by its name, given where the others are ("Token": the
// market's). not_found: there is no contract of this name.
Result<Bytes> creation_code(const Artifacts& artifacts, const std::string& name,
                            const std::map<std::string, crypto::Address>& at,
                            const market::Parameters& parameters, const AuditParameters& audits);

}  // namespace assay::settle::evm
