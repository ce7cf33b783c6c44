// Each operation of the ledger as a call of a contract (contracts/src): the signed message and its
// signature, then whatever the contract does not keep, looked up on the chain.
#pragma once
#include "settle/evm/chain_view.hpp"

namespace assay::settle::evm {

struct Call {
  crypto::Address to{};
  Bytes data;
};

inline constexpr std::size_t kClaimBlock = 32;  // leaves that a contest asks for: Claims.sol, BLOCK

// What is not known (a lease that was never opened) goes as zeros: the contract has the last word.
// Not for deposits, which are transfers of a token. Errors: unsupported (reports of latency), and
// what the embedded ledger says where the contracts have no such case.
Result<Call> call_of(ChainView& chain, const market::Operation& operation);

// Draws an audit whose round was published without it, as far as one transaction goes.
Result<Call> draw_call(ChainView& chain, const Hash& audit);

// Deposit: `amount` of the caller's tokens into that account.
Call deposit_call(const Contracts& contracts, const crypto::Address& account,
                  market::Micros amount);
Call approve_call(const Contracts& contracts, market::Micros amount);
Call store_program_call(const Contracts& contracts, ByteView program);

}  // namespace assay::settle::evm
