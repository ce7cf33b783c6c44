#include "settle/evm/code_check.hpp"

#include "base/hex.hpp"
#include "crypto/keccak.hpp"
#include "io/dev_chain.hpp"
#include "settle/evm/deploy.hpp"

namespace assay::settle::evm {

using crypto::Address;

namespace {

Result<Bytes> code_at(io::ChainRpc& rpc, const Address& at) {
  auto code = rpc.call("eth_getCode", {at.to_string(), "latest"});
  if (!code) return std::unexpected(Error(code.error()));
  return io::bytes_from(*code);
}

// The constructor run again: immutables are in the code, so bytes alone do not compare.
Result<CodeCheck> compare_code(io::ChainRpc& rpc, const std::string& name, const Address& at,
                               const Bytes& creation) {
  CodeCheck check{.name = name, .address = at};
  TRY(const Bytes code, code_at(rpc, at));
  check.present = !code.empty();
  check.code_hash = crypto::keccak256(code);
  const auto again = rpc.eth_call({.from = {}, .to = {}, .value = {}, .data = creation}, "latest");
  if (!again && again.error().kind != io::ChainErrc::reverted)
    return std::unexpected(Error(again.error()));
  if (again) check.built_hash = crypto::keccak256(*again);
  check.same = check.present && again && *again == code;
  return check;
}

// What the transaction of one contract made, where the endpoint still knows it.
Status check_transaction(io::ChainRpc& rpc, const DeployedContract& c, ManifestCheck& out,
                         std::uint64_t& first_block) {
  const auto receipt = rpc.receipt(c.transaction);
  if (!receipt) return std::unexpected(Error(receipt.error()));
  if (!*receipt) {
    ++out.transactions_unknown;
    return {};
  }
  const io::ChainReceipt& r = **receipt;
  if (r.created != c.address)
    out.differences.push_back(
        {c.name, "transaction", "the one that made " + c.address.to_string(),
         r.created ? "one that made " + r.created->to_string() : "one that made no contract"});
  if (r.gas_used != c.gas_used)
    out.differences.push_back(
        {c.name, "gas", std::to_string(c.gas_used), std::to_string(r.gas_used)});
  first_block = std::min(first_block, r.block_num);
  return {};
}

Status check_deployer(io::ChainRpc& rpc, const Manifest& manifest, ManifestCheck& out) {
  const auto reply =
      rpc.call("eth_getTransactionByHash", {to_hex(manifest.contracts.front().transaction)});
  if (!reply) return std::unexpected(Error(reply.error()));
  if (reply->is_null()) return {};
  TRY(const json::object* o, json::as_object(*reply, "eth_getTransactionByHash"));
  TRY(const std::string text, json::get_string(*o, "from"));
  TRY(const Address from, Address::parse(text));
  if (from != manifest.deployer)
    out.differences.push_back(
        {"the manifest", "deployer", manifest.deployer.to_string(), from.to_string()});
  return {};
}

}  // namespace

Result<std::optional<Hash>> code_hash_at(io::ChainRpc& rpc, const Address& at) {
  TRY(const Bytes code, code_at(rpc, at));
  if (code.empty()) return std::nullopt;
  return crypto::keccak256(code);
}

Result<CodeCheck> check_code_at(io::ChainRpc& rpc, const Artifacts& artifacts,
                                const std::string& name, const Address& at) {
  TRY(const Bytes creation, creation_code(artifacts, name, {}, {}, {}));
  TRY(CodeCheck check, compare_code(rpc, name, at, creation));
  if (!check.present)
    return fail(Errc::not_found, "there is no contract at {} on this chain: {} was expected there",
                at.to_string(), name);
  return check;
}

Result<std::vector<CodeCheck>> check_code(io::ChainRpc& rpc, const Artifacts& artifacts,
                                          const Address& market, const Manifest* manifest) {
  const auto named = contracts_of(rpc, market);
  if (!named && named.error().code == Errc::unavailable) return std::unexpected(named.error());
  if (!named)
    return fail(
        named.error().code,
        "a contract of this market does not answer as this program's own would, so its code "
        "is another: {}",
        named.error().message);
  const Contracts& contracts = *named;
  TRY(const market::Parameters parameters, parameters_of(rpc, market));
  TRY(const AuditParameters audits, audit_parameters_of(rpc, contracts.audits));
  std::map<std::string, Address> at{{"Market", market},
                                    {"Disputes", contracts.disputes},
                                    {"Deliveries", contracts.deliveries},
                                    {"Games", contracts.games},
                                    {"Programs", contracts.programs},
                                    {"Referee", contracts.referee},
                                    {"Keyed", contracts.keyed},
                                    {"Auditors", contracts.auditors},
                                    {"Checks", contracts.checks},
                                    {"Passes", contracts.passes},
                                    {"Audits", contracts.audits},
                                    {"Blocks", contracts.blocks},
                                    {"Token", contracts.token}};
  constexpr std::pair<const char*, const char*> kOwn[] = {{"LayerSteps", "layerSteps()"},
                                                          {"ProductSteps", "productSteps()"},
                                                          {"AttentionSteps", "attentionSteps()"},
                                                          {"SamplingSteps", "samplingSteps()"},
                                                          {"LogprobSteps", "logprobSteps()"},
                                                          {"ConstraintSteps", "constraintSteps()"},
                                                          {"Finish", "finish()"}};
  for (const auto& [name, getter] : kOwn) {
    TRY(const Bytes data, call_view(rpc, contracts.referee, AbiWriter().call(getter), "latest"));
    TRY(at[name], AbiReader(data).address());
  }
  for (const char* name : {"Anchor", "Registry", "TestDollar"})
    if (manifest != nullptr)
      if (const auto address = manifest->address(name)) at[name] = *address;
  std::vector<CodeCheck> out;
  for (const auto& [name, address] : at) {
    if (name == "Token") continue;
    if (name == "TestDollar") {
      // It keeps its own address in its code (EIP-712), so that no other run gives the same.
      CodeCheck check{.name = name, .address = address};
      TRY(const auto hash, code_hash_at(rpc, address));
      check.present = check.same = hash.has_value();
      check.code_hash = check.built_hash = hash.value_or(Hash{});
      out.push_back(std::move(check));
      continue;
    }
    TRY(const Bytes creation, creation_code(artifacts, name, at, parameters, audits));
    TRY(CodeCheck check, compare_code(rpc, name, address, creation));
    out.push_back(std::move(check));
  }
  return out;
}

std::string to_string(const Difference& d) {
  return fmt::format("{}: {} is {}, expected {}", d.of, d.field,
                     d.found.empty() ? "missing" : d.found,
                     d.expected.empty() ? "nothing" : d.expected);
}

void compare(const std::string& of, const json::object& expected, const json::object& found,
             std::vector<Difference>& out) {
  const auto text = [](const json::object& o, std::string_view key) -> std::string {
    const json::value* v = o.if_contains(key);
    if (v == nullptr) return "";
    return v->is_string() ? std::string(v->as_string()) : json::dump(*v);
  };
  const auto note = [&](std::string_view key) {
    std::string wanted = text(expected, key), got = text(found, key);
    if (wanted != got) out.push_back({of, std::string(key), std::move(wanted), std::move(got)});
  };
  for (const auto& [key, value] : expected) note(key);
  for (const auto& [key, value] : found)
    if (!expected.contains(key)) note(key);
}

Result<ManifestCheck> check_manifest(io::ChainRpc& rpc, const Manifest& manifest,
                                     const std::vector<CodeCheck>& checks, bool transactions) {
  ManifestCheck out;
  TRY(const Address market, manifest.address("Market"));
  TRY(const Contracts contracts, contracts_of(rpc, market));
  TRY(const market::Parameters parameters, parameters_of(rpc, market));
  TRY(const AuditParameters audits, audit_parameters_of(rpc, contracts.audits));
  auto& differences = out.differences;
  compare("the manifest", {{"token", manifest.token.to_string()}},
          {{"token", contracts.token.to_string()}}, differences);
  compare("the manifest's parameters", market::to_json(manifest.parameters),
          market::to_json(parameters), differences);
  compare("the manifest", to_json(manifest.audits), to_json(audits), differences);
  for (const CodeCheck& check : checks) {
    const auto said = std::ranges::find(manifest.contracts, check.name, &DeployedContract::name);
    json::object expected, found{{"address", check.address.to_string()}};
    if (said == manifest.contracts.end()) {
      compare(check.name, expected, found, differences);
      continue;
    }
    expected["address"] = said->address.to_string();
    expected["code_hash"] = to_hex(said->code_hash);
    found["code_hash"] = check.present ? to_hex(check.code_hash) : "";
    // The chain is asked which token the market has, not what the manifest calls one.
    if (check.name == "TestDollar") found["address"] = contracts.token.to_string();
    compare(check.name, expected, found, differences);
  }
  for (const char* name : {"Anchor", "Registry"})
    if (!manifest.address(name)) differences.push_back({name, "address", "one", ""});
  if (!transactions || manifest.contracts.empty()) return out;
  std::uint64_t first_block = UINT64_MAX;
  for (const DeployedContract& c : manifest.contracts)
    CHECK_OK(check_transaction(rpc, c, out, first_block));
  if (out.transactions_unknown == 0 && first_block != manifest.first_block)
    differences.push_back({"the manifest", "first_block", std::to_string(first_block),
                           std::to_string(manifest.first_block)});
  CHECK_OK(check_deployer(rpc, manifest, out));
  return out;
}

bool is_local_chain(std::uint64_t chain_id) {
  return chain_id == io::DevChain::kChainId || chain_id == 1337;
}

std::string deadline_warning(const market::Parameters& p, std::uint64_t chain_id) {
  if (is_local_chain(chain_id) || (p.move_s >= kSafeDeadlineS && p.window_min_s >= kSafeDeadlineS))
    return "";
  return fmt::format(
      "a move has {} s and the shortest challenge window {} s: on a chain whose sequencer can be "
      "down, or keep transactions out, for 12 to 24 h, honest parties lose by that; at least {} s "
      "(26 h) are safe there (--move-deadline, --window-min)",
      p.move_s, p.window_min_s, kSafeDeadlineS);
}

}  // namespace assay::settle::evm
