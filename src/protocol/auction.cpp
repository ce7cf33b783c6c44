#include "protocol/auction.hpp"

namespace assay::protocol {

namespace {
constexpr std::string_view kInfo = "assay/bid/v0";
}

json::object to_json(const BidReply& reply) {
  return {{"bid", to_json(reply.bid)}, {"sealed", encode(reply.sealed)}};
}

Result<BidReply> bid_reply_from_json(const json::object& o) {
  BidReply out;
  const auto* bid = o.if_contains("bid");
  const auto* sealed = o.if_contains("sealed");
  if (o.size() != 2 || bid == nullptr || sealed == nullptr || !bid->is_object())
    return fail(Errc::invalid, "a bid has the members 'bid' and 'sealed'");
  TRY(out.bid, signed_from_json<SealedBid>(bid->get_object()));
  if (auto read = decode_bytes(*sealed, kBidBytesMax + crypto::kHpkeOverhead, out.sealed); !read)
    return fail_in("sealed", read.error());
  return out;
}

json::object to_json(const AwardCall& call) {
  return {{"offer", to_json(call.offer)}, {"price_out", encode(call.price_out)}};
}

Result<AwardCall> award_call_from_json(const json::object& o) {
  AwardCall out;
  const auto* offer = o.if_contains("offer");
  const auto* price = o.if_contains("price_out");
  if (o.size() != 2 || offer == nullptr || price == nullptr || !offer->is_object())
    return fail(Errc::invalid, "an award has the members 'offer' and 'price_out'");
  TRY(out.offer, signed_from_json<Offer>(offer->get_object()));
  if (auto read = decode(*price, out.price_out); !read) return fail_in("price_out", read.error());
  return out;
}

Result<Bytes> seal_bid(const BidCall& call, const Hash& call_id, const Signed<Offer>& offer,
                       const crypto::X25519SecretKey& ephemeral) {
  std::string text = json::dump(to_json(offer));
  text.resize((text.size() + kBidPadding - 1) / kBidPadding * kBidPadding, ' ');
  if (text.size() > kBidBytesMax)
    return fail(Errc::refused, "the offer has {} bytes, a bid at most {}", text.size(),
                kBidBytesMax);
  return crypto::hpke_seal(call.seal_key, view(kInfo), call_id, view(text), ephemeral);
}

Result<Signed<Offer>> open_bid(const Hash& call_id, const crypto::X25519SecretKey& key,
                               ByteView sealed) {
  TRY(const Bytes opened, crypto::hpke_open(key, view(kInfo), call_id, sealed));
  TRY(const json::value parsed, json::parse(text(opened)));
  TRY(const json::object* o, json::as_object(parsed, "a bid"));
  return signed_from_json<Offer>(*o);
}

}  // namespace assay::protocol
