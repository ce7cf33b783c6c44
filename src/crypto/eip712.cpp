#include "crypto/eip712.hpp"

#include "crypto/keccak.hpp"

namespace assay::crypto {

Hash domain_separator_embedded(const Hash& ledger_id) {
  return StructHasher("EIP712Domain(string name,string version,bytes32 salt)")
      .string("Assay")
      .string("0")
      .bytes32(ledger_id)
      .finish();
}

Hash domain_separator_evm(std::string_view name, std::string_view version, std::uint64_t chain_id,
                          const Address& verifying_contract) {
  return StructHasher(
             "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
      .string(name)
      .string(version)
      .u64(chain_id)
      .address(verifying_contract)
      .finish();
}

Hash typed_digest(const Hash& domain_separator, const Hash& struct_hash) {
  std::array<std::uint8_t, 66> buffer;
  buffer[0] = 0x19;
  buffer[1] = 0x01;
  std::memcpy(buffer.data() + 2, domain_separator.data(), 32);
  std::memcpy(buffer.data() + 34, struct_hash.data(), 32);
  return keccak256(buffer);
}

StructHasher::StructHasher(std::string_view type_string)
    : StructHasher(keccak256(view(type_string))) {}

StructHasher::StructHasher(const Hash& type_hash) {
  append(encoded_, type_hash);
}

StructHasher& StructHasher::address(const Address& a) {
  encoded_.insert(encoded_.end(), 12, 0);
  append(encoded_, a.bytes);
  return *this;
}

StructHasher& StructHasher::bytes32(const Hash& word) {
  append(encoded_, word);
  return *this;
}

StructHasher& StructHasher::u64(std::uint64_t n) {
  encoded_.insert(encoded_.end(), 24, 0);
  append_be(encoded_, n);
  return *this;
}

StructHasher& StructHasher::i64(std::int64_t n) {
  encoded_.insert(encoded_.end(), 24, n < 0 ? 0xff : 0x00);
  append_be(encoded_, n);
  return *this;
}

StructHasher& StructHasher::boolean(bool b) { return u64(b ? 1 : 0); }

StructHasher& StructHasher::bytes(ByteView data) { return bytes32(keccak256(data)); }

StructHasher& StructHasher::string(std::string_view text) { return bytes(view(text)); }

StructHasher& StructHasher::array(std::span<const Hash> words) {
  Bytes joined;
  joined.reserve(words.size() * 32);
  for (const Hash& word : words) append(joined, word);
  return bytes(joined);
}

Hash StructHasher::finish() const { return keccak256(encoded_); }

}  // namespace assay::crypto
