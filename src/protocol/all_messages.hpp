// Every signed message once, for whoever must treat all alike: tests, fuzzers, tools.
#pragma once
#include "protocol/audits.hpp"
#include "protocol/demands.hpp"
#include "protocol/handover.hpp"
#include "protocol/messages.hpp"
#include "protocol/operations.hpp"
#include "protocol/rebates.hpp"

namespace assay::protocol {

// Calls f.template operator()<M>() for each message type M.
template <class F>
void for_each_message(F&& f) {
  const auto call = [&]<class... M>() { (f.template operator()<M>(), ...); };
  call.template
  operator()<Offer, Lease, Request, Progress, Receipt, Settlement, Claim, Deposit, Withdraw,
             Transfer, Stake, Unbond, Release, TopUp, Finalize, Close, CommitDispute, Dispute, Move,
             Timeout, Answer, Equivocation, Demand, Delivery, DeliveryReport, RegisterAuditor,
             AuditRequest, Beacon, CommitAudit, RevealAudit, AuditCheck, CheckAnswer, ReportKey,
             Canary, CanaryShown, SettleAudit, Handover, Rebate, RebateAcceptance>();
}

}  // namespace assay::protocol
