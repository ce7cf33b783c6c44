// What a contract says when it says no, as the ledger's typed errors (contracts/src/market/
// Errors.sol): Invalid, Mismatch, Refused, NotFound and Conflict carry over by name, each with the
// reason of the enum `Why`.
#pragma once
#include <span>

#include "io/chain_sender.hpp"

namespace assay::settle::evm {

// In the order of the enum.
std::span<const std::string_view> reasons();

// The operation was applied before (AlreadyApplied).
bool is_already_applied(const io::ChainError& error);

// A revert in the ledger's terms; every other failure of a call as io::ChainError maps it.
Error refusal_of(const io::ChainError& error);

// Why nothing is sent, when that is because the sender cannot pay for gas; what to do about it.
std::optional<Error> poverty_of(const io::TxStatus& status, const crypto::Address& sender,
                                std::uint64_t chain_id);

}  // namespace assay::settle::evm
