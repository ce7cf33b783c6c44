// The sender against a scripted endpoint: what goes wrong. What goes right is in
// chain_anvil_test.cpp.
#include "io/chain_sender.hpp"

#include "crypto/keccak.hpp"
#include "io/chain_logs.hpp"
#include "io/chain_testutil.hpp"
#include "io/files.hpp"

namespace assay::io {
namespace {

class Sender : public testing::Test {
 protected:
  void SetUp() override {
    auto made = TempDirectory::create("assay-chain-test");
    ASSERT_TRUE(made) << made.error().message;
    dir = std::make_unique<TempDirectory>(std::move(*made));
    rpc = std::make_unique<ChainRpc>(
        ChainRpcOptions{.endpoints = {node.url()}, .chain_id = 31337, .deadline_ms = 1'000}, pacer);
    Hash secret{};
    secret[31] = 1;
    key = *crypto::secret_key(secret);
    reopen();
  }
  // What a process killed at this moment leaves is what is on disk.
  void reopen() {
    sender.reset();
    auto opened = ChainSender::open(dir->file("db"), *rpc, key, clock, options, pacer);
    ASSERT_TRUE(opened) << opened.error().message;
    sender = std::move(*opened);
  }
  Intent intent(std::uint8_t n) {
    Intent out{.id = Hash{n}};
    out.to = crypto::address_of(key);
    out.data = {n};
    return out;
  }
  TxStatus submit(std::uint8_t n) {
    const auto status = sender->submit(intent(n));
    EXPECT_TRUE(status) << status.error().message;
    return status.value_or(TxStatus{});
  }
  TxStatus look(std::uint8_t n) {
    const auto looked = sender->advance();
    EXPECT_TRUE(looked) << looked.error().message;
    return **sender->status(Hash{n});
  }

  FakeNode node;
  FakeChain chain{node};
  ManualPacer pacer;
  ManualClock clock;
  ChainSenderOptions options;
  std::unique_ptr<TempDirectory> dir;
  std::unique_ptr<ChainRpc> rpc;
  crypto::SecretKey key;
  std::unique_ptr<ChainSender> sender;
};

TEST_F(Sender, OneNonceEachInOrderAndOneTransactionPerId) {
  const TxStatus first = submit(1), second = submit(2), again = submit(1);
  EXPECT_EQ(first.nonce, 0u);
  EXPECT_EQ(second.nonce, 1u);
  EXPECT_EQ(again.nonce, 0u);
  EXPECT_EQ(again.hash, first.hash);
  EXPECT_EQ(chain.sent.size(), 2u);
  Intent other = intent(1);
  other.data = {9};
  const auto refused = sender->submit(other);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("another transaction"), std::string::npos);
  reopen();
  EXPECT_EQ(submit(1).hash, first.hash);
  EXPECT_EQ(submit(3).nonce, 2u);
}

TEST_F(Sender, WhatFailsBeforeItIsStoredLeavesNothing) {
  node.on("eth_estimateGas",
          [](const json::array&) { return FakeReply{.error = {{3, "execution reverted"}}}; });
  const auto refused = sender->submit(intent(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ChainErrc::reverted);
  EXPECT_FALSE(*sender->status(Hash{1}));
  node.answer("eth_estimateGas", "0x5208");
  EXPECT_EQ(submit(2).nonce, 0u);
}

TEST_F(Sender, WhatCouldNotBeSentIsSentByTheNextProcess) {
  node.on("eth_sendRawTransaction",
          [](const json::array&) { return FakeReply{.status = 503, .raw = "down"}; });
  const TxStatus stored = submit(1);
  EXPECT_NE(stored.trouble.find("503"), std::string::npos);
  std::vector<std::string> raw;
  node.on("eth_sendRawTransaction", [&](const json::array& params) {
    raw.emplace_back(params[0].as_string());
    return FakeReply{.result = json::value(to_hex(stored.hash))};
  });
  pacer.ms += 60'000;
  reopen();
  EXPECT_EQ(look(1).trouble, "");
  ASSERT_EQ(raw.size(), 1u);
  clock.ms += options.resend_ms - 1;
  look(1);
  EXPECT_EQ(raw.size(), 1u);
  clock.ms += 1;  // nodes forget
  look(1);
  ASSERT_EQ(raw.size(), 2u);
  EXPECT_EQ(raw[0], raw[1]);
}

TEST_F(Sender, AlreadyKnownIsSent) {
  chain.send_error = {{-32000, "already known"}};
  EXPECT_EQ(submit(1).trouble, "");
  chain.send_error = {{-32000, "insufficient funds for gas * price + value"}};
  EXPECT_NE(submit(2).trouble.find("insufficient funds"), std::string::npos);
}

TEST_F(Sender, FinalOnlyAtTheConfirmedDepth) {
  const TxStatus sent = submit(1);
  chain.mine(sent.hash);
  EXPECT_EQ(look(1).state, TxState::mined);
  chain.empty_blocks(1);
  EXPECT_EQ(look(1).state, TxState::mined);
  chain.empty_blocks(1);
  const TxStatus done = look(1);
  EXPECT_EQ(done.state, TxState::confirmed);
  EXPECT_EQ(done.block_num, 11u);
  EXPECT_EQ(*sender->advance(), 0u);
  reopen();
  EXPECT_EQ(submit(1).state, TxState::confirmed);
  EXPECT_EQ(chain.sent.size(), 1u);
}

TEST_F(Sender, AReorganizedTransactionIsSentAgain) {
  const TxStatus sent = submit(1);
  chain.mine(sent.hash);
  EXPECT_EQ(look(1).state, TxState::mined);
  chain.mined.clear();
  chain.count = 0;
  chain.fork_at = 11;
  chain.fork = 1;
  EXPECT_EQ(look(1).state, TxState::pending);
  ASSERT_EQ(chain.sent.size(), 2u);
  EXPECT_EQ(chain.sent[0], chain.sent[1]);
  chain.mine(sent.hash);
  chain.empty_blocks(2);
  EXPECT_EQ(look(1).state, TxState::confirmed);
  EXPECT_EQ(look(1).block_num, 12u);
}

TEST_F(Sender, AReceiptOfAnotherBranchIsNotBelieved) {
  const TxStatus sent = submit(1);
  chain.mine(sent.hash);
  chain.empty_blocks(5);
  node.on("eth_getTransactionReceipt", [&](const json::array&) {
    return FakeReply{.result = {{"transactionHash", to_hex(sent.hash)},
                                {"blockHash", to_hex(Hash{1})},
                                {"blockNumber", "0xb"},
                                {"gasUsed", "0x1"},
                                {"status", "0x1"},
                                {"logs", json::array()}}};
  });
  EXPECT_EQ(look(1).state, TxState::pending);
}

TEST_F(Sender, StuckFeesAreRaisedByATenthUpToTheCeiling) {
  options.max_fee_ceiling = 4'000'000'000;
  reopen();
  const TxStatus first = submit(1), second = submit(2);
  clock.ms += options.stuck_ms;
  const TxStatus raised = look(1);
  EXPECT_EQ(raised.attempts, 2u);
  EXPECT_EQ(raised.nonce, first.nonce);
  EXPECT_NE(raised.hash, first.hash);
  EXPECT_EQ((*sender->status(Hash{2}))->attempts, 1u);  // it waits for the first
  clock.ms += options.stuck_ms;
  EXPECT_EQ(look(1).attempts, 3u);  // 3.0 → 3.375 → 3.8 gwei
  clock.ms += options.stuck_ms;
  const TxStatus stopped = look(1);
  EXPECT_EQ(stopped.attempts, 3u);
  EXPECT_NE(stopped.trouble.find("ceiling"), std::string::npos);
  EXPECT_NE(stopped.trouble.find("--max-fee-gwei"), std::string::npos);
  // Any form may be the one that is mined.
  reopen();
  chain.mine(first.hash);
  chain.mine(second.hash);
  chain.empty_blocks(3);
  EXPECT_EQ(look(1).state, TxState::confirmed);
  EXPECT_EQ(look(1).hash, first.hash);
  EXPECT_EQ(look(2).state, TxState::confirmed);
}

TEST_F(Sender, NobodyWaitsWhileStopping) {
  bool stopping = false;
  options.stopping = [&] { return stopping; };
  reopen();
  submit(1);
  EXPECT_EQ(sender->wait(Hash{1}, 5'000).error().kind, ChainErrc::transport);
  EXPECT_GE(pacer.waited_ms, 5'000);
  EXPECT_GT(sender->base_fee(), 0u);
  stopping = true;
  pacer.waited_ms = 0;
  const auto waited = sender->wait(Hash{1}, 60'000);
  ASSERT_FALSE(waited);
  EXPECT_NE(waited.error().message.find("stopped"), std::string::npos) << waited.error().message;
  EXPECT_EQ(pacer.waited_ms, 0);
  // What is final is still told.
  chain.mine((*sender->status(Hash{1}))->hash);
  chain.empty_blocks(3);
  EXPECT_TRUE(sender->wait(Hash{1}, 60'000));
}

TEST_F(Sender, ANonceUsedByAnotherWalletIsReplacedOnceThatIsFinal) {
  const TxStatus sent = submit(1);
  chain.send_error = {{-32000, "nonce too low"}};
  chain.count = 1;
  node.on("eth_getTransactionCount", [&](const json::array& params) {
    // At depth the other transaction is not there yet.
    const bool deep = params[1].as_string().starts_with("0x");
    return FakeReply{.result = deep && chain.head < 12 ? "0x0" : "0x1"};
  });
  EXPECT_EQ(look(1).nonce, sent.nonce);
  chain.empty_blocks(2);
  chain.send_error.reset();
  // Count and receipt may be of two moments: not yet.
  EXPECT_EQ(look(1).nonce, sent.nonce);
  clock.ms += ChainSenderOptions{}.doubt_ms;
  const TxStatus moved = look(1);
  EXPECT_EQ(moved.nonce, 1u);
  EXPECT_EQ(moved.attempts, 2u);
  chain.mine(moved.hash);
  chain.empty_blocks(3);
  EXPECT_EQ(look(1).state, TxState::confirmed);
}

TEST_F(Sender, WhatNodesAreTooSmallForTakesNoNonce) {
  Intent large = intent(1);
  large.data.assign(131'072, 1);
  const auto refused = sender->submit(large);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ChainErrc::never_valid);
  EXPECT_NE(refused.error().message.find("at most 131072"), std::string::npos);
  EXPECT_EQ(node.calls("eth_estimateGas"), 0);
  EXPECT_FALSE(*sender->status(Hash{1}));
  // Exactly what its longest form may have.
  const Bytes longest =
      crypto::sign_transaction({.chain_id = 31337,
                                .nonce = UINT64_MAX,
                                .max_priority_fee_per_gas = options.max_fee_ceiling,
                                .max_fee_per_gas = options.max_fee_ceiling,
                                .gas_limit = options.gas_limit_most,
                                .to = large.to,
                                .value = {},
                                .data = large.data},
                               key)
          .raw;
  large.data.resize(2 * 131'072 - longest.size());
  const auto taken = sender->submit(large);
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_EQ(taken->nonce, 0u);
  EXPECT_LE(chain.sent.back().size(), 131'072u);
}

TEST_F(Sender, WhatNoNodeTakesDoesNotHoldUpTheRest) {
  const std::string said = "oversized data: transaction size 100000, limit 95000";
  chain.send_error = {{-32000, said}};
  Intent large = intent(1);
  large.data.assign(1'000, 1);
  const TxStatus stuck = *sender->submit(large);
  chain.send_error = {{-32000, "nonce too high"}};
  const TxStatus behind = submit(2);
  chain.send_error = {{-32000, said}};
  // One node, once, is not every node for good.
  EXPECT_EQ(look(1).attempts, 1u);
  clock.ms += options.resend_ms;
  EXPECT_EQ(look(1).attempts, 1u);
  chain.send_error.reset();
  const TxStatus filling = look(1);
  EXPECT_EQ(filling.attempts, 2u);
  EXPECT_EQ(filling.nonce, stuck.nonce);
  EXPECT_EQ(filling.state, TxState::pending);
  EXPECT_FALSE(filling.given_up);
  const auto filler_sent = [&] {
    return std::ranges::any_of(chain.sent, [&](const Bytes& raw) {
      return crypto::keccak256(raw) == (*sender->status(Hash{1}))->hash && raw.size() < 150;
    });
  };
  EXPECT_TRUE(filler_sent());
  // The next process knows it for a filler, and raises its fee as such.
  reopen();
  clock.ms += options.stuck_ms;
  EXPECT_EQ(look(1).attempts, 3u);
  EXPECT_TRUE(filler_sent());
  chain.mine(filling.hash);
  chain.mine(behind.hash);
  chain.empty_blocks(3);
  const TxStatus failed = look(1);
  EXPECT_EQ(failed.state, TxState::reverted);
  EXPECT_TRUE(failed.given_up);
  EXPECT_NE(failed.reason.find("limit 95000"), std::string::npos) << failed.reason;
  EXPECT_EQ(look(2).state, TxState::confirmed);
  EXPECT_FALSE(look(2).given_up);
  reopen();
  EXPECT_TRUE((*sender->submit(large)).given_up);
}

TEST_F(Sender, WhatIsMinedAfterAllIsDone) {
  chain.send_error = {{-32000, "oversized data"}};
  const TxStatus first = submit(1);
  clock.ms += options.resend_ms;
  look(1);
  EXPECT_EQ(look(1).attempts, 2u);
  chain.mine(first.hash);
  chain.empty_blocks(3);
  const TxStatus done = look(1);
  EXPECT_EQ(done.state, TxState::confirmed);
  EXPECT_FALSE(done.given_up);
  EXPECT_EQ(done.reason, "");
}

TEST_F(Sender, WhatMayPassIsSentAgain) {
  submit(1);
  const std::vector<const char*> said{"txpool is full", "insufficient funds for gas * price + value",
                                      "transaction underpriced"};
  for (const char* const why : said) {
    chain.send_error = {{-32000, why}};
    clock.ms += options.resend_ms;
    EXPECT_EQ(look(1).attempts, 1u) << why;
    EXPECT_TRUE(look(1).trouble.ends_with(why)) << look(1).trouble;
  }
}

TEST_F(Sender, ARevertedTransactionSaysWhy) {
  node.on("eth_call", [](const json::array&) {
    return FakeReply{.error = {{3, "execution reverted"}},
                     .data = json::value("0x4e487b71" + std::string(62, '0') + "11")};
  });
  chain.mine(submit(1).hash, false);
  chain.empty_blocks(3);
  const TxStatus done = look(1);
  EXPECT_EQ(done.state, TxState::reverted);
  EXPECT_EQ(done.reason, "reverted: arithmetic overflow (0x11)");
}

TEST_F(Sender, AnotherChainUnderTheSameIdIsRefused) {
  submit(1);
  sender.reset();
  chain.fork_at = 0;
  chain.fork = 5;
  const auto opened = ChainSender::open(dir->file("db"), *rpc, key, clock, options, pacer);
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message.find("another chain"), std::string::npos);
}

TEST_F(Sender, LogsResumeAndHalveTheirRange) {
  chain.head = 100;
  int requests = 0;
  node.on("eth_getLogs", [&](const json::array& params) {
    ++requests;
    const auto& o = params[0].as_object();
    const auto from = *crypto::parse_quantity_u64(std::string_view(o.at("fromBlock").as_string()));
    const auto to = *crypto::parse_quantity_u64(std::string_view(o.at("toBlock").as_string()));
    if (to - from >= 20)
      return FakeReply{.error = {{-32005, "query returned more than 10000 results"}}};
    return FakeReply{.result = json::array()};
  });
  const auto db = Database::open(dir->file("logs"), OpenMode::create);
  ASSERT_TRUE(db);
  const LogReaderOptions reading{.name = "market", .first_block = 5, .range_most = 64};
  std::uint64_t next = 5;
  {
    auto reader = LogReader::open(**db, *rpc, reading);
    ASSERT_TRUE(reader);
    const auto page = reader->next();
    ASSERT_TRUE(page) << page.error().message;
    EXPECT_EQ(page->first, 5u);
    EXPECT_EQ(page->last, 20u);  // 64 → 32 → 16
    EXPECT_EQ(requests, 3);
    EXPECT_EQ(reader->next()->first, 5u);  // not kept: again
    ASSERT_TRUE(reader->keep(*page));
    next = reader->next_block();
  }
  auto reader = LogReader::open(**db, *rpc, reading);
  EXPECT_EQ(reader->next_block(), next);
  for (;;) {
    const auto page = reader->next();
    ASSERT_TRUE(page) << page.error().message;
    ASSERT_TRUE(reader->keep(*page));
    if (page->caught_up) break;
  }
  EXPECT_EQ(reader->next_block(), 99u);  // block 98 is 3 deep
  // Deeper than promised: said, not glossed over.
  chain.head = 110;
  chain.fork_at = 90;
  chain.fork = 1;
  const auto page = reader->next();
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().code, Errc::mismatch);
}

}  // namespace
}  // namespace assay::io
