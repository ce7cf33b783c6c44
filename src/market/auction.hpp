// Who wins a sealed-bid auction, and at what price: decided by the call and the bids alone, so that
// whoever has them decides the same (spec/auction.md).
#pragma once
#include <optional>

#include "market/board.hpp"
#include "protocol/auction.hpp"

namespace assay::market {

using protocol::Micros;

// A bid as it was opened.
struct OpenedBid {
  Address provider{};
  std::optional<Signed<Offer>> offer;  // none: `fault` says what is wrong with it
  std::size_t model = 0;               // that was asked for, in the offer
  Micros price = 0;                    // of the call's tokens
  bool within = false;                 // the buyer's ceilings, and valid: it can win
  std::string fault;                   // why it cannot
};

// Prices per million above which the buyer takes no bid; in a second-price auction a reserve: what
// clears is never above it. Committed to by the key that bids are sealed for, so the buyer cannot
// choose them once it has read bids, and nobody learns them before the record is shown.
struct Ceilings {
  std::optional<Micros> price_in, price_out;
  Hash salt{};  // random: prices alone could be guessed
};
crypto::X25519SecretKey sealing_key(const Ceilings& ceilings);

// Everything anybody needs to judge an auction that is over.
struct Auction {
  Signed<protocol::BidCall> call;
  std::vector<protocol::BidReply> bids;  // one of a provider
  crypto::X25519SecretKey key;           // of call.seal_key
  std::optional<Ceilings> ceilings;      // none: any price; otherwise `key` is sealing_key of them
  // What was leased from: the winner's bid, or in a second-price auction its offer at the price
  // that clears. None: nobody won, or the winner did not stand by its bid.
  std::optional<Signed<Offer>> awarded;
};
json::object to_json(const Auction& auction);
Result<Auction> auction_from_json(const json::object& o);

// Valid bids first, by price, then by the hash of call and bidder, which nobody chooses after the
// call; then the others.
std::vector<OpenedBid> open_bids(const protocol::Domain& domain, const Auction& auction);

struct Verdict {
  Address winner{};
  Micros price_in = 0, price_out = 0;  // that clear, per million tokens
  Micros price = 0;                    // of the call's tokens at them
};
// `opened` is open_bids of the auction. not_found: no valid bid within the ceilings. The first such
// bid wins. In a second-price auction its price out rises to what makes its price the next bid's,
// rounded down, but not above the ceiling; a bid without a next is paid what it asks.
Result<Verdict> decide(const Auction& auction, std::span<const OpenedBid> opened);

// The record holds: the buyer signed the call, every bid is one its bidder signed for this call,
// and what was awarded is the winner's offer at the price that clears. mismatch says what does not.
Result<Verdict> verify(const protocol::Domain& domain, const Auction& auction);

}  // namespace assay::market
