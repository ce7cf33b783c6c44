#include "services/provider/bid_desk.hpp"

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "io/log.hpp"
#include "io/random.hpp"
#include "market/money.hpp"
#include "protocol/rules.hpp"

namespace assay::services {

namespace {

constexpr std::size_t kOpenCallsMax = 4096;

}  // namespace

Result<protocol::BidReply> BidDesk::bid(const protocol::Signed<protocol::BidCall>& call,
                                        bool busy) {
  const auto& m = call.message;
  CHECK_OK(protocol::check_signature(core_.ledger.domain, call, m.buyer));
  if (core_.serving(m.execution) == nullptr)
    return fail(Errc::not_found, "this provider does not serve the call's execution id");
  const std::uint64_t now = core_.now();
  if (m.deadline < now || m.deadline > now + kBidAhead)
    return fail(Errc::refused, "the deadline {} is not within {} s of {}", m.deadline, kBidAhead,
                now);
  const Hash id = core_.id(m);
  const std::lock_guard lock(mutex_);
  if (const auto it = made_.find(id); it != made_.end()) return it->second.reply;
  std::erase_if(made_, [&](const auto& made) { return made.second.deadline < now; });
  if (made_.size() >= kOpenCallsMax)
    return fail(Errc::unavailable, "{} calls for bids are open here: ask again later",
                made_.size());
  TRY(protocol::Offer offer, offers_.draft(m.deadline + kBidGrace));
  // The model asked for, and no other at auction prices.
  std::erase_if(offer.models, [&](const protocol::OfferModel& model) {
    return protocol::for_batches(model) ||
           protocol::struct_hash(protocol::ExecutionId{model.weights_root, model.program_hash,
                                                       model.canon}) != m.execution;
  });
  const std::uint32_t discount = busy ? 0 : core_.options.bid_discount_bps;
  for (auto& model : offer.models) {
    model.price_in = market::discounted(model.price_in, discount);
    model.price_out = market::discounted(model.price_out, discount);
  }
  protocol::BidReply reply;
  TRY(reply.sealed, protocol::seal_bid(m, id, core_.sign(std::move(offer)),
                                       crypto::X25519SecretKey(io::random_hash())));
  reply.bid = core_.sign(protocol::SealedBid{core_.address, id, crypto::sha256(reply.sealed)});
  made_[id] = {m.deadline, reply};
  // What its record in a log is found by, once the auction is over.
  io::log_info("bid made for call {} of {}", to_hex(id), m.buyer.to_string());
  return reply;
}

Result<protocol::Signed<protocol::Offer>> BidDesk::award(const protocol::AwardCall& call) {
  auto offer = call.offer.message;
  CHECK_OK(protocol::check_signature(core_.ledger.domain, call.offer, core_.address));
  if (offer.expires <= core_.now())
    return fail(Errc::refused, "the bid expired at {}", offer.expires);
  for (auto& model : offer.models) {
    if (call.price_out < model.price_out)
      return fail(Errc::refused, "{} per million is under the bid's {}",
                  market::format_money(call.price_out), market::format_money(model.price_out));
    model.price_out = call.price_out;
  }
  return core_.sign(std::move(offer));
}

}  // namespace assay::services
