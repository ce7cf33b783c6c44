#include "crypto/transaction.hpp"

#include "crypto/keccak.hpp"
#include "crypto/rlp.hpp"

namespace assay::crypto {
namespace {

RlpList members(const Transaction& t) {
  RlpList list;
  list.uint(t.chain_id).uint(t.nonce).uint(t.max_priority_fee_per_gas).uint(t.max_fee_per_gas);
  list.uint(t.gas_limit).bytes(t.to ? ByteView(t.to->bytes) : ByteView()).uint(t.value);
  return list.bytes(t.data).list(RlpList());
}

Bytes envelope(const RlpList& list) {
  Bytes out{2};
  append(out, list.encode());
  return out;
}

}  // namespace

Hash signing_hash(const Transaction& t) { return keccak256(envelope(members(t))); }

SignedTransaction sign_transaction(const Transaction& t, const SecretKey& key) {
  const Signature signature = sign(signing_hash(t), key);
  // As integers, so without leading zeros; a node refuses others.
  Hash r, s;
  std::copy_n(signature.bytes.begin(), 32, r.begin());
  std::copy_n(signature.bytes.begin() + 32, 32, s.begin());
  RlpList list = members(t);
  list.uint(signature.bytes[64] - 27u).uint(Uint256(r)).uint(Uint256(s));
  SignedTransaction out{.raw = envelope(list)};
  out.hash = keccak256(out.raw);
  return out;
}

Address created_address(const Address& sender, std::uint64_t nonce) {
  const Hash hash = keccak256(RlpList().address(sender).uint(nonce).encode());
  Address out;
  std::copy(hash.begin() + 12, hash.end(), out.bytes.begin());
  return out;
}

}  // namespace assay::crypto
