// RLP, Ethereum's serialization of byte strings and lists (Yellow Paper, appendix B): encoding
// only, since nothing we read comes in it.
#pragma once
#include "base/bytes.hpp"
#include "crypto/secp256k1.hpp"
#include "crypto/uint256.hpp"

namespace assay::crypto {

// A list, filled in order. Integers are byte strings without leading zeros, zero the empty one.
class RlpList {
 public:
  RlpList& bytes(ByteView string);
  RlpList& uint(const Uint256& n);
  RlpList& address(const Address& a) { return bytes(a.bytes); }
  RlpList& list(const RlpList& inner);

  Bytes encode() const;  // with the list's own header

 private:
  Bytes payload_;
};

Bytes rlp_string(ByteView string);  // outside any list

}  // namespace assay::crypto
