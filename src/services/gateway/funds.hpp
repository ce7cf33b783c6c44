// Whether the buyer can pay for an answer.
#pragma once
#include "services/gateway/buyer.hpp"

namespace assay::services {

// refused: the account has nothing beyond a dispute's bond, and no open lease has free escrow; says
// what to deposit, and to whom.
Status check_funds(Buyer& buyer);

}  // namespace assay::services
