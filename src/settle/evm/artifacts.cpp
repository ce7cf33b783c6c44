#include "settle/evm/artifacts.hpp"

#include "base/hex.hpp"
#include "base/json.hpp"

namespace assay::settle::evm {

Result<Artifacts> Artifacts::parse(std::string_view text) {
  TRY(const json::value document, json::parse(text, 16u << 20));
  TRY(const json::object* o, json::as_object(document, "the contracts' file"));
  TRY(const json::object* contracts, json::get_object(*o, "contracts"));
  Artifacts out;
  for (const auto& [name, code] : *contracts) {
    const auto* hex = code.if_string();
    if (hex == nullptr) return fail(Errc::invalid, "contract {}: no bytecode", std::string(name));
    auto bytes = from_hex(std::string_view(*hex));
    if (!bytes) return fail_in(std::string(name), bytes.error());
    out.contracts_[std::string(name)] = std::move(*bytes);
  }
  return out;
}

Result<Bytes> Artifacts::bytecode(const std::string& name) const {
  const auto found = contracts_.find(name);
  if (found == contracts_.end()) return fail(Errc::not_found, "no compiled contract {}", name);
  return found->second;
}

}  // namespace assay::settle::evm
