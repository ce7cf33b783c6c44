// Writes spec/vectors/x402/payments.json: what payers of both schemes sign, and the headers it
// travels in; read again here, and by the public packages (tests/peers/x402.mjs).
#include <gtest/gtest.h>
#include <random>

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "protocol/samples_testutil.hpp"
#include "protocol/x402_channel.hpp"

namespace assay::protocol::x402 {
namespace {

Address address(std::uint8_t fill) {
  Address out;
  out.bytes.fill(fill);
  return out;
}

Hash word(std::uint8_t fill) {
  Hash out;
  out.fill(fill);
  return out;
}

struct Tokens {
  Requirements terms;
  Micros value;
};
std::vector<Tokens> tokens() {
  const Requirements usdc{.chain_id = 8453,
                          .asset = *Address::parse("0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"),
                          .pay_to = address(0x5e),
                          .amount = 1'234,
                          .timeout_s = 600,
                          .name = "USD Coin",
                          .version = "2"};
  Requirements dev = usdc;
  dev.chain_id = 31337;
  dev.asset = address(0x70);
  dev.amount = std::numeric_limits<Micros>::max();
  dev.name = "Test Dollar é";
  dev.version = "1";
  return {{usdc, 1'234}, {dev, dev.amount}};
}

json::object money_json(const Requirements& token) {
  return {{"name", token.name},
          {"version", token.version},
          {"chainId", token.chain_id},
          {"verifyingContract", token.asset.to_string()}};
}

json::object exact(const Tokens& of, const crypto::SecretKey& payer,
                   std::optional<std::string> id) {
  Payment p{.accepted = of.terms};
  p.authorization = {.from = crypto::address_of(payer),
                     .to = of.terms.pay_to,
                     .value = of.value,
                     .valid_after = 1'790'000'000,
                     .valid_before = 1'790'000'600,
                     .nonce = word(0xab)};
  const Hash signed_digest = digest(p.accepted, p.authorization);
  p.signature = crypto::sign(signed_digest, payer);
  if (id) p.extensions = with_identifier({{kPaymentIdentifier, identifier_extension()}}, *id);
  const std::string header = to_header(p);
  const auto read = payment_from_header(header);
  EXPECT_TRUE(read && read->authorization == p.authorization && read->id == id);
  return {
      {"domain", money_json(of.terms)},
      {"authorization", json::object{{"from", p.authorization.from.to_string()},
                                     {"to", p.authorization.to.to_string()},
                                     {"value", std::to_string(p.authorization.value)},
                                     {"validAfter", std::to_string(p.authorization.valid_after)},
                                     {"validBefore", std::to_string(p.authorization.valid_before)},
                                     {"nonce", to_hex(p.authorization.nonce)}}},
      {"digest", to_hex(signed_digest)},
      {"signature", to_hex(p.signature.bytes)},
      {"identifier", id ? json::value(*id) : nullptr},
      {"header", header}};
}

json::object channel(const Tokens& of, const crypto::SecretKey& payer,
                     const crypto::SecretKey& signer, int kind) {
  const ChannelDomain domain{of.terms.chain_id, published_channels()};
  ChannelPayment p;
  p.accepted = {
      .token = of.terms, .receiver_authorizer = address(0x11), .withdraw_delay_s = 86'400};
  p.channel = {.payer = crypto::address_of(payer),
               .payer_authorizer = crypto::address_of(signer),
               .receiver = of.terms.pay_to,
               .receiver_authorizer = address(0x11),
               .token = of.terms.asset,
               .withdraw_delay_s = 86'400,
               .salt = word(0xcd)};
  p.voucher.channel = channel_id(domain, p.channel);
  p.voucher.most = of.value;
  const Hash voucher = digest(domain, p.voucher.channel, p.voucher.most);
  p.voucher.signature = crypto::sign(voucher, signer);
  json::object out{{"chainId", domain.chain_id},
                   {"contract", domain.contract.to_string()},
                   {"config", to_json(p.channel)},
                   {"channelId", to_hex(p.voucher.channel)},
                   {"maxClaimableAmount", std::to_string(p.voucher.most)},
                   {"voucherDigest", to_hex(voucher)},
                   {"voucherSignature", to_hex(p.voucher.signature.bytes)}};
  if (kind == 1) {
    p.deposit = Deposit{.amount = of.value, .valid_before = 1'790'000'600, .salt = word(0xef)};
    const Hash deposit =
        digest(of.terms, published_collector(), p.channel.payer, p.voucher.channel, *p.deposit);
    p.deposit->signature = crypto::sign(deposit, payer);
    out["deposit"] =
        json::object{{"domain", money_json(of.terms)},
                     {"collector", published_collector().to_string()},
                     {"amount", std::to_string(p.deposit->amount)},
                     {"validAfter", std::to_string(p.deposit->valid_after)},
                     {"validBefore", std::to_string(p.deposit->valid_before)},
                     {"salt", to_hex(p.deposit->salt)},
                     {"nonce", to_hex(deposit_nonce(p.voucher.channel, p.deposit->salt))},
                     {"digest", to_hex(deposit)},
                     {"signature", to_hex(p.deposit->signature.bytes)}};
  }
  p.refund = kind == 2;
  if (p.refund) p.refund_amount = 55;
  out["type"] = kind == 1 ? "deposit" : kind == 2 ? "refund" : "voucher";
  out["header"] = to_header(p);
  const auto read = any_payment_from_header(to_header(p));
  EXPECT_TRUE(read);
  const auto* back = read ? std::get_if<ChannelPayment>(&*read) : nullptr;
  EXPECT_TRUE(back != nullptr && back->channel == p.channel && back->voucher == p.voucher &&
              back->deposit == p.deposit && back->refund == p.refund &&
              back->refund_amount == p.refund_amount && to_header(*back) == to_header(p));
  return out;
}

TEST(X402Vectors, PaymentsAreWhatTheVectorsSay) {
  const auto payer = key_named("buyer"), signer = key_named("provider");
  json::array exact_ones, channels, responses;
  for (const Tokens& of : tokens()) {
    exact_ones.emplace_back(exact(of, payer, std::nullopt));
    exact_ones.emplace_back(exact(of, payer, "pay_0123456789abcdef"));
    for (int kind = 0; kind < 3; ++kind) {
      channels.emplace_back(channel(of, payer, payer, kind));
      channels.emplace_back(channel(of, payer, signer, kind));
    }
  }
  const auto response = [&](const Settled& settled) {
    const std::string header = to_header(settled);
    const auto read = settled_from_header(header);
    EXPECT_TRUE(read && to_header(*read) == header);
    responses.emplace_back(
        json::object{{"header", header},
                     {"success", settled.success},
                     {"amount", settled.amount ? std::to_string(*settled.amount) : ""},
                     {"extra", settled.extra}});
  };
  Settled settled{.success = true,
                  .payer = crypto::address_of(payer),
                  .transaction = word(0x77),
                  .chain_id = 8453,
                  .amount = 1'234};
  response(settled);
  settled.transaction.reset();
  settled.amount.reset();
  settled.extra = {{"chargedAmount", "700"},
                   {"channelState", to_json(ChannelState{.id = word(1),
                                                         .balance = 10'000,
                                                         .claimed = 500,
                                                         .charged = 1'200,
                                                         .withdraw_requested_at = 0,
                                                         .refund_nonce = 2})}};
  response(settled);

  ChannelTerms terms{.token = tokens()[0].terms,
                     .receiver_authorizer = address(0x11),
                     .withdraw_delay_s = 86'400,
                     .min_deposit = 20'000};
  const Required required{.error = "invalid_batch_settlement_evm_cumulative_amount_mismatch",
                          .resource = {{"url", "https://sells.example/v1/completions"}},
                          .accepts = {to_json(terms.token), to_json(terms)},
                          .extensions = {{kPaymentIdentifier, identifier_extension()}}};
  const auto read = required_from_header(to_header(required));
  ASSERT_TRUE(read && read->accepts.size() == 2);
  EXPECT_TRUE(requirements_from_json(read->accepts[0].get_object()));
  EXPECT_FALSE(requirements_from_json(read->accepts[1].get_object()));
  const auto channel_terms = channel_terms_from_json(read->accepts[1].get_object());
  ASSERT_TRUE(channel_terms);
  EXPECT_EQ(channel_terms->min_deposit, 20'000);
  EXPECT_FALSE(channel_terms_from_json(read->accepts[0].get_object()));

  const json::object all{
      {"exact", std::move(exact_ones)},
      {"batch-settlement", std::move(channels)},
      {"required", json::object{{"header", to_header(required)}, {"accepts", required.accepts}}},
      {"responses", std::move(responses)}};
  expect_vectors("x402/payments.json", json::dump_pretty(all) + "\n");
}

TEST(X402Vectors, HostileChannelPaymentsAreErrors) {
  const json::object good = channel(tokens()[0], key_named("buyer"), key_named("buyer"), 1);
  const std::string header(good.at("header").get_string());
  ASSERT_TRUE(channel_payment_from_header(header));
  // Every prefix, and every member that is gone or something else.
  for (std::size_t n = 0; n < header.size(); n += 7)
    EXPECT_FALSE(any_payment_from_header(std::string_view(header).substr(0, n)));
  const auto bytes = from_base64(header);
  const json::value parsed =
      *json::parse(std::string_view(reinterpret_cast<const char*>(bytes->data()), bytes->size()));
  const auto damaged = [&](std::initializer_list<std::string_view> path, const json::value* to) {
    json::value copy = parsed;
    json::object* at = &copy.get_object();
    for (auto it = path.begin(); it + 1 != path.end(); ++it) at = &at->at(*it).get_object();
    const std::string_view last = *(path.end() - 1);
    if (to == nullptr)
      at->erase(last);
    else
      (*at)[last] = *to;
    return channel_payment_from_header(to_base64(view(json::dump(copy)))).has_value();
  };
  const std::vector<std::vector<std::string_view>> needed = {
      {"accepted", "extra", "receiverAuthorizer"},
      {"accepted", "extra", "withdrawDelay"},
      {"payload", "type"},
      {"payload", "channelConfig", "payer"},
      {"payload", "channelConfig", "payerAuthorizer"},
      {"payload", "channelConfig", "withdrawDelay"},
      {"payload", "channelConfig", "salt"},
      {"payload", "voucher", "channelId"},
      {"payload", "voucher", "maxClaimableAmount"},
      {"payload", "voucher", "signature"},
      {"payload", "deposit", "amount"},
      {"payload", "deposit", "authorization", "erc3009Authorization", "validBefore"},
      {"payload", "deposit", "authorization", "erc3009Authorization", "signature"}};
  const std::vector<json::value> strange = {nullptr, -1,   1.5,           "",
                                            "0x",    "-1", json::array{}, json::object{}};
  for (const auto& path : needed) {
    const auto try_one = [&](const json::value* to) {
      switch (path.size()) {
        case 2:
          return damaged({path[0], path[1]}, to);
        case 3:
          return damaged({path[0], path[1], path[2]}, to);
        default:
          return damaged({path[0], path[1], path[2], path[3], path[4]}, to);
      }
    };
    EXPECT_FALSE(try_one(nullptr)) << path.back();
    for (const json::value& other : strange)
      EXPECT_FALSE(try_one(&other)) << path.back() << " as " << json::dump(other);
  }
  const json::value long_delay = std::uint64_t{1} << 40;
  EXPECT_FALSE(damaged({"payload", "channelConfig", "withdrawDelay"}, &long_delay));
}

// What is still read after random damage says itself again, and nothing crashes.
TEST(X402Vectors, DamagedPaymentsAreErrorsOrPayments) {
  const auto payer = key_named("buyer");
  std::vector<std::string> texts;
  for (const json::object& one :
       {exact(tokens()[0], payer, "pay_0123456789abcdef"), channel(tokens()[0], payer, payer, 0),
        channel(tokens()[0], payer, payer, 1), channel(tokens()[0], payer, payer, 2)}) {
    const auto bytes = from_base64(std::string_view(one.at("header").get_string()));
    texts.emplace_back(bytes->begin(), bytes->end());
  }
  std::mt19937_64 random(402);
  constexpr std::string_view kLikely = "0123456789abcdefxX\"{}[]:,-.eE truefalsn\\";
  std::size_t read_again = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = texts[random() % texts.size()];
    for (std::uint64_t n = random() % 3 + 1; n > 0; --n) {
      const std::size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = kLikely[random() % kLikely.size()];
          break;
        case 1:
          text.erase(at, random() % 4 + 1);
          break;
        default:
          text.insert(at, 1, kLikely[random() % kLikely.size()]);
      }
    }
    const auto read = any_payment_from_header(to_base64(view(text)));
    if (!read) continue;
    ++read_again;
    const std::string header = std::visit([](const auto& p) { return to_header(p); }, *read);
    const auto again = any_payment_from_header(header);
    ASSERT_TRUE(again) << text;
    EXPECT_EQ(std::visit([](const auto& p) { return to_header(p); }, *again), header) << text;
  }
  EXPECT_GT(read_again, 1'000u);
}

}  // namespace
}  // namespace assay::protocol::x402
