// Whether what stands on a chain is what this program would deploy, and what a manifest says.
#pragma once
#include "settle/evm/artifacts.hpp"
#include "settle/evm/chain_view.hpp"
#include "settle/evm/manifest.hpp"

namespace assay::settle::evm {

// Whether the code at each address is what this program would deploy there: what the chain says of
// the same constructor run now. Of a market all but its token, which is whoever's; with a manifest
// also what the market does not name: Anchor, Registry, and that a test token is there.
struct CodeCheck {
  std::string name;
  crypto::Address address{};
  Hash code_hash{}, built_hash{};  // built: zero where the constructor refuses
  bool present = false, same = false;
};
Result<std::vector<CodeCheck>> check_code(io::ChainRpc& rpc, const Artifacts& artifacts,
                                          const crypto::Address& market,
                                          const Manifest* manifest = nullptr);
// Of one contract that is constructed without arguments (Anchor, Registry). Errors: not_found when
// there is no code at the address.
Result<CodeCheck> check_code_at(io::ChainRpc& rpc, const Artifacts& artifacts,
                                const std::string& name, const crypto::Address& at);

// What is not as a manifest, or this program, says it is.
struct Difference {
  std::string of, field, expected, found;  // "Games", "code_hash", …
};
std::string to_string(const Difference& difference);
struct ManifestCheck {
  std::vector<Difference> differences;
  std::size_t transactions_unknown = 0;  // to the endpoint: what they made was not compared
};
// `checks` as check_code gave them for this manifest. The transactions (who deployed, in which
// block, for how much gas) are asked for only if `transactions`.
Result<ManifestCheck> check_manifest(io::ChainRpc& rpc, const Manifest& manifest,
                                     const std::vector<CodeCheck>& checks, bool transactions);
// Members of `found` that are not as expected; one that is missing shows as nothing.
void compare(const std::string& of, const json::object& expected, const json::object& found,
             std::vector<Difference>& out);

// A move, and a challenge window, must outlast an outage of the chain's sequencer and the time in
// which a transaction is forced in (12 to 24 hours on OP Stack and Arbitrum; IMarket.sol).
inline constexpr std::uint64_t kSafeDeadlineS = 93'600;  // 26 hours
bool is_local_chain(std::uint64_t chain_id);             // 31337 (anvil, Hardhat), 1337
// Why the deadlines are too short for this chain; empty: they are not.
std::string deadline_warning(const market::Parameters& parameters, std::uint64_t chain_id);

// Keccak-256 of the code at an address; nullopt: there is none.
Result<std::optional<Hash>> code_hash_at(io::ChainRpc& rpc, const crypto::Address& at);

}  // namespace assay::settle::evm
