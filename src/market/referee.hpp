// Who decides a dispute about a receipt. In this version the ledger's host re-executes the whole
// trace (services/market) and is trusted for it; bisection to one step replaces that.
#pragma once
#include "market/operation.hpp"
#include "protocol/files.hpp"

namespace assay::market {

// Already checked by the ledger: signatures, lease, execution id, subject, amount.
struct DisputeEvidence {
  Domain domain;
  protocol::Lease lease;
  protocol::Request request;
  std::variant<protocol::Receipt, protocol::Progress> statement;
  protocol::ExecutionId execution;
  protocol::Opening opening;
};

struct Judgement {
  protocol::Outcome outcome = protocol::Outcome::not_judged;
  std::string reason;  // one line; names the first differing position if any
};

struct Referee {
  virtual ~Referee() = default;
  // Errors are about the referee itself (disk, memory). An opening that does not belong to the
  // request, or a model it does not have, is the outcome not_judged.
  virtual Result<Judgement> judge(const DisputeEvidence& evidence) = 0;
};

}  // namespace assay::market
