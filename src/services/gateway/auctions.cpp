#include "services/gateway/auctions.hpp"

#include <algorithm>
#include <thread>

#include "base/hex.hpp"
#include "io/log.hpp"
#include "io/pinned_url.hpp"
#include "io/random.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"

namespace assay::services {

std::vector<protocol::BidReply> Auctions::collect(const Signed<protocol::BidCall>& call,
                                                  const Hash& id,
                                                  std::span<const market::Candidate> asked,
                                                  std::int64_t deadline_ms) {
  std::vector<std::optional<protocol::BidReply>> replies(asked.size());
  std::vector<std::thread> threads;
  const auto late = [&] { return io::steady_ms() >= deadline_ms; };
  for (std::size_t i = 0; i < asked.size(); ++i)
    threads.emplace_back([&, i] {
      const auto& offer = asked[i].offer.message;
      auto reply = buyer_.providers.bid(io::pinned(offer.endpoint, offer.tls_key), call, late);
      if (!reply) {
        io::log_info("no bid of {}: {}", offer.provider.to_string(), reply.error().message);
        return;
      }
      // What is not this provider's word is nobody's: the record holds bids only.
      const auto& bid = reply->bid.message;
      if (bid.provider != offer.provider || bid.call != id || late() ||
          !protocol::check_signature(buyer_.ledger.domain, reply->bid, bid.provider))
        return;
      replies[i] = std::move(*reply);
    });
  for (std::thread& thread : threads) thread.join();
  std::vector<protocol::BidReply> out;
  for (auto& reply : replies)
    if (reply) out.push_back(std::move(*reply));
  return out;
}

// What the winner is leased from. One that does not sign for more than it asked gets what it asked.
void Auctions::award(market::Auction& auction, const market::OpenedBid& best,
                     const market::Verdict& verdict) {
  auction.awarded = best.offer;
  const auto& offer = best.offer->message;
  const auto& model = offer.models[best.model];
  if (verdict.price_out == model.price_out) return;
  auto raised = buyer_.providers.award(io::pinned(offer.endpoint, offer.tls_key),
                                       {*best.offer, verdict.price_out});
  auto expected = offer;
  for (auto& m : expected.models) m.price_out = verdict.price_out;
  if (raised && protocol::struct_hash(raised->message) == protocol::struct_hash(expected) &&
      protocol::check_signature(buyer_.ledger.domain, *raised, offer.provider)) {
    auction.awarded = std::move(*raised);
    return;
  }
  io::log_warn("{} won an auction and does not sign for the price that clears: it is paid its bid",
               offer.provider.to_string());
}

ApiResult<Auctions::Won> Auctions::run(const Wish& wish, std::span<const market::Candidate> fitting,
                                       protocol::Pricing pricing, std::uint64_t seconds) {
  market::Auction auction;
  const Routing& routing = wish.routing;
  if (routing.max_price_in || routing.max_price_out) {
    auction.ceilings =
        market::Ceilings{routing.max_price_in, routing.max_price_out, io::random_hash()};
    auction.key = market::sealing_key(*auction.ceilings);
  } else {
    auction.key = crypto::X25519SecretKey(io::random_hash());
  }
  auction.call = buyer_.sign(protocol::BidCall{.buyer = buyer_.address,
                                               .execution = wish.model->execution_hash,
                                               .prompt_tokens = wish.prompt_tokens,
                                               .max_tokens = wish.max_tokens,
                                               .pricing = static_cast<std::uint32_t>(pricing),
                                               .seal_key = crypto::x25519_public_key(auction.key),
                                               .deadline = buyer_.now() + seconds,
                                               .nonce = io::random_u64()});
  Won out;
  out.call = buyer_.id(auction.call.message);
  auction.bids =
      collect(auction.call, out.call, fitting.first(std::min(fitting.size(), kBiddersMax)),
              io::steady_ms() + static_cast<std::int64_t>(seconds) * 1'000);
  const auto opened = market::open_bids(buyer_.ledger.domain, auction);
  const auto verdict = market::decide(auction, opened);
  auto winner = opened.end();
  if (verdict) {
    out.verdict = *verdict;
    winner = std::ranges::find(opened, verdict->winner, &market::OpenedBid::provider);
    award(auction, *winner, *verdict);
  }
  // Whatever happens from here on, what was bid and decided is on disk.
  if (const Status kept = buyer_.vault.write_auction(out.call, json::dump(to_json(auction)),
                                                     !buyer_.options.log_append_url.empty());
      !kept)
    return std::unexpected(to_api_error(kept.error()));
  const auto admit = [&](const Address& bidder, const Signed<protocol::Offer>& offer) {
    auto candidate = market_.admit(offer, wish);
    if (candidate)
      out.candidates.push_back(std::move(*candidate));
    else
      io::log_warn("bid of {} is not taken: {}", bidder.to_string(), candidate.error().message);
  };
  if (verdict) admit(verdict->winner, *auction.awarded);
  for (auto bid = opened.begin(); bid != opened.end(); ++bid) {
    json::object row{{"provider", bid->provider.to_string()}};
    if (bid->offer) row["price"] = market::format_money(bid->price);
    if (!bid->fault.empty()) row["fault"] = bid->fault;
    out.bids.push_back(std::move(row));
    if (bid->within && bid != winner) admit(bid->provider, *bid->offer);
  }
  if (out.candidates.empty())
    return std::unexpected(ApiError{
        .status = 503,
        .code = "no_bid",
        .message = fmt::format("none of the {} providers asked made a bid that fits within {} s: "
                               "wait longer, or ask without an auction",
                               std::min(fitting.size(), kBiddersMax), seconds),
        .details = {{"bids", std::move(out.bids)}, {"auction", to_hex(out.call)}}});
  return out;
}

}  // namespace assay::services
