// Sealed-bid auctions (spec/auction.md): what a buyer asks of providers that fit, and their bids,
// sealed for the buyer. A bid is an offer at its bidder's price: the winner's is leased from like
// any other.
#pragma once
#include "crypto/hpke.hpp"
#include "protocol/typed.hpp"

namespace assay::protocol {

// What the winner is paid: its own price, or that of the second best.
enum class Pricing : std::uint32_t { first = 0, second = 1 };

// Buyer-signed.
struct BidCall {
  static constexpr std::string_view kName = "BidCall";
  Address buyer{};
  Hash execution{};  // struct hash of the ExecutionId
  // Bids compare by the price of so many tokens.
  std::uint32_t prompt_tokens = 0, max_tokens = 0;
  std::uint32_t pricing = 0;   // Pricing
  Hash seal_key{};             // X25519; its secret is shown with the bids afterwards
  std::uint64_t deadline = 0;  // Unix seconds
  std::uint64_t nonce = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("buyer", s.buyer);
    v("execution", s.execution);
    v("prompt_tokens", s.prompt_tokens);
    v("max_tokens", s.max_tokens);
    v("pricing", s.pricing);
    v("seal_key", s.seal_key);
    v("deadline", s.deadline);
    v("nonce", s.nonce);
  }
};

// Provider-signed: it made this bid and no other. `sealed` is the SHA-256 of the sealed offer.
struct SealedBid {
  static constexpr std::string_view kName = "SealedBid";
  Address provider{};
  Hash call{};  // digest of the call
  Hash sealed{};
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("provider", s.provider);
    v("call", s.call);
    v("sealed", s.sealed);
  }
};

// POST /v1/bid: a signed BidCall → {"bid": signed SealedBid, "sealed": "0x…"}.
struct BidReply {
  Signed<SealedBid> bid;
  Bytes sealed;
};
json::object to_json(const BidReply& reply);
Result<BidReply> bid_reply_from_json(const json::object& o);

// POST /v1/award: the bidder's own offer and a price out not under it → the same offer at that
// price, signed: {"offer": signed Offer, "price_out": "…"} → signed Offer.
struct AwardCall {
  Signed<Offer> offer;
  Micros price_out = 0;
};
json::object to_json(const AwardCall& call);
Result<AwardCall> award_call_from_json(const json::object& o);

// The offer as JSON, filled up with spaces to a multiple of kBidPadding, so that its length says
// nothing; HPKE with info "assay/bid/v0" and the call's digest as associated data. `ephemeral` is
// drawn for this bid alone.
inline constexpr std::size_t kBidPadding = 4096;
inline constexpr std::size_t kBidBytesMax = 16 * kBidPadding;
Result<Bytes> seal_bid(const BidCall& call, const Hash& call_id, const Signed<Offer>& offer,
                       const crypto::X25519SecretKey& ephemeral);
Result<Signed<Offer>> open_bid(const Hash& call_id, const crypto::X25519SecretKey& key,
                               ByteView sealed);

}  // namespace assay::protocol
