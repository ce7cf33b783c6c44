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

Result<AuditParameters> audits_from_json(const json::object& o) {
  AuditParameters out;
  TRY(out.host, address_in(o, "beacon_host"));
  TRY(out.beacon, hash_in(o, "beacon"));
  TRY(const std::uint64_t burned, number(o, "audit_burned_bps"));
  out.burned_bps = static_cast<std::uint32_t>(std::min<std::uint64_t>(burned, UINT32_MAX));
  CHECK_OK(check(out));
  return out;
}

}  // namespace

Status check(const AuditParameters& audits) {
  if (audits.burned_bps > market::kAuditBurnedBpsMax)
    return fail(Errc::invalid,
                "audit_burned_bps {} is not in [0, {}]: half of a fee is its auditor's",
                audits.burned_bps, market::kAuditBurnedBpsMax);
  if (audits.beacon != Hash{} && audits.host.is_zero())
    return fail(Errc::invalid, "a beacon without a host: nobody could sign its rounds");
  return {};
}

json::object to_json(const AuditParameters& v) {
  return {{"beacon_host", v.host.to_string()},
          {"beacon", to_hex(v.beacon)},
          {"audit_burned_bps", std::to_string(v.burned_bps)}};
}

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
  json::object out{{"deployment", kFormat},
                   {"chain_id", std::to_string(v.chain_id)},
                   {"first_block", std::to_string(v.first_block)},
                   {"deployer", v.deployer.to_string()},
                   {"market", market},
                   {"token", v.token.to_string()},
                   {"canon", "0 (a draft: not yet frozen)"}};
  for (auto& [name, value] : to_json(v.audits)) out[name] = std::move(value);
  out["parameters"] = market::to_json(v.parameters);
  out["contracts"] = std::move(contracts);
  return out;
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
  TRY(out.audits, audits_from_json(o));
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
