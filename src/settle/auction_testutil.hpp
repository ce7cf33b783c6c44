// The record of an auction with one bidder, as its buyer brings it to a log.
#pragma once
#include "crypto/sha256.hpp"
#include "settle/auction_entry.hpp"

namespace assay::settle {

struct AuctionParties {
  protocol::Domain domain;
  crypto::SecretKey buyer, provider;
};

inline AuctionEntry sign_record(const AuctionParties& parties, std::string record,
                                std::uint64_t number) {
  const Hash ledger = parties.domain.separator();
  return {tlog::sign_entry(ledger, number, crypto::sha256(view(record)), parties.buyer,
                           tlog::EntryKind::auction),
          parties.domain, std::move(record)};
}

inline protocol::Signed<protocol::Offer> auction_offer(const AuctionParties& parties,
                                                       std::uint64_t expires) {
  protocol::Offer offer{.provider = crypto::address_of(parties.provider),
                        .payout = crypto::address_of(parties.provider),
                        .sequence = 1,
                        .endpoint = "http://127.0.0.1:1",
                        .region = "local",
                        .hardware = "cpu",
                        .expires = expires,
                        .models = {{.name = "toy",
                                    .weights_root = Hash{1},
                                    .program_hash = Hash{2},
                                    .quantization = "Q8_0",
                                    .price_in = 300,
                                    .price_out = 400,
                                    .context = 1024}}};
  return protocol::sign(parties.domain, std::move(offer), parties.provider);
}

// `nonce` tells calls apart; the offer awarded is another where `expires` is.
inline AuctionEntry auction_entry(const AuctionParties& parties, std::uint64_t nonce,
                                  std::uint64_t number, std::uint64_t expires = 1'100) {
  market::Auction auction;
  auction.key.bytes[0] = 9;
  auction.awarded = auction_offer(parties, expires);
  const auto& model = auction.awarded->message.models[0];
  auction.call =
      protocol::sign(parties.domain,
                     protocol::BidCall{.buyer = crypto::address_of(parties.buyer),
                                       .execution = protocol::struct_hash(protocol::ExecutionId{
                                           model.weights_root, model.program_hash, model.canon}),
                                       .prompt_tokens = 10,
                                       .max_tokens = 10,
                                       .seal_key = crypto::x25519_public_key(auction.key),
                                       .deadline = 1'000,
                                       .nonce = nonce},
                     parties.buyer);
  const Hash call = protocol::digest(parties.domain, auction.call.message);
  crypto::X25519SecretKey ephemeral;
  ephemeral.bytes[0] = 7;
  protocol::BidReply bid;
  bid.sealed = *protocol::seal_bid(auction.call.message, call, *auction.awarded, ephemeral);
  bid.bid = protocol::sign(
      parties.domain,
      protocol::SealedBid{crypto::address_of(parties.provider), call, crypto::sha256(bid.sealed)},
      parties.provider);
  auction.bids.push_back(std::move(bid));
  return sign_record(parties, json::dump(to_json(auction)), number);
}

}  // namespace assay::settle
