#include "settle/evm/manifest.hpp"

#include "base/hex.hpp"

namespace assay::settle::evm {
namespace {

constexpr std::string_view kFormat = "assay/0";

Result<std::uint64_t> number(const json::object& o, std::string_view name) {
  TRY(const std::string text, json::get_string(o, name));
  return json::parse_u64(text);
}
Result<crypto::Address> address_in(const json::object& o, std::string_view name) {
  TRY(const std::string text, json::get_string(o, name));
  auto address = crypto::Address::parse(text);
  if (!address) return fail_in(name, address.error());
  return address;
}
Result<Hash> hash_in(const json::object& o, std::string_view name) {
  TRY(const std::string text, json::get_string(o, name));
  auto hash = array_from_hex<32>(text);
  if (!hash) return fail_in(name, hash.error());
  return hash;
}

}  // namespace

Result<crypto::Address> Manifest::address(std::string_view name) const {
  const auto found = std::ranges::find(contracts, name, &DeployedContract::name);
  if (found == contracts.end())
    return fail(Errc::not_found, "this deployment has no contract {}", name);
  return found->address;
}

json::object to_json(const Manifest& v) {
  json::object contracts;
  std::string market;
  for (const auto& c : v.contracts) {
    contracts[c.name] = json::object{{"address", c.address.to_string()},
                                     {"code_hash", to_hex(c.code_hash)},
                                     {"transaction", to_hex(c.transaction)},
                                     {"gas", std::to_string(c.gas_used)}};
    if (c.name == "Market") market = c.address.to_string();
  }
  return {{"deployment", kFormat},
          {"chain_id", std::to_string(v.chain_id)},
          {"first_block", std::to_string(v.first_block)},
          {"deployer", v.deployer.to_string()},
          {"market", market},
          {"token", v.token.to_string()},
          {"canon", "0 (a draft: not yet frozen)"},
          {"parameters", market::to_json(v.parameters)},
          {"contracts", contracts}};
}

Result<Manifest> manifest_from_json(const json::object& o) {
  Manifest out;
  TRY(const std::string format, json::get_string(o, "deployment"));
  if (format != kFormat)
    return fail(Errc::unsupported, "a deployment of format {}, this program knows {}", format,
                kFormat);
  TRY(out.chain_id, number(o, "chain_id"));
  TRY(out.first_block, number(o, "first_block"));
  TRY(out.deployer, address_in(o, "deployer"));
  TRY(out.token, address_in(o, "token"));
  TRY(const json::object* parameters, json::get_object(o, "parameters"));
  TRY(out.parameters, market::parameters_from_json(*parameters));
  TRY(const json::object* contracts, json::get_object(o, "contracts"));
  for (const auto& [name, value] : *contracts) {
    TRY(const json::object* c, json::as_object(value, std::string(name)));
    DeployedContract contract;
    contract.name = std::string(name);
    TRY(contract.address, address_in(*c, "address"));
    TRY(contract.code_hash, hash_in(*c, "code_hash"));
    TRY(contract.transaction, hash_in(*c, "transaction"));
    TRY(contract.gas_used, number(*c, "gas"));
    out.contracts.push_back(std::move(contract));
  }
  // Said twice; readers of either must find the same contract.
  TRY(const crypto::Address market, address_in(o, "market"));
  TRY(const crypto::Address contract, out.address("Market"));
  if (market != contract)
    return fail(Errc::invalid, "\"market\" is {}, but contracts.Market is at {}",
                market.to_string(), contract.to_string());
  return out;
}

}  // namespace assay::settle::evm
