// Operations of hired auditors as calls of Auditors, Audits and Checks.
#pragma once
#include "settle/evm/call_parts.hpp"

namespace assay::settle::evm {

class AuditCalls : CallParts {
 public:
  using CallParts::CallParts;

  Result<Call> make(const protocol::Signed<protocol::RegisterAuditor>& op);
  Result<Call> make(const market::RequestAudit& op);
  // With the audits that wait for this round, as many as fit a transaction.
  Result<Call> make(const protocol::Signed<protocol::Beacon>& op);
  Result<Call> make(const protocol::Signed<protocol::CommitAudit>& op) { return alone(op); }
  Result<Call> make(const protocol::Signed<protocol::RevealAudit>& op) { return alone(op); }
  Result<Call> make(const market::CheckAudit& op);
  Result<Call> make(const market::AnswerCheck& op);
  Result<Call> make(const protocol::Signed<protocol::ReportKey>& op) { return alone(op); }
  Result<Call> make(const market::ShowCanary& op);
  Result<Call> make(const protocol::Signed<protocol::SettleAudit>& op) { return alone(op); }

  // Of an audit whose round was published without it, through some more registrations.
  Result<Call> draw(const Hash& audit);

 private:
  // A message that needs nothing beside it.
  template <class M>
  Result<Call> alone(const protocol::Signed<M>& op) {
    AbiWriter out = signed_message(op);
    return call(chain_.contracts().audits, out, "{}({},bytes)", function_of<M>(), abi_type<M>());
  }
};

}  // namespace assay::settle::evm
