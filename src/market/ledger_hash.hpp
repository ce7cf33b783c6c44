// The state hash: what an operation wrote, chained (spec/ledger.md, "State hash").
#pragma once
#include "market/ledger.hpp"

namespace assay::market {

// sha256("assay/ledger/v0" ‖ domain separator ‖ host ‖ parameters ‖ beacon)
Hash genesis_hash(const LedgerInfo& info);

// sha256("assay/state/v0" ‖ previous state ‖ operation id ‖ totals ‖ records). `totals` are those
// after the operation (operations and time too), with the previous state hash still in them.
// Records come in this order: accounts, leases, disputes, auditors, audits, latencies, each
// ascending, then the beacon.
class StateHasher {
 public:
  StateHasher(const Totals& totals, const Hash& operation);
  void account(const Address& address, const Account& a);
  void lease(const LeaseRecord& l);
  void dispute(const DisputeView& d);
  void auditor(const AuditorView& a);
  void audit(const AuditView& a);
  void latency(const Hash& lease, const LatencyRecord& l);
  void beacon(const BeaconState& b);
  Hash finish() const;

 private:
  Bytes bytes_;
};

}  // namespace assay::market
