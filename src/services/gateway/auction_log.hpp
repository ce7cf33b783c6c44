// Publishes this buyer's auctions in the market's log once they are over (spec/auction.md section
// 5): those that a lease came of, and whose record holds.
#pragma once
#include "base/repeating.hpp"
#include "market/auction.hpp"
#include "services/gateway/buyer.hpp"
#include "settle/log_client.hpp"

namespace assay::services {

class AuctionLog {
 public:
  // How long after its deadline an auction waits for its lease.
  static constexpr std::uint64_t kLeaseWithinS = 600;

  // `buyer` outlives it. options.log_append_url says where. Nothing happens before start().
  explicit AuctionLog(Buyer& buyer) : buyer_(buyer), log_(buyer.options.log_append_url) {}

  // Without a log what was not published yet never will be: whoever starts a gateway so wants it
  // kept.
  void start();
  void stop() { rounds_.stop(); }
  Status round();

 private:
  void keep_private();
  // True when nothing is left to do about it.
  Result<bool> publish(const Hash& call);
  Result<std::optional<Hash>> lease_from(const market::Signed<market::Offer>& awarded);

  Buyer& buyer_;
  settle::LogWriter log_;
  Repeating rounds_;
};

}  // namespace assay::services
