// EIP-712 typed data: the digest that wallets, contracts and we sign. A struct hash is
// keccak256(typeHash ‖ words), one 32-byte word per member in the order of its type string.
#pragma once
#include "base/bytes.hpp"
#include "crypto/secp256k1.hpp"

namespace assay::crypto {

// EIP712Domain(string name,string version,bytes32 salt), name "Assay", version "0": a ledger
// that is not a contract is named by its 32-byte id alone.
Hash domain_separator_embedded(const Hash& ledger_id);

// EIP712Domain(string name,string version,uint256 chainId,address verifyingContract).
Hash domain_separator_evm(std::string_view name, std::string_view version, std::uint64_t chain_id,
                          const Address& verifying_contract);

// keccak256(0x19 0x01 ‖ domain_separator ‖ struct_hash).
Hash typed_digest(const Hash& domain_separator, const Hash& struct_hash);

// Collects the members of one struct. The caller keeps to the order of `type_string`, which is the
// encodeType of EIP-712: the struct's own declaration, then those it refers to in name order.
class StructHasher {
 public:
  explicit StructHasher(std::string_view type_string);
  explicit StructHasher(const Hash& type_hash);  // keccak256 of the type string

  StructHasher& address(const Address& a);
  StructHasher& bytes32(const Hash& word);  // also a nested struct's hash
  StructHasher& u64(std::uint64_t n);       // any unsigned integer type
  StructHasher& i64(std::int64_t n);        // any signed integer type: sign-extended
  StructHasher& boolean(bool b);
  StructHasher& bytes(ByteView data);                // dynamic bytes: hashed
  StructHasher& string(std::string_view text);       // hashed
  StructHasher& array(std::span<const Hash> words);  // keccak256 of the concatenated words

  Hash finish() const;

 private:
  Bytes encoded_;
};

}  // namespace assay::crypto
