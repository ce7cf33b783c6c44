#include "protocol/x402_channel.hpp"

#include "crypto/abi.hpp"
#include "crypto/eip712.hpp"
#include "crypto/keccak.hpp"
#include "protocol/x402_json.hpp"

namespace assay::protocol::x402 {
namespace {

constexpr std::uint64_t kDelayBits = 40;

Hash domain_separator(const ChannelDomain& domain) {
  return crypto::domain_separator_evm("x402 Batch Settlement", "1", domain.chain_id,
                                      domain.contract);
}

std::uint64_t u64(Micros n) { return static_cast<std::uint64_t>(n); }

Result<Voucher> voucher_from_json(const json::object& o) {
  Voucher out;
  TRY(out.channel, json::get_hash(o, "channelId"));
  TRY(out.most, get_decimal(o, "maxClaimableAmount"));
  TRY(out.signature, get_signature(o, "signature"));
  return out;
}

Result<Deposit> deposit_from_json(const json::object& o) {
  Deposit out;
  TRY(out.amount, get_decimal(o, "amount"));
  TRY(const json::object* how, json::get_object(o, "authorization"));
  if (!how->contains("erc3009Authorization"))
    return fail(Errc::unsupported, "only deposits by eip3009 are spoken");
  TRY(const json::object* a, json::get_object(*how, "erc3009Authorization"));
  TRY(out.valid_after, get_decimal_u64(*a, "validAfter"));
  TRY(out.valid_before, get_decimal_u64(*a, "validBefore"));
  TRY(out.salt, json::get_hash(*a, "salt"));
  TRY(out.signature, get_signature(*a, "signature"));
  return out;
}

json::object to_json(const Voucher& voucher) {
  return {{"channelId", to_hex(voucher.channel)},
          {"maxClaimableAmount", std::to_string(voucher.most)},
          {"signature", to_hex(voucher.signature.bytes)}};
}

json::object to_json(const Deposit& deposit) {
  return {{"amount", std::to_string(deposit.amount)},
          {"authorization",
           json::object{{"erc3009Authorization",
                         json::object{{"validAfter", std::to_string(deposit.valid_after)},
                                      {"validBefore", std::to_string(deposit.valid_before)},
                                      {"salt", to_hex(deposit.salt)},
                                      {"signature", to_hex(deposit.signature.bytes)}}}}}};
}

Result<ChannelPayment> channel_payment(const json::object& o) {
  ChannelPayment out;
  TRY(const json::object* accepted, json::get_object(o, "accepted"));
  TRY(out.accepted, channel_terms_from_json(*accepted));
  TRY(const json::object* payload, json::get_object(o, "payload"));
  TRY(const std::string type, json::get_string(*payload, "type"));
  TRY(const json::object* channel, json::get_object(*payload, "channelConfig"));
  TRY(out.channel, channel_from_json(*channel));
  TRY(const json::object* voucher, json::get_object(*payload, "voucher"));
  TRY(out.voucher, voucher_from_json(*voucher));
  if (type == "deposit") {
    TRY(const json::object* deposit, json::get_object(*payload, "deposit"));
    TRY(out.deposit, deposit_from_json(*deposit));
  } else if (type == "refund") {
    out.refund = true;
    if (payload->contains("amount")) {
      TRY(out.refund_amount, get_decimal(*payload, "amount"));
    }
  } else if (type != "voucher") {
    return fail(Errc::invalid, "a payload of type '{}'", type);
  }
  TRY(out.id, identifier_in(member(o, "extensions")));
  return out;
}

}  // namespace

Address published_channels() {
  return *Address::parse("0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003");
}
Address published_collector() {
  return *Address::parse("0x4020806089470a89826cB9fB1f4059150b550004");
}

json::object to_json(const ChannelTerms& terms) {
  json::object out = to_json(terms.token);
  out["scheme"] = kChannels;
  json::object& extra = out["extra"].get_object();
  extra["receiverAuthorizer"] = terms.receiver_authorizer.to_string();
  extra["withdrawDelay"] = terms.withdraw_delay_s;
  if (terms.min_deposit > 0) extra["minDeposit"] = std::to_string(terms.min_deposit);
  if (!terms.channel_state.empty()) extra["channelState"] = terms.channel_state;
  if (!terms.voucher_state.empty()) extra["voucherState"] = terms.voucher_state;
  return out;
}

Result<ChannelTerms> channel_terms_from_json(const json::object& o) {
  TRY(const std::string scheme, json::get_string(o, "scheme"));
  if (scheme != kChannels)
    return fail(Errc::unsupported, "scheme '{}', not '{}'", scheme, kChannels);
  ChannelTerms out;
  json::object exact = o;
  exact["scheme"] = kExact;
  TRY(out.token, requirements_from_json(exact));
  const json::object extra = member(o, "extra");
  TRY(out.receiver_authorizer, get_address(extra, "receiverAuthorizer"));
  TRY(out.withdraw_delay_s, json::get_u64(extra, "withdrawDelay"));
  if (extra.contains("minDeposit")) {
    TRY(out.min_deposit, get_decimal(extra, "minDeposit"));
  }
  out.channel_state = member(extra, "channelState");
  out.voucher_state = member(extra, "voucherState");
  return out;
}

json::object to_json(const Channel& channel) {
  return {{"payer", channel.payer.to_string()},
          {"payerAuthorizer", channel.payer_authorizer.to_string()},
          {"receiver", channel.receiver.to_string()},
          {"receiverAuthorizer", channel.receiver_authorizer.to_string()},
          {"token", channel.token.to_string()},
          {"withdrawDelay", channel.withdraw_delay_s},
          {"salt", to_hex(channel.salt)}};
}

Result<Channel> channel_from_json(const json::object& o) {
  Channel out;
  TRY(out.payer, get_address(o, "payer"));
  TRY(out.payer_authorizer, get_address(o, "payerAuthorizer"));
  TRY(out.receiver, get_address(o, "receiver"));
  TRY(out.receiver_authorizer, get_address(o, "receiverAuthorizer"));
  TRY(out.token, get_address(o, "token"));
  TRY(out.withdraw_delay_s, json::get_u64(o, "withdrawDelay"));
  if (out.withdraw_delay_s >> kDelayBits != 0)
    return fail(Errc::invalid, "withdrawDelay has more than {} bits", kDelayBits);
  TRY(out.salt, json::get_hash(o, "salt"));
  return out;
}

Hash channel_id(const ChannelDomain& domain, const Channel& channel) {
  return crypto::typed_digest(
      domain_separator(domain),
      crypto::StructHasher("ChannelConfig(address payer,address payerAuthorizer,address receiver,"
                           "address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 "
                           "salt)")
          .address(channel.payer)
          .address(channel.payer_authorizer)
          .address(channel.receiver)
          .address(channel.receiver_authorizer)
          .address(channel.token)
          .u64(channel.withdraw_delay_s)
          .bytes32(channel.salt)
          .finish());
}

Hash digest(const ChannelDomain& domain, const Hash& channel, Micros most) {
  return crypto::typed_digest(
      domain_separator(domain),
      crypto::StructHasher("Voucher(bytes32 channelId,uint128 maxClaimableAmount)")
          .bytes32(channel)
          .u64(u64(most))
          .finish());
}

Hash deposit_nonce(const Hash& channel, const Hash& salt) {
  return crypto::keccak256(crypto::AbiWriter().bytes32(channel).bytes32(salt).encode());
}

Hash digest(const Requirements& token, const Address& collector, const Address& payer,
            const Hash& channel, const Deposit& deposit) {
  const Hash domain =
      crypto::domain_separator_evm(token.name, token.version, token.chain_id, token.asset);
  return crypto::typed_digest(
      domain, crypto::StructHasher("ReceiveWithAuthorization(address from,address to,uint256 "
                                   "value,uint256 validAfter,uint256 validBefore,bytes32 nonce)")
                  .address(payer)
                  .address(collector)
                  .u64(u64(deposit.amount))
                  .u64(deposit.valid_after)
                  .u64(deposit.valid_before)
                  .bytes32(deposit_nonce(channel, deposit.salt))
                  .finish());
}

std::string to_header(const ChannelPayment& payment) {
  json::object payload{{"type", payment.refund    ? "refund"
                                : payment.deposit ? "deposit"
                                                  : "voucher"},
                       {"channelConfig", to_json(payment.channel)},
                       {"voucher", to_json(payment.voucher)}};
  if (payment.deposit) payload["deposit"] = to_json(*payment.deposit);
  if (payment.refund_amount) payload["amount"] = std::to_string(*payment.refund_amount);
  json::object o{
      {"x402Version", 2}, {"accepted", to_json(payment.accepted)}, {"payload", std::move(payload)}};
  if (payment.id)
    o["extensions"] = with_identifier({{kPaymentIdentifier, identifier_extension()}}, *payment.id);
  return header_of(o);
}

Result<ChannelPayment> channel_payment_from_header(std::string_view header) {
  TRY(const json::object o, object_of(header, "PAYMENT-SIGNATURE"));
  return channel_payment(o);
}

Result<AnyPayment> any_payment_from_header(std::string_view header) {
  TRY(const json::object o, object_of(header, "PAYMENT-SIGNATURE"));
  const json::object accepted = member(o, "accepted");
  const json::value* scheme = accepted.if_contains("scheme");
  if (scheme != nullptr && scheme->is_string() && scheme->get_string() == kChannels) {
    TRY(ChannelPayment payment, channel_payment(o));
    return payment;
  }
  TRY(Payment payment, payment_from_header(header));
  return payment;
}

json::object to_json(const ChannelState& state) {
  return {{"channelId", to_hex(state.id)},
          {"balance", std::to_string(state.balance)},
          {"totalClaimed", std::to_string(state.claimed)},
          {"withdrawRequestedAt", state.withdraw_requested_at},
          {"refundNonce", std::to_string(state.refund_nonce)},
          {"chargedCumulativeAmount", std::to_string(state.charged)}};
}

}  // namespace assay::protocol::x402
