#include "protocol/typed.hpp"

#include "protocol/recovered_signers.hpp"

namespace assay::protocol {

Hash Domain::separator() const {
  return chain_id == 0 ? crypto::domain_separator_embedded(ledger)
                       : crypto::domain_separator_evm("Assay", "0", chain_id, contract);
}

json::object Domain::to_json() const {
  json::object out{{"name", "Assay"}, {"version", "0"}};
  FieldWriter write{out};
  if (chain_id == 0) {
    write("salt", ledger);
  } else {
    write("chainId", chain_id);
    write("verifyingContract", contract);
  }
  return out;
}

Result<Domain> Domain::from_json(const json::object& o) {
  Domain out;
  std::string name, version;
  FieldReader read(o, "domain");
  read("name", name);
  read("version", version);
  if (o.contains("salt")) {
    read("salt", out.ledger);
  } else {
    read("chainId", out.chain_id);
    read("verifyingContract", out.contract);
  }
  CHECK_OK(read.finish());
  if (name != "Assay" || version != "0")
    return fail(Errc::unsupported, "domain: this program speaks Assay version 0, not '{}' '{}'",
                name, version);
  if (!o.contains("salt") && out.chain_id == 0)
    return fail(Errc::invalid, "domain: 'chainId' must not be 0");
  return out;
}

Status detail::check_signer(std::string_view what, const Hash& digest, const Signature& signature,
                            const Address& signer) {
  const auto recovered = signer_of(digest, signature);
  if (!recovered) return fail_in(what, recovered.error());
  if (*recovered != signer)
    return fail(Errc::mismatch,
                "{}: signature recovers to {}, expected {} (or other content or "
                "another ledger was signed)",
                what, recovered->to_string(), signer.to_string());
  return {};
}

}  // namespace assay::protocol
