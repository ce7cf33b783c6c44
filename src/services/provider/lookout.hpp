// Watches what this provider has to answer in time, on a thread that sends nothing: whoever answers
// may be waiting for a transaction just when the deadline comes near.
#pragma once
#include "base/repeating.hpp"
#include "services/provider/provider_core.hpp"
#include "settle/deadline_alarm.hpp"

namespace assay::services {

class Lookout {
 public:
  explicit Lookout(ProviderCore& core)  // outlives it
      : core_(core),
        disputes_("dispute", core.ledger.parameters.move_s),
        contests_("contest", core.ledger.parameters.window_min_s) {}

  void start();
  void stop() { rounds_.stop(); }  // idempotent
  // Disputes and demands that wait for this provider, and claims that wait to be opened.
  void show(io::Metrics& metrics);

 private:
  Status look_at_disputes();
  Status look_at_claims();

  ProviderCore& core_;
  settle::DeadlineAlarm disputes_, contests_;
  Repeating rounds_;
};

}  // namespace assay::services
