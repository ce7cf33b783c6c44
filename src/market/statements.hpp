// What can be judged about a provider's statement without executing anything.
#pragma once
#include <optional>

#include "market/operation.hpp"

namespace assay::market {

// The buyer signed the request for this lease and execution, the provider signed the statement
// about this request. mismatch or refused otherwise.
Status check_evidence(const Domain& domain, const protocol::Lease& lease, const Hash& lease_id,
                      const Signed<protocol::Request>& request, const Statement& statement);

// One line when the statement is wrong on its face: amount ≠ price, over the cap, more tokens than
// asked for, unknown finish. Convicts without execution.
std::optional<std::string> arithmetic_fault(const protocol::Lease& lease,
                                            const protocol::Request& request,
                                            const Statement& statement);

// One line when the two statements about one request cannot both be true. Contradiction is about
// the execution: two receipts that differ in the provider's bookkeeping (key sequence, evidence)
// only do not contradict each other; a receipt that ends in a fault has one leaf more than a
// progress of the same count.
std::optional<std::string> contradiction(const Statement& first, const Statement& second);

// One line when these bytes, which have the length of the statement's answer (asserted), unseal to
// another answer than the one it was signed for. `demand` is the demand they were sealed for, the
// secret the one the request commits to.
std::optional<std::string> delivery_fault(const protocol::Request& request,
                                          const Statement& statement, const Hash& demand,
                                          const Hash& salt_secret, ByteView sealed);

}  // namespace assay::market
