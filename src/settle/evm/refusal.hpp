// What a contract says when it says no, as the ledger's typed errors (contracts/src/market/
// Errors.sol): Invalid, Mismatch, Refused, NotFound and Conflict carry over by name, each with the
// reason of the enum `Why`.
#pragma once
#include <span>

#include "io/chain_error.hpp"

namespace assay::settle::evm {

// In the order of the enum.
std::span<const std::string_view> reasons();

// The operation was applied before (AlreadyApplied).
bool is_already_applied(const io::ChainError& error);

// A revert in the ledger's terms; every other failure of a call as io::ChainError maps it.
Error refusal_of(const io::ChainError& error);

}  // namespace assay::settle::evm
