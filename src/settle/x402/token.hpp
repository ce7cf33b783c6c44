// The token x402 payments are made in: an ERC-20 of 6 decimals with EIP-3009
// (https://eips.ethereum.org/EIPS/eip-3009). Reads are of the newest block.
//
// Trust: the token's issuer, who can freeze; the endpoints, for what they answer.
#pragma once
#include "io/chain_rpc.hpp"
#include "protocol/x402.hpp"

namespace assay::settle::x402 {

using protocol::Address;
using protocol::Micros;
using protocol::x402::Authorization;

class Token {
 public:
  // Asks the chain for the token's EIP-712 domain. Errors: unsupported when it is not of 6
  // decimals, does not know EIP-3009, or signs under a domain that is not {name, version, chain,
  // address}.
  static Result<Token> open(io::ChainRpc& rpc, const Address& asset);

  // Chain, asset, name and version; nothing else is filled in.
  const protocol::x402::Requirements& domain() const { return domain_; }

  // Whether the nonce is gone: paid, or cancelled.
  Result<bool> used(const Authorization& authorization) const;
  Result<Micros> balance(const Address& of) const;  // at most 2^63-1
  Result<std::uint64_t> block() const;

  // It was not used, and no block can use it any more: one `confirmations` deep is past its time.
  Result<bool> lapsed(const Authorization& authorization, std::uint64_t confirmations) const;

  static Bytes transfer_call(const Authorization& authorization,
                             const crypto::Signature& signature);
  // Runs the transfer as `sender` would. refused: it would revert, and why.
  Status rehearse(const Authorization& authorization, const crypto::Signature& signature,
                  const Address& sender) const;

  // The transaction that moved exactly this payment, whoever sent it: the token's AuthorizationUsed
  // with its Transfer right behind it, not before first_block. nullopt: there is none, so a used
  // nonce was cancelled, or spent on something else.
  struct Use {
    Hash transaction{};
    std::uint64_t block_num = 0;
  };
  Result<std::optional<Use>> find_use(const Authorization& authorization,
                                      std::uint64_t first_block) const;

 private:
  Token(io::ChainRpc& rpc, protocol::x402::Requirements domain)
      : rpc_(&rpc), domain_(std::move(domain)) {}
  io::ChainRpc* rpc_;
  protocol::x402::Requirements domain_;
};

}  // namespace assay::settle::x402
