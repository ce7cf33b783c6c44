// A sealed-bid auction among the providers that fit a request (spec/auction.md).
#pragma once
#include "market/auction.hpp"
#include "services/gateway/market_view.hpp"

namespace assay::services {

class Auctions {
 public:
  Auctions(Buyer& buyer, MarketView& market) : buyer_(buyer), market_(market) {}

  struct Won {
    Hash call{};
    // The winner at the price that clears, then the others within the buyer's ceilings at their
    // own, as they rank: whom else to ask where the winner does not answer.
    std::vector<market::Candidate> candidates;
    market::Verdict verdict;
    json::array bids;  // {"provider", "price", "fault"}, best first
  };
  // Asks at most kBiddersMax of `fitting`, waits until all have answered or the deadline, decides,
  // and writes the record before anything is leased. ApiError 503 without a bid that fits.
  static constexpr std::size_t kBiddersMax = 32;
  ApiResult<Won> run(const Wish& wish, std::span<const market::Candidate> fitting,
                     protocol::Pricing pricing, std::uint64_t seconds);

 private:
  std::vector<protocol::BidReply> collect(const Signed<protocol::BidCall>& call, const Hash& id,
                                          std::span<const market::Candidate> asked,
                                          std::int64_t deadline_ms);
  void award(market::Auction& auction, const market::OpenedBid& best,
             const market::Verdict& verdict);

  Buyer& buyer_;
  MarketView& market_;
};

}  // namespace assay::services
