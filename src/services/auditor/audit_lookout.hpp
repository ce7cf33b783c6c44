// Watches what this auditor has to do in time, on a thread that sends and computes nothing: whoever
// does may be at a replay, or waiting for a transaction, just when a deadline comes near.
#pragma once
#include "base/repeating.hpp"
#include "services/auditor/auditor_core.hpp"
#include "settle/deadline_alarm.hpp"

namespace assay::services {

class AuditLookout {
 public:
  explicit AuditLookout(AuditorCore& core)  // outlives it
      : core_(core),
        audits_("audit", core.ledger.parameters.move_s),
        checks_("check", core.ledger.parameters.move_s),
        disputes_("dispute", core.ledger.parameters.move_s) {}

  void start();
  void stop() { rounds_.stop(); }  // idempotent
  // Commitments and verdicts that are not on the ledger, checks of passes, disputes whose turn is
  // this auditor's.
  void show(io::Metrics& metrics);
  // One round, in the caller's thread.
  void look();

 private:
  Status look_at_audits();
  Status look_at_checks();
  Status look_at_disputes();

  AuditorCore& core_;
  settle::DeadlineAlarm audits_, checks_, disputes_;
  Repeating rounds_;
};

}  // namespace assay::services
