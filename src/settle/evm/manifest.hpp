// What a deployment left, for whoever wants to use or check it (spec/chain.md):
//   {"deployment": "assay/0", "chain_id", "first_block", "deployer", "market", "token", "canon",
//    "beacon_host", "beacon", "audit_burned_bps", "parameters": {…},
//    "contracts": {NAME: {"address", "code_hash", "transaction", "gas"}}}
// Numbers are decimal strings, as everywhere. code_hash is the Keccak-256 of the code at the
// address (EIP-1052).
#pragma once
#include "market/settlement.hpp"

namespace assay::settle::evm {

// IAudits.sol, likewise fixed at construction.
struct AuditParameters {
  crypto::Address host{};  // signs the beacon's rounds
  Hash beacon{};           // value 0 of its chain; zero: nobody is drawn here
  std::uint32_t burned_bps = market::LedgerInfo{}.audit_burned_bps;
  bool operator==(const AuditParameters&) const = default;
};
// invalid unless the auditor keeps at least half of its fee, and a beacon has somebody to sign it.
Status check(const AuditParameters& audits);

struct DeployedContract {
  std::string name;
  crypto::Address address{};
  Hash code_hash{}, transaction{};
  std::uint64_t gas_used = 0;
};

struct Manifest {
  std::uint64_t chain_id = 0;
  std::uint64_t first_block = 0;  // events of this deployment begin here
  crypto::Address deployer{}, token{};
  market::Parameters parameters;
  AuditParameters audits;
  std::vector<DeployedContract> contracts;  // in the order they were deployed

  // not_found: the deployment has none of this name.
  Result<crypto::Address> address(std::string_view name) const;
};

// As a manifest has them: "beacon_host", "beacon", "audit_burned_bps".
json::object to_json(const AuditParameters& v);
json::object to_json(const Manifest& v);
// Errors: invalid, naming the member.
Result<Manifest> manifest_from_json(const json::object& o);

}  // namespace assay::settle::evm
