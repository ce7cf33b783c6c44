// A payer and a token on anvil, for tests of payments.
#pragma once
#include "io/random.hpp"
#include "settle/evm/evm_testutil.hpp"
#include "settle/x402/till.hpp"

namespace assay::settle::x402 {

class X402Test : public evm::EvmTest {
 protected:
  static constexpr Micros kMinted = 1'000'000;

  void SetUp() override {
    EvmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    for (const auto& each : {seller_key, payer_key, other_key}) enrich(each);
    by_deployer = sender("deployer.db", deployer);
    auto code = artifacts.bytecode("TestDollar");
    ASSERT_TRUE(code) << code.error().message;
    append(*code, crypto::AbiWriter().uint(std::uint64_t{6}).encode());
    asset = create(std::move(*code));
    mint(payer, kMinted);
    if (deploy_first) deploy_first();
    open();
  }

  Address create(Bytes code) {
    const Hash made = run(
        *by_deployer, {.id = io::random_hash(), .to = {}, .value = {}, .data = std::move(code)});
    return *(*chain->rpc().receipt(made))->created;
  }
  // A transaction that must succeed.
  Hash run(io::ChainSender& by, const io::Intent& intent) {
    const auto sent = by.submit(intent);
    EXPECT_TRUE(sent) << sent.error().message;
    const auto done = by.wait(intent.id, 10'000);
    EXPECT_TRUE(done && done->state == io::TxState::confirmed);
    return done ? done->hash : Hash{};
  }
  Hash call(io::ChainSender& by, Bytes data) {
    return run(by, {.id = io::random_hash(), .to = asset, .value = {}, .data = std::move(data)});
  }
  void mint(const Address& to, Micros amount) {
    call(*by_deployer, crypto::AbiWriter()
                           .address(to)
                           .uint(static_cast<std::uint64_t>(amount))
                           .call("mint(address,uint256)"));
  }
  void give_away(const crypto::SecretKey& key, const Address& to, Micros amount) {
    call(*sender("of " + crypto::address_of(key).to_string(), key),
         crypto::AbiWriter()
             .address(to)
             .uint(static_cast<std::uint64_t>(amount))
             .call("transfer(address,uint256)"));
  }
  void automine(bool on) { ASSERT_TRUE(chain->rpc().call("evm_setAutomine", {on})); }
  Micros balance(const Address& of) {
    const auto token = Token::open(chain->rpc(), asset);
    return token ? token->balance(of).value_or(-1) : -1;
  }

  // As after kill -9 and a new start, when it is called again.
  void open() {
    till.reset();
    by_seller.reset();
    by_seller = sender("seller.db", seller_key);
    auto opened = Till::open({.asset = asset,
                              .pay_to = shop,
                              .data_file = folder->file("payments.db"),
                              .fee = fee,
                              .patience_ms = 300,
                              .round_ms = round_ms,
                              .channels = channels,
                              .channels_file = folder->file("channels.db")},
                             chain->rpc(), *by_seller, later);
    ASSERT_TRUE(opened) << opened.error().message;
    till = std::move(*opened);
  }

  Payment payment(Micros amount, std::optional<std::string> id = std::nullopt) {
    Payment out{.accepted = till->terms(amount), .id = std::move(id)};
    const auto now = static_cast<std::uint64_t>(clock.now_s());
    out.authorization = {.from = payer,
                         .to = shop,
                         .value = amount,
                         .valid_after = now - 600,
                         .valid_before = now + 600,
                         .nonce = io::random_hash()};
    sign(out);
    return out;
  }
  void sign(Payment& p) {
    p.signature = crypto::sign(digest(p.accepted, p.authorization), payer_key);
  }

  // The machine's clock, so many seconds on.
  struct Later : Clock {
    io::SystemClock clock;
    std::atomic<std::int64_t> s{0};
    std::int64_t now_ms() const override { return clock.now_ms() + s * 1000; }
  } later;

  static inline const Hash kRequest{1}, kOtherRequest{2};
  std::int64_t round_ms = 1'000'000;  // only when a test asks
  Micros fee = 0;
  std::optional<ChannelOptions> channels{};
  std::function<void()> deploy_first{};  // by by_deployer
  crypto::SecretKey seller_key = key(1), payer_key = key(2), other_key = key(3);
  Address payer = crypto::address_of(payer_key), shop{{0x5e}};
  Address asset{};
  std::unique_ptr<io::ChainSender> by_deployer, by_seller;
  std::unique_ptr<Till> till;
};

}  // namespace assay::settle::x402
