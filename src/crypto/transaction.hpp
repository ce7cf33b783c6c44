// Ethereum transactions of type 2 (EIP-2718 envelope, EIP-1559 fees), as a node takes them:
//   0x02 ‖ rlp([chainId, nonce, maxPriorityFeePerGas, maxFeePerGas, gasLimit, to, value, data,
//               accessList, yParity, r, s])
// The access list is always empty.
#pragma once
#include <optional>

#include "crypto/secp256k1.hpp"
#include "crypto/uint256.hpp"

namespace assay::crypto {

// Fees in wei per unit of gas. 64 bits of them are 18 ether for one gas: no fee worth paying.
struct Transaction {
  std::uint64_t chain_id = 0, nonce = 0;
  std::uint64_t max_priority_fee_per_gas = 0, max_fee_per_gas = 0;
  std::uint64_t gas_limit = 0;
  std::optional<Address> to;  // nullopt: `data` creates a contract
  Uint256 value;              // wei
  Bytes data;
};

struct SignedTransaction {
  Bytes raw;    // for eth_sendRawTransaction
  Hash hash{};  // keccak256(raw): the transaction's id
};

Hash signing_hash(const Transaction& t);
// Deterministic (RFC 6979): the same transaction and key give the same bytes and hash.
SignedTransaction sign_transaction(const Transaction& t, const SecretKey& key);

// Where a transaction with to = nullopt puts its contract: keccak256(rlp([sender, nonce]))[12:].
Address created_address(const Address& sender, std::uint64_t nonce);

}  // namespace assay::crypto
