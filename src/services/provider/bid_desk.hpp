// Bids of a provider in sealed-bid auctions (protocol/auction.hpp): its own list price less a
// discount while it has nothing to do.
//
// A bid is an offer that lives until kBidGrace after the call's deadline. Whoever holds it may
// lease at its price until then, as from any offer.
#pragma once
#include <map>
#include <mutex>

#include "protocol/auction.hpp"
#include "services/provider/offer_keeper.hpp"

namespace assay::services {

inline constexpr std::uint64_t kBidAhead = 300, kBidGrace = 60;  // seconds

class BidDesk {
 public:
  // Both outlive it.
  BidDesk(ProviderCore& core, OfferKeeper& offers) : core_(core), offers_(offers) {}

  // One bid for one call, however often it is asked for. `busy`: no discount.
  Result<protocol::BidReply> bid(const protocol::Signed<protocol::BidCall>& call, bool busy);
  // Its own unexpired offer, at a price out that is not lower.
  Result<protocol::Signed<protocol::Offer>> award(const protocol::AwardCall& call);

 private:
  struct Made {
    std::uint64_t deadline = 0;
    protocol::BidReply reply;
  };
  ProviderCore& core_;
  OfferKeeper& offers_;
  std::mutex mutex_;
  std::map<Hash, Made> made_;  // by call, until its deadline
};

}  // namespace assay::services
