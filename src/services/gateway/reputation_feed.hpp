// Follows the ledger's log and replays it, so that ranking counts what drawn auditors and disputes
// found about providers this buyer has not met (market/standing.hpp).
#pragma once
#include "base/repeating.hpp"
#include "services/gateway/market_view.hpp"
#include "settle/embedded/ledger_log.hpp"

namespace assay::services {

class ReputationFeed {
 public:
  // Both outlive it. options.ledger_log is set (asserted). Nothing of the log is believed: at the
  // first row that does not replay it stops for good, says so, and what it learned until then
  // stays.
  static Result<std::unique_ptr<ReputationFeed>> start(Buyer& buyer, MarketView& market);

 private:
  ReputationFeed(Buyer& buyer, MarketView& market, settle::LogReplay replay)
      : buyer_(buyer), market_(market), replay_(std::move(replay)) {}
  Status follow();

  Buyer& buyer_;
  MarketView& market_;
  settle::LogReplay replay_;
  bool broken_ = false;
  Repeating rounds_;
};

}  // namespace assay::services
