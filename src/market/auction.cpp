#include "market/auction.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include "base/hex.hpp"
#include "base/int128.hpp"
#include "crypto/sha256.hpp"
#include "market/money.hpp"
#include "protocol/json_codec.hpp"
#include "protocol/tokens.hpp"

namespace assay::market {

using protocol::BidCall;
using protocol::OfferModel;
using protocol::Pricing;

namespace {

constexpr std::size_t kBidsMax = 1024;
constexpr std::string_view kCeilings = "assay/auction/ceilings/v0";

Hash execution_hash(const OfferModel& m) {
  return protocol::struct_hash(protocol::ExecutionId{m.weights_root, m.program_hash, m.canon});
}

// The bid's offer, or what is wrong with it.
Result<Signed<Offer>> open_one(const protocol::Domain& domain, const Auction& auction,
                               const Hash& call_id, const protocol::BidReply& reply) {
  const auto& bid = reply.bid.message;
  CHECK_OK(protocol::check_signature(domain, reply.bid, bid.provider));
  if (bid.call != call_id) return fail(Errc::mismatch, "a bid for another call");
  if (bid.sealed != crypto::sha256(reply.sealed))
    return fail(Errc::mismatch, "not the bytes its bidder signed for");
  TRY(auto offer, protocol::open_bid(call_id, auction.key, reply.sealed));
  if (offer.message.provider != bid.provider)
    return fail(Errc::mismatch, "an offer of another provider");
  CHECK_OK(check_offer(domain, offer, auction.call.message.deadline));
  return offer;
}

// Why a bid is over the buyer's ceilings; empty: it is not.
std::string over(const Ceilings& ceilings, const OfferModel& model) {
  if (ceilings.price_in && model.price_in > *ceilings.price_in)
    return fmt::format("asks {} in per million, the buyer's ceiling is {}",
                       format_money(model.price_in), format_money(*ceilings.price_in));
  if (ceilings.price_out && model.price_out > *ceilings.price_out)
    return fmt::format("asks {} out per million, the buyer's ceiling is {}",
                       format_money(model.price_out), format_money(*ceilings.price_out));
  return {};
}

json::object ceilings_to_json(const Ceilings& ceilings) {
  const auto price = [](const std::optional<Micros>& p) {
    return p ? json::value(protocol::encode(*p)) : json::value();
  };
  return {{"price_in", price(ceilings.price_in)},
          {"price_out", price(ceilings.price_out)},
          {"salt", protocol::encode(ceilings.salt)}};
}

Result<Ceilings> ceilings_from_json(const json::object& o) {
  Ceilings out;
  const auto* in = o.if_contains("price_in");
  const auto* price_out = o.if_contains("price_out");
  const auto* salt = o.if_contains("salt");
  if (o.size() != 3 || in == nullptr || price_out == nullptr || salt == nullptr)
    return fail(Errc::invalid, "ceilings have the members 'price_in', 'price_out' and 'salt'");
  const auto read = [](const json::value& v, std::optional<Micros>& into) -> Status {
    return v.is_null() ? Status{} : protocol::decode(v, into.emplace());
  };
  CHECK_OK(read(*in, out.price_in));
  CHECK_OK(read(*price_out, out.price_out));
  CHECK_OK(protocol::decode(*salt, out.salt));
  return out;
}

Hash lot(const Hash& call_id, const Address& provider) {
  Bytes in(call_id.begin(), call_id.end());
  append(in, provider.bytes);
  return crypto::sha256(in);
}

}  // namespace

crypto::X25519SecretKey sealing_key(const Ceilings& ceilings) {
  Bytes in(kCeilings.begin(), kCeilings.end());
  append(in, ceilings.salt);
  for (const auto& price : {ceilings.price_in, ceilings.price_out})
    append_be(in, price ? static_cast<std::uint64_t>(*price) : UINT64_MAX);
  return crypto::X25519SecretKey(crypto::sha256(in));
}

std::vector<OpenedBid> open_bids(const protocol::Domain& domain, const Auction& auction) {
  const BidCall& call = auction.call.message;
  const Hash call_id = protocol::digest(domain, call);
  std::vector<OpenedBid> out;
  for (const auto& reply : auction.bids) {
    OpenedBid opened{.provider = reply.bid.message.provider, .offer = {}, .fault = {}};
    auto offer = open_one(domain, auction, call_id, reply);
    if (offer) {
      const auto& models = offer->message.models;
      const auto model = std::ranges::find(models, call.execution, execution_hash);
      const auto price =
          model == models.end()
              ? Result<Micros>(fail(Errc::refused, "an offer without the model asked for"))
              : protocol::price(model->price_in, model->price_out, call.prompt_tokens,
                                call.max_tokens);
      if (price) {
        opened.model = static_cast<std::size_t>(model - models.begin());
        opened.price = *price;
        if (auction.ceilings) opened.fault = over(*auction.ceilings, *model);
        opened.within = opened.fault.empty();
        opened.offer = std::move(*offer);
      } else {
        opened.fault = price.error().message;
      }
    } else {
      opened.fault = offer.error().message;
    }
    out.push_back(std::move(opened));
  }
  std::ranges::sort(out, {}, [&](const OpenedBid& bid) {
    return std::tuple(!bid.offer, bid.price, lot(call_id, bid.provider));
  });
  return out;
}

Result<Verdict> decide(const Auction& auction, std::span<const OpenedBid> opened) {
  const BidCall& call = auction.call.message;
  const auto best = std::ranges::find(opened, true, &OpenedBid::within);
  if (best == opened.end()) return fail(Errc::not_found, "nobody made a valid bid");
  const auto& model = best->offer->message.models[best->model];
  Verdict out{best->provider, model.price_in, model.price_out, best->price};
  const bool is_second = call.pricing == static_cast<std::uint32_t>(Pricing::second);
  // One over the ceilings still says what others would have had to pay.
  const auto next = best + 1;
  if (!is_second || next == opened.end() || !next->offer || call.max_tokens == 0) return out;
  TRY(const Micros prompt, protocol::price(model.price_in, 0, call.prompt_tokens, 0));
  Int128 per_million = static_cast<Int128>(next->price - prompt) * 1'000'000 / call.max_tokens;
  if (auction.ceilings && auction.ceilings->price_out)
    per_million = std::min(per_million, static_cast<Int128>(*auction.ceilings->price_out));
  if (per_million > INT64_MAX) return fail(Errc::refused, "the second bid's price overflows");
  out.price_out = std::max(out.price_out, static_cast<Micros>(per_million));
  TRY(out.price, protocol::price(out.price_in, out.price_out, call.prompt_tokens, call.max_tokens));
  return out;
}

Result<Verdict> verify(const protocol::Domain& domain, const Auction& auction) {
  const BidCall& call = auction.call.message;
  CHECK_OK(protocol::check_signature(domain, auction.call, call.buyer));
  if (crypto::x25519_public_key(auction.key) != call.seal_key)
    return fail(Errc::mismatch, "the key shown is not the one bids were sealed for");
  if (auction.ceilings && sealing_key(*auction.ceilings).bytes != auction.key.bytes)
    return fail(Errc::mismatch, "the key shown does not commit to these ceilings");
  std::set<Address> bidders;
  for (const auto& reply : auction.bids) {
    CHECK_OK(protocol::check_signature(domain, reply.bid, reply.bid.message.provider));
    if (!bidders.insert(reply.bid.message.provider).second)
      return fail(Errc::mismatch, "{} bids twice", reply.bid.message.provider.to_string());
  }
  const auto opened = open_bids(domain, auction);
  TRY(const Verdict verdict, decide(auction, opened));
  if (!auction.awarded) return fail(Errc::mismatch, "nothing was awarded, though somebody won");
  const auto& offer = auction.awarded->message;
  CHECK_OK(protocol::check_signature(domain, *auction.awarded, offer.provider));
  if (offer.provider != verdict.winner)
    return fail(Errc::mismatch, "awarded to {}, the winner is {}", offer.provider.to_string(),
                verdict.winner.to_string());
  const auto model = std::ranges::find(offer.models, call.execution, execution_hash);
  if (model == offer.models.end())
    return fail(Errc::mismatch, "what was awarded has not the model asked for");
  if (model->price_in != verdict.price_in || model->price_out != verdict.price_out)
    return fail(Errc::mismatch, "awarded at {} in and {} out, the bids clear at {} and {}",
                format_money(model->price_in), format_money(model->price_out),
                format_money(verdict.price_in), format_money(verdict.price_out));
  return verdict;
}

json::object to_json(const Auction& auction) {
  json::array bids;
  for (const auto& bid : auction.bids) bids.push_back(protocol::to_json(bid));
  json::object out{{"assay", "auction/0"},
                   {"call", protocol::to_json(auction.call)},
                   {"bids", std::move(bids)},
                   {"key", to_hex(auction.key.bytes)}};
  out["awarded"] =
      auction.awarded ? json::value(protocol::to_json(*auction.awarded)) : json::value();
  if (auction.ceilings) out["ceilings"] = ceilings_to_json(*auction.ceilings);
  return out;
}

Result<Auction> auction_from_json(const json::object& o) {
  Auction out;
  const auto member = [&](std::string_view key) -> Result<const json::value*> {
    if (const auto* v = o.if_contains(key)) return v;
    return fail(Errc::invalid, "an auction has a member '{}'", key);
  };
  TRY(const json::value* form, member("assay"));
  if (*form != "auction/0") return fail(Errc::unsupported, "not an auction of this version");
  TRY(const json::value* call, member("call"));
  TRY(const json::object* call_object, json::as_object(*call, "call"));
  TRY(out.call, protocol::signed_from_json<BidCall>(*call_object));
  TRY(const json::value* bids, member("bids"));
  if (!bids->is_array() || bids->get_array().size() > kBidsMax)
    return fail(Errc::invalid, "bids: must be an array of at most {}", kBidsMax);
  for (const auto& bid : bids->get_array()) {
    TRY(const json::object* bid_object, json::as_object(bid, "bid"));
    TRY(auto reply, protocol::bid_reply_from_json(*bid_object));
    out.bids.push_back(std::move(reply));
  }
  TRY(const json::value* key, member("key"));
  if (!key->is_string()) return fail(Errc::invalid, "key: must be hex");
  CHECK_OK(from_hex(std::string_view(key->get_string()), out.key.bytes));
  if (const auto* v = o.if_contains("ceilings")) {
    TRY(const json::object* ceilings, json::as_object(*v, "ceilings"));
    TRY(out.ceilings, ceilings_from_json(*ceilings));
  }
  TRY(const json::value* awarded, member("awarded"));
  if (!awarded->is_null()) {
    TRY(const json::object* offer, json::as_object(*awarded, "awarded"));
    TRY(out.awarded, protocol::signed_from_json<Offer>(*offer));
  }
  return out;
}

}  // namespace assay::market
