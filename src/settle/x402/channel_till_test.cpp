// Channels on anvil, in a contract written from the public specification (contracts/test/x402):
// what is refused and why, what is charged and claimed, however this process ends, and whatever the
// payer does meanwhile.
#include <filesystem>
#include <thread>

#include "settle/x402/x402_testutil.hpp"

namespace assay::settle::x402 {
namespace {

using protocol::x402::Deposit;

class X402Channels : public X402Test {
 protected:
  static constexpr Micros kDeposit = 10'000;

  void SetUp() override {
    channels.emplace();
    channels->watch_s = 0;
    deploy_first = [this] {
      const auto compiled = evm::artifacts_in("test/x402/artifacts.json");
      channels->contract = create(*compiled.bytecode("TestChannels"));
      auto code = *compiled.bytecode("TestCollector");
      append(code, crypto::AbiWriter().address(channels->contract).encode());
      channels->collector = create(std::move(code));
    };
    X402Test::SetUp();
  }

  ChannelTill& shopkeeper() { return *till->channels(); }
  protocol::x402::ChannelDomain domain() const {
    return {io::DevChain::kChainId, channels->contract};
  }
  Channel channel(std::uint8_t salt = 0) {
    const auto terms = shopkeeper().terms(1);
    return {.payer = payer,
            .payer_authorizer = payer,
            .receiver = shop,
            .receiver_authorizer = terms.receiver_authorizer,
            .token = asset,
            .withdraw_delay_s = terms.withdraw_delay_s,
            .salt = Hash{salt}};
  }
  // Of all that was charged before, and `amount` on top.
  ChannelPayment voucher(Micros before, Micros amount, std::uint8_t salt = 0) {
    ChannelPayment out{.accepted = shopkeeper().terms(amount), .channel = channel(salt)};
    out.voucher.channel = channel_id(domain(), out.channel);
    out.voucher.most = before + amount;
    sign(out);
    return out;
  }
  void sign(ChannelPayment& p) {
    p.voucher.signature =
        crypto::sign(digest(domain(), p.voucher.channel, p.voucher.most), payer_key);
  }
  ChannelPayment with_deposit(ChannelPayment p, Micros amount = kDeposit) {
    p.deposit = Deposit{.amount = amount,
                        .valid_before = static_cast<std::uint64_t>(clock.now_s()) + 600,
                        .salt = io::random_hash()};
    p.deposit->signature = crypto::sign(
        digest(p.accepted.token, channels->collector, payer, p.voucher.channel, *p.deposit),
        payer_key);
    return p;
  }

  Taken<ChannelSale> admitted(const ChannelPayment& p, const Hash& request = kRequest) {
    auto sale = shopkeeper().enter(p, request);
    if (!sale || sale->done) return sale;
    const auto good = shopkeeper().admit(*sale, p.accepted.token.amount);
    if (!good) return std::unexpected(good.error());
    return sale;
  }
  // "" when it was sold.
  std::string sold(const ChannelPayment& p, Micros cost, const Hash& request = kRequest) {
    auto sale = admitted(p, request);
    if (!sale) return short_code(sale.error());
    EXPECT_FALSE(sale->done);
    EXPECT_TRUE(shopkeeper().charge(*sale, cost));
    return "";
  }
  std::string refusal(const ChannelPayment& p) {
    const auto sale = admitted(p);
    return sale ? "sold" : short_code(sale.error());
  }
  static std::string short_code(const Refusal& why) {
    constexpr std::string_view kPrefix = "invalid_batch_settlement_evm_";
    return why.code.starts_with(kPrefix) ? why.code.substr(kPrefix.size()) : why.code;
  }
  ChannelRow row(std::uint8_t salt = 0) {
    const auto found = shopkeeper().book().find(channel_id(domain(), channel(salt)));
    return found && *found ? **found : ChannelRow{};
  }
  void by_payer(Bytes data) {
    auto sender = this->sender("payer.db", payer_key);
    run(*sender,
        {.id = io::random_hash(), .to = channels->contract, .value = {}, .data = std::move(data)});
  }
  crypto::AbiWriter config(std::uint8_t salt = 0) {
    const Channel c = channel(salt);
    crypto::AbiWriter out;
    out.address(c.payer).address(c.payer_authorizer).address(c.receiver);
    out.address(c.receiver_authorizer).address(c.token).uint(c.withdraw_delay_s).bytes32(c.salt);
    return out;
  }
  void ask_to_withdraw(Micros amount, std::uint8_t salt = 0) {
    by_payer(config(salt)
                 .uint(static_cast<std::uint64_t>(amount))
                 .call("initiateWithdraw((address,address,address,address,address,uint40,bytes32),"
                       "uint128)"));
  }
  void withdraw(std::uint8_t salt = 0) {
    ASSERT_TRUE(chain->rpc().call("evm_increaseTime", {std::int64_t{86'401}}));
    ASSERT_TRUE(chain->mine());
    by_payer(config(salt).call(
        "finalizeWithdraw((address,address,address,address,address,uint40,bytes32))"));
  }
};

TEST_F(X402Channels, AnAnswerIsChargedWhatItCost) {
  const ChannelPayment first = with_deposit(voucher(0, 1'000));
  auto sale = admitted(first);
  ASSERT_TRUE(sale) << sale.error().message;
  EXPECT_EQ(balance(channels->contract), kDeposit);
  EXPECT_EQ(row().charged, 0) << "charged before the answer";
  ASSERT_TRUE(shopkeeper().charge(*sale, 700));
  const auto said = shopkeeper().settled(*sale);
  EXPECT_TRUE(said.success);
  EXPECT_TRUE(said.transaction);
  EXPECT_EQ(said.amount, kDeposit);
  EXPECT_EQ(said.extra.at("chargedAmount"), "700");
  EXPECT_EQ(said.extra.at("channelState").at("chargedCumulativeAmount"), "700");
  EXPECT_EQ(said.extra.at("channelState").at("balance"), "10000");
  sale = std::unexpected(Refusal{});  // its turn is over
  // No more than the voucher is over, and never nothing.
  EXPECT_EQ(sold(voucher(700, 1'000), 5'000, Hash{7}), "");
  EXPECT_EQ(row().charged, 1'700);
  EXPECT_EQ(sold(voucher(1'700, 1'000), 0, Hash{8}), "");
  EXPECT_EQ(row().charged, 1'701);
  EXPECT_EQ(balance(shop), 0);
  ASSERT_TRUE(shopkeeper().look(true));
  EXPECT_EQ(balance(shop), 1'701);
  EXPECT_EQ(row().funds.claimed, 1'701);
  // Nothing is due any more.
  const auto block = (*chain->rpc().head()).number;
  ASSERT_TRUE(shopkeeper().look(true));
  EXPECT_EQ((*chain->rpc().head()).number, block);
}

TEST_F(X402Channels, AVoucherGoesOnFromWhatWasCharged) {
  ASSERT_EQ(sold(with_deposit(voucher(0, 1'000)), 600), "");
  // The payer that missed the answer is told, with its own voucher as the proof.
  for (const Micros before : {0, 599, 601, 1'000}) {
    auto sale = admitted(voucher(before, 1'001), kOtherRequest);
    ASSERT_FALSE(sale);
    EXPECT_EQ(short_code(sale.error()), "cumulative_amount_mismatch");
    EXPECT_EQ(sale.error().channel_state.at("chargedCumulativeAmount"), "600");
    EXPECT_EQ(sale.error().voucher_state.at("signedMaxClaimable"), "1000");
    EXPECT_EQ(sale.error().voucher_state.at("signature"),
              to_hex(voucher(0, 1'000).voucher.signature.bytes).c_str());
    // As the header says it.
    const auto required =
        protocol::x402::required_from_header(till->required(sale.error(), 1'001, "http://x/"));
    ASSERT_TRUE(required && required->accepts.size() == 2);
    EXPECT_EQ(required->accepts[1].at("extra").at("channelState").at("chargedCumulativeAmount"),
              "600");
    EXPECT_FALSE(required->accepts[0].at("extra").get_object().contains("channelState"));
  }
  EXPECT_EQ(sold(voucher(600, 1'000), 100, kOtherRequest), "");
  EXPECT_EQ(row().charged, 700);
}

TEST_F(X402Channels, TheSameRequestIsChargedOnce) {
  const ChannelPayment first = with_deposit(voucher(0, 1'000));
  ASSERT_EQ(sold(first, 600), "");
  const auto again = [&](const ChannelPayment& p) {
    auto sale = shopkeeper().enter(p, kRequest);
    EXPECT_TRUE(sale && sale->done);
    return sale ? shopkeeper().settled(*sale) : protocol::x402::Settled{};
  };
  // The very same, in this process or the next.
  const auto said = again(first);
  EXPECT_EQ(said.extra.at("chargedAmount"), "600");
  EXPECT_TRUE(said.transaction);
  open();
  EXPECT_EQ(again(first).extra, said.extra);
  EXPECT_EQ(again(first).transaction, said.transaction);
  EXPECT_EQ(row().charged, 600);
  // For another request, the voucher is used up.
  EXPECT_EQ(short_code(admitted(first, kOtherRequest).error()), "cumulative_amount_mismatch");

  // Signed anew under its name, by a payer that forgot: nothing more is charged.
  ChannelPayment named = voucher(600, 1'000);
  named.id = "pay_0123456789abcdef";
  ASSERT_EQ(sold(named, 500, kOtherRequest), "");
  ChannelPayment anew = voucher(1'100, 1'000);
  anew.id = named.id;
  auto sale = shopkeeper().enter(anew, kOtherRequest);
  ASSERT_TRUE(sale && sale->done);
  EXPECT_EQ(shopkeeper().settled(*sale).extra.at("chargedAmount"), "0");
  sale = std::unexpected(Refusal{});
  EXPECT_EQ(shopkeeper().enter(anew, kRequest).error().status, 409);
  // The voucher without its name is on the chain for all to see, and fetches nothing.
  named.id.reset();
  EXPECT_EQ(short_code(admitted(named, kOtherRequest).error()), "cumulative_amount_mismatch");
}

TEST_F(X402Channels, OneRequestAtATime) {
  ASSERT_EQ(sold(with_deposit(voucher(0, 1'000)), 100), "");
  auto first = admitted(voucher(100, 1'000), Hash{3});
  ASSERT_TRUE(first);
  EXPECT_EQ(refusal(voucher(100, 1'000)), "channel_busy");
  // Its work failed: the voucher is as good as before, for whatever comes first.
  first = std::unexpected(Refusal{});
  EXPECT_EQ(row().charged, 100);
  ASSERT_EQ(sold(voucher(100, 1'000), 200, Hash{4}), "");
  // Who waits a moment has its turn, and learns what was charged meanwhile.
  first = admitted(voucher(300, 1'000), Hash{5});
  ASSERT_TRUE(first);
  std::string second;
  std::thread other([&] { second = refusal(voucher(300, 1'000)); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  ASSERT_TRUE(shopkeeper().charge(*first, 100));
  first = std::unexpected(Refusal{});
  other.join();
  EXPECT_EQ(second, "cumulative_amount_mismatch");
}

TEST_F(X402Channels, WhatIsNotAskedForIsRefused) {
  ASSERT_EQ(sold(with_deposit(voucher(0, 1'000)), 100), "");
  const auto with = [&](auto&& change) {
    ChannelPayment p = voucher(100, 1'000);
    change(p);
    p.voucher.channel = channel_id(domain(), p.channel);
    sign(p);
    return refusal(p);
  };
  EXPECT_EQ(with([](ChannelPayment& p) { p.accepted.token.chain_id = 1; }), "network_mismatch");
  EXPECT_EQ(with([](ChannelPayment& p) { p.accepted.token.asset = p.channel.payer; }),
            "token_mismatch");
  EXPECT_EQ(with([](ChannelPayment& p) { p.channel.token = p.channel.payer; }), "token_mismatch");
  EXPECT_EQ(with([](ChannelPayment& p) { p.accepted.token.version = "2"; }), "token_mismatch");
  EXPECT_EQ(with([](ChannelPayment& p) { p.channel.receiver = p.channel.payer; }),
            "receiver_mismatch");
  EXPECT_EQ(with([](ChannelPayment& p) { p.accepted.token.pay_to = p.channel.payer; }),
            "receiver_mismatch");
  EXPECT_EQ(with([](ChannelPayment& p) { p.channel.receiver_authorizer = p.channel.payer; }),
            "receiver_authorizer_mismatch");
  EXPECT_EQ(with([](ChannelPayment& p) { p.channel.withdraw_delay_s = 900; }),
            "withdraw_delay_mismatch");
  EXPECT_EQ(with([](ChannelPayment& p) { p.channel.payer_authorizer = {}; }), "unsupported_scheme");
  EXPECT_EQ(with([](ChannelPayment& p) {
              p.channel.salt = Hash{9};
              p.voucher.most = 1'000;
            }),
            "channel_not_found");
  EXPECT_EQ(with([](ChannelPayment& p) { p.channel.payer_authorizer = p.channel.receiver; }),
            "voucher_signature");
  ChannelPayment p = voucher(100, 1'000);
  p.voucher.channel[0] ^= 1;
  EXPECT_EQ(refusal(p), "channel_id_mismatch");
  p = voucher(100, 1'000);
  ++p.voucher.most;
  EXPECT_EQ(refusal(p), "voucher_signature");
  EXPECT_EQ(refusal(voucher(100, kDeposit)), "cumulative_exceeds_balance");
  EXPECT_EQ(refusal(voucher(100, std::numeric_limits<Micros>::max() - 100)),
            "cumulative_exceeds_balance");
  // Less than the price of the moment.
  auto sale = shopkeeper().enter(voucher(100, 1'000), kRequest);
  ASSERT_TRUE(sale);
  const auto cheap = shopkeeper().admit(*sale, 1'001);
  ASSERT_FALSE(cheap);
  EXPECT_EQ(cheap.error().code, "invalid_payment_requirements");
  EXPECT_EQ(row().charged, 100);
}

TEST_F(X402Channels, ADepositIsMadeOnceAndOnlyForAVoucherItCovers) {
  channels->min_deposit = 500;
  open();
  const auto with = [&](Micros amount, auto&& change) {
    ChannelPayment p = with_deposit(voucher(0, 400), amount);
    change(*p.deposit);
    p.deposit->signature = crypto::sign(
        digest(p.accepted.token, channels->collector, payer, p.voucher.channel, *p.deposit),
        payer_key);
    return refusal(p);
  };
  const auto as_it_is = [](Deposit&) {};
  EXPECT_EQ(with(499, as_it_is), "deposit_below_min_deposit");
  EXPECT_EQ(with(kMinted + 1, as_it_is), "insufficient_balance");
  EXPECT_EQ(with(500, [](Deposit& d) { d.valid_after = d.valid_before; }),
            "payload_authorization_valid_after");
  EXPECT_EQ(with(500, [](Deposit& d) { d.valid_before -= 598; }),
            "payload_authorization_valid_before");
  ChannelPayment p = with_deposit(voucher(0, 400), 500);
  ++p.deposit->amount;
  EXPECT_EQ(refusal(p), "receive_authorization_signature");
  EXPECT_EQ(balance(channels->contract), 0);
  // Twice the same, and once more in the next process: one deposit.
  p = with_deposit(voucher(0, 400), 500);
  EXPECT_EQ(refusal(p), "sold");
  EXPECT_EQ(refusal(p), "sold");
  open();
  EXPECT_EQ(refusal(p), "sold");
  EXPECT_EQ(balance(channels->contract), 500);
  ASSERT_EQ(sold(p, 400), "");
  // Sent by somebody else: it is there, and that is enough.
  p = with_deposit(voucher(400, 400), 600);
  run(*by_deployer,
      {.id = io::random_hash(),
       .to = channels->contract,
       .value = {},
       .data = ChannelContract::deposit_call(p.channel, *p.deposit, channels->collector)});
  EXPECT_EQ(refusal(p), "sold");
  EXPECT_EQ(balance(channels->contract), 1'100);
}

TEST_F(X402Channels, ADepositOnItsWayIsLookedAtAndNotMadeAgain) {
  const ChannelPayment p = with_deposit(voucher(0, 1'000));
  automine(false);
  EXPECT_EQ(refusal(p), "settlement_unknown");
  // kill -9, and a new start, before and after its block.
  open();
  EXPECT_EQ(refusal(p), "settlement_unknown");
  open();
  ASSERT_TRUE(chain->mine());
  automine(true);
  EXPECT_EQ(sold(p, 10), "");
  EXPECT_EQ(balance(channels->contract), kDeposit);
  EXPECT_EQ(balance(payer), kMinted - kDeposit);
}

TEST_F(X402Channels, AWithdrawalIsNoticedAndClaimedBefore) {
  ASSERT_EQ(sold(with_deposit(voucher(0, 1'000)), 900), "");
  ASSERT_TRUE(shopkeeper().look());
  EXPECT_EQ(balance(shop), 0) << "claimed though nothing was due";
  ask_to_withdraw(kDeposit - 2'000);
  ASSERT_TRUE(shopkeeper().look());
  EXPECT_EQ(balance(shop), 900);
  // What the withdrawal leaves can still be spent, and no more.
  EXPECT_EQ(refusal(voucher(900, 1'101)), "cumulative_exceeds_balance");
  EXPECT_EQ(sold(voucher(900, 1'100), 1'000, kOtherRequest), "");
  withdraw();
  ASSERT_TRUE(shopkeeper().look(true));
  EXPECT_EQ(balance(shop), 1'900);
  EXPECT_EQ(balance(payer), kMinted - 2'000);
}

TEST_F(X402Channels, WhatCannotBeClaimedAnyMoreTakesNoOtherAlong) {
  ASSERT_EQ(sold(with_deposit(voucher(0, 1'000, 1)), 900), "");
  ASSERT_EQ(sold(with_deposit(voucher(0, 1'000, 2)), 800, kOtherRequest), "");
  // The seller is away for as long as a withdrawal takes.
  ASSERT_EQ(sold(with_deposit(voucher(0, 1'000, 3)), 700, Hash{3}), "");
  ask_to_withdraw(kDeposit, 1);
  withdraw(1);
  ask_to_withdraw(kDeposit - 500, 3);
  withdraw(3);
  ASSERT_TRUE(shopkeeper().look(true));
  // Of the third, what was left.
  EXPECT_EQ(balance(shop), 800 + 500);
  EXPECT_EQ(balance(payer), kMinted - kDeposit - 500);
}

TEST_F(X402Channels, ClaimsSurviveTheEndOfTheProcess) {
  for (std::uint8_t salt = 1; salt <= 30; ++salt)
    ASSERT_EQ(sold(with_deposit(voucher(0, 100, salt), 200), 90, Hash{salt}), "");
  automine(false);
  ASSERT_TRUE(shopkeeper().look(true));  // sent, and not mined
  open();
  ASSERT_TRUE(shopkeeper().look(true));
  ASSERT_EQ(sold(voucher(90, 100, 1), 50, kOtherRequest), "");
  open();
  automine(true);
  ASSERT_TRUE(chain->mine());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(shopkeeper().look(true));
  EXPECT_EQ(balance(shop), 30 * 90 + 50);
  EXPECT_EQ(balance(channels->contract), 30 * 200 - 30 * 90 - 50);
}

TEST_F(X402Channels, ALostBookGoesOnFromTheChain) {
  ASSERT_EQ(sold(with_deposit(voucher(0, 1'000)), 900), "");
  ASSERT_TRUE(shopkeeper().look(true));
  ASSERT_EQ(sold(voucher(900, 1'000), 700, kOtherRequest), "");
  till.reset();
  for (const char* end : {"", "-wal", "-shm"})
    std::filesystem::remove(folder->file(std::string("channels.db") + end));
  open();
  // What was not claimed is lost to the seller, never to the payer.
  auto sale = admitted(voucher(1'600, 1'000), Hash{5});
  ASSERT_FALSE(sale);
  EXPECT_EQ(sale.error().channel_state.at("chargedCumulativeAmount"), "900");
  EXPECT_TRUE(sale.error().voucher_state.empty());
  EXPECT_EQ(sold(voucher(900, 1'000), 100, Hash{5}), "");
  ASSERT_TRUE(shopkeeper().look(true));
  EXPECT_EQ(balance(shop), 1'000);
}

TEST_F(X402Channels, MoneyThatWasNotChargedIsGivenBackWhenAsked) {
  ASSERT_EQ(sold(with_deposit(voucher(0, 1'000)), 900), "");
  const auto ask = [&](Micros charged, std::optional<Micros> amount = std::nullopt) {
    ChannelPayment p = voucher(charged, 0);
    p.accepted.token.amount = 1;
    p.refund = true;
    p.refund_amount = amount;
    return shopkeeper().refund(p);
  };
  EXPECT_EQ(short_code(ask(1'000).error()), "cumulative_amount_mismatch");
  EXPECT_EQ(short_code(ask(900, 0).error()), "refund_amount_invalid");
  const auto part = ask(900, 1'000);
  ASSERT_TRUE(part) << part.error().message;
  EXPECT_EQ(part->amount, 1'000);
  EXPECT_EQ(part->extra.at("channelState").at("balance"), "9000");
  EXPECT_FALSE(part->extra.contains("chargedAmount"));
  EXPECT_EQ(balance(payer), kMinted - kDeposit + 1'000);
  // What stays covers the voucher, which was not claimed yet.
  ASSERT_EQ(sold(voucher(900, 1'000), 100, kOtherRequest), "");
  const auto rest = ask(1'000);
  ASSERT_TRUE(rest) << rest.error().message;
  EXPECT_EQ(rest->amount, 8'000);
  EXPECT_EQ(short_code(ask(1'000).error()), "refund_no_balance");
  ASSERT_TRUE(shopkeeper().look(true));
  EXPECT_EQ(balance(shop), 1'000);
  EXPECT_EQ(balance(payer), kMinted - 1'000);
  EXPECT_EQ(balance(channels->contract), 0);
}

// A claim shows its voucher to everybody: what it was over and was not charged is nobody else's.
TEST_F(X402Channels, AVoucherThatWasClaimedBuysNothingMore) {
  ASSERT_EQ(sold(with_deposit(voucher(0, 1'000)), 100), "");
  ASSERT_TRUE(shopkeeper().look(true));
  EXPECT_EQ(balance(shop), 100);
  const auto stolen = admitted(voucher(100, 900), kOtherRequest);
  ASSERT_FALSE(stolen);
  EXPECT_EQ(short_code(stolen.error()), "cumulative_amount_mismatch");
  EXPECT_EQ(stolen.error().at_least, 901);
  EXPECT_EQ(sold(voucher(100, 901), 50, kOtherRequest), "");
  EXPECT_EQ(row().charged, 150);
}

TEST_F(X402Channels, WhatARefundTakesBuysNothing) {
  ASSERT_EQ(sold(with_deposit(voucher(0, 1'000)), 100), "");
  ChannelPayment back = voucher(100, 0);
  back.refund = true;
  automine(false);
  const auto asked = shopkeeper().refund(back);
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code, "settlement_unknown");
  EXPECT_EQ(refusal(voucher(100, 5'000)), "settlement_unknown");
  open();  // the next process knows of it, too
  EXPECT_EQ(refusal(voucher(100, 5'000)), "settlement_unknown");
  automine(true);
  ASSERT_TRUE(chain->mine());
  EXPECT_EQ(refusal(voucher(100, 5'000)), "cumulative_exceeds_balance");
}

TEST_F(X402Channels, AnotherContractIsNoChannels) {
  const auto opened = ChannelContract::open(chain->rpc(), asset, channels->collector, 1);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::unsupported);
  EXPECT_FALSE(ChannelContract::open(chain->rpc(), payer, channels->collector, 1));
}

}  // namespace
}  // namespace assay::settle::x402
