// EIP-712 hashing, signing and JSON of any message in messages.hpp or operations.hpp.
// Template definitions live in typed_impl.hpp, included here; heavy JSON code stays in typed.cpp.
#pragma once
#include "base/json.hpp"
#include "crypto/eip712.hpp"
#include "protocol/audits.hpp"
#include "protocol/messages.hpp"
#include "protocol/operations.hpp"

namespace assay::protocol {

// The ledger instance every signature is bound to. Exactly one of the two forms.
struct Domain {
  Hash ledger{};               // embedded: random id made when the ledger was created
  std::uint64_t chain_id = 0;  // EVM: chain and contract (ledger zero)
  Address contract{};
  Hash separator() const;
  json::object to_json() const;
  static Result<Domain> from_json(const json::object& o);
  bool operator==(const Domain&) const = default;
};

template <class M>
std::string type_string();  // "Request(bytes32 lease,…)"
template <class M>
Hash struct_hash(const M& message);
template <class M>
Hash digest(const Domain& domain, const M& message);  // what is signed; a message's id

template <class M>
Signed<M> sign(const Domain& domain, M message, const crypto::SecretKey& key);
// mismatch unless `signer` signed it under this domain.
template <class M>
Status check_signature(const Domain& domain, const Signed<M>& message, const Address& signer);

template <class M>
json::object to_json(const M& message);
// Refuses unknown, missing or mistyped members, naming them.
template <class M>
Result<M> from_json(const json::object& o);
// {"message": {...}, "signature": "0x…"}
template <class M>
json::object to_json(const Signed<M>& message);
template <class M>
Result<Signed<M>> signed_from_json(const json::object& o);

}  // namespace assay::protocol

#include "protocol/typed_impl.hpp"
