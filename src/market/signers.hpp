// Who signed an operation, recovered before the ledger's rules ask.
#pragma once
#include "market/operation.hpp"
#include "protocol/recovered_signers.hpp"

namespace assay::market {

// The signatures of everyday operations: one message, or a lease with its offer. Those of the others
// are recovered when a rule asks.
protocol::RecoveredSigners recover_signers(const Domain& domain, const Operation& operation);

}  // namespace assay::market
