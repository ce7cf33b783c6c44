#include "io/chain_rpc.hpp"

#include <atomic>
#include <chrono>
#include <thread>

#include "base/corpus_testutil.hpp"
#include "crypto/abi.hpp"
#include "io/chain_fuzz_testutil.hpp"
#include "io/chain_testutil.hpp"

namespace assay::io {
namespace {

ChainRpcOptions options_for(std::vector<std::string> endpoints) {
  return {.endpoints = std::move(endpoints), .chain_id = 31337, .attempt_timeout_ms = 2'000};
}

FakeReply status(int code) { return {.status = code, .raw = "sorry"}; }

TEST(ChainErrors, WordsOfTheNodes) {
  const std::vector<std::tuple<int, const char*, ChainErrc>> said{
      {-32000, "nonce too low: next nonce 5, tx nonce 3", ChainErrc::nonce_too_low},  // geth
      {-32003, "nonce too low", ChainErrc::nonce_too_low},                            // anvil
      {-32010, "OldNonce", ChainErrc::nonce_too_low},                                 // Nethermind
      {-32000, "already known", ChainErrc::already_known},
      {-32003, "transaction already imported", ChainErrc::already_known},  // anvil
      {-32000, "replacement transaction underpriced", ChainErrc::underpriced},
      {-32000, "max fee per gas less than block base fee: address 0x…", ChainErrc::underpriced},
      {-32000, "insufficient funds for gas * price + value", ChainErrc::poor},
      {-32003, "Insufficient funds for gas * price + value", ChainErrc::poor},
      {3, "execution reverted: no", ChainErrc::reverted},
      {-32000, "execution reverted", ChainErrc::reverted},
      {-32005, "daily request count exceeded, request rate limited", ChainErrc::rate_limited},
      {-32005, "query returned more than 10000 results", ChainErrc::too_many_results},
      {-32601, "the method eth_x does not exist/is not available", ChainErrc::unsupported},
      {-32000, "header not found", ChainErrc::transport},
      {-32603, "Internal error", ChainErrc::transport},
      {-32000, "exceeds block gas limit", ChainErrc::never_valid},
      {-32000, "oversized data: transaction size 152612, limit 131072", ChainErrc::never_valid},
      {-32000, "intrinsic gas too low: gas 20999, minimum needed 21000", ChainErrc::never_valid},
      // It may be taken later.
      {-32000, "txpool is full", ChainErrc::rejected},
      {-32000, "account limit exceeded", ChainErrc::rejected}};
  for (const auto& [code, message, kind] : said)
    EXPECT_EQ(to_string(classify(code, message)), to_string(kind)) << message;
}

// An endpoint that fails does not hold up whoever stops; one that answers is still asked.
TEST(ChainRpc, GivesUpAMomentAfterTheProcessBeganToStop) {
  FakeNode node;
  ManualPacer pacer;
  bool stopping = false;
  ChainRpcOptions options = options_for({node.url()});
  options.stopping = [&] { return stopping; };
  ChainRpc rpc(options, pacer);
  node.answer("eth_blockNumber", "0x1");
  stopping = true;
  EXPECT_EQ(*rpc.call("eth_blockNumber", {}), "0x1");
  node.on("eth_blockNumber", [](const json::array&) { return status(503); });
  const auto given_up = rpc.call("eth_blockNumber", {});
  ASSERT_FALSE(given_up);
  EXPECT_NE(given_up.error().message.find("to stop"), std::string::npos)
      << given_up.error().message;
  EXPECT_LT(pacer.waited_ms, 3'000);
}

TEST(ChainRpc, FailsOverAndComesBack) {
  FakeNode first, second;
  ManualPacer pacer;
  ChainRpc rpc(options_for({first.url(), second.url()}), pacer);
  first.answer("eth_blockNumber", "0x1");
  second.answer("eth_blockNumber", "0x2");
  EXPECT_EQ(*rpc.call("eth_blockNumber", {}), "0x1");
  first.on("eth_blockNumber", [](const json::array&) { return status(503); });
  const auto switches = rpc.switches();
  EXPECT_EQ(*rpc.call("eth_blockNumber", {}), "0x2");
  EXPECT_NE(rpc.switches(), switches);
  EXPECT_EQ(pacer.waited_ms, 0);  // another endpoint was there at once
  EXPECT_EQ(*rpc.call("eth_blockNumber", {}), "0x2");
  EXPECT_EQ(first.calls("eth_blockNumber"), 2);  // it rests
  first.answer("eth_blockNumber", "0x1");
  pacer.ms += 10'000;
  EXPECT_EQ(*rpc.call("eth_blockNumber", {}), "0x1");
  EXPECT_EQ(first.calls("eth_chainId"), 2);  // asked again before it is trusted again
}

TEST(ChainRpc, BacksOffWithJitterUpToTheDeadline) {
  FakeNode node;
  ManualPacer pacer;
  pacer.chance = 1'000'003;
  ChainRpc rpc(options_for({node.url()}), pacer);
  node.on("eth_blockNumber", [](const json::array&) { return status(500); });
  const auto answer = rpc.call("eth_blockNumber", {});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ChainErrc::transport);
  EXPECT_NE(answer.error().message.find("HTTP status 500"), std::string::npos);
  EXPECT_LE(pacer.waited_ms, 30'000);
  EXPECT_GE(pacer.waited_ms, 10'000);
  // Doubling from 250 ms: few attempts, not thousands.
  EXPECT_GE(node.calls("eth_blockNumber"), 5);
  EXPECT_LE(node.calls("eth_blockNumber"), 12);
}

TEST(ChainRpc, ATryCutShortByTheDeadlineDoesNotHideWhatFailedBefore) {
  struct : ManualPacer {
    std::atomic<bool> late = false;
    std::int64_t now_ms() const override { return ms + (late ? 60'000 : 0); }
  } pacer;
  FakeNode node;
  ChainRpc rpc(options_for({node.url()}), pacer);
  int tries = 0;
  node.on("eth_blockNumber", [&](const json::array&) {
    if (tries++ == 0) return status(500);
    pacer.late = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    return FakeReply{.result = "0x1"};
  });
  const auto answer = rpc.call("eth_blockNumber", {});
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().message.find("HTTP status 500"), std::string::npos)
      << answer.error().message;
  EXPECT_EQ(node.calls("eth_blockNumber"), 2);
}

TEST(ChainRpc, ObeysRetryAfter) {
  FakeNode node;
  ManualPacer pacer;
  ChainRpc rpc(options_for({node.url()}), pacer);
  bool limited = true;
  node.on("eth_blockNumber", [&](const json::array&) {
    if (!std::exchange(limited, false)) return FakeReply{.result = "0x5"};
    return FakeReply{.status = 429, .raw = "slow down", .headers = {{"Retry-After", "7"}}};
  });
  EXPECT_EQ(*rpc.call("eth_blockNumber", {}), "0x5");
  EXPECT_EQ(pacer.waited_ms, 7'000);
}

TEST(ChainRpc, ASilentEndpointTimesOut) {
  FakeNode silent, other;
  ManualPacer pacer;
  auto options = options_for({silent.url(), other.url()});
  options.attempt_timeout_ms = 150;
  ChainRpc rpc(options, pacer);
  silent.on("eth_blockNumber", [](const json::array&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
    return FakeReply{.result = "0x1"};
  });
  other.answer("eth_blockNumber", "0x2");
  EXPECT_EQ(*rpc.call("eth_blockNumber", {}), "0x2");
}

TEST(ChainRpc, HostileRepliesAreErrors) {
  for (const char* raw :
       {"", "{", "[]", "null", "<html>", R"({"jsonrpc":"2.0","id":999,"result":"0x1"})",
        R"({"jsonrpc":"2.0","id":2})", R"({"jsonrpc":"2.0","id":2,"error":"no"})",
        R"({"jsonrpc":"2.0","result":"0x1"})"}) {
    FakeNode node;
    ManualPacer pacer;
    ChainRpc rpc(options_for({node.url()}), pacer);
    node.on("eth_blockNumber", [&](const json::array&) { return FakeReply{.raw = raw}; });
    const auto answer = rpc.call("eth_blockNumber", {});
    ASSERT_FALSE(answer) << raw;
    EXPECT_EQ(answer.error().kind, ChainErrc::malformed) << raw;
    EXPECT_NE(answer.error().message.find("eth_blockNumber"), std::string::npos) << raw;
  }
  FakeNode node;
  ManualPacer pacer;
  auto options = options_for({node.url()});
  options.max_reply_bytes = 1000;
  ChainRpc rpc(options, pacer);
  node.answer("eth_call", json::value("0x" + std::string(2000, '0')));
  EXPECT_EQ(rpc.eth_call({}, "latest").error().kind, ChainErrc::malformed);
  node.answer("eth_call", "0x123");
  EXPECT_FALSE(rpc.eth_call({}, "latest"));
  node.answer("eth_getBalance", 17);  // a number is not a quantity
  EXPECT_EQ(rpc.balance({}).error().kind, ChainErrc::malformed);
  node.answer("eth_getTransactionCount", "0x10000000000000000");
  EXPECT_FALSE(rpc.nonce({}, "latest"));
  node.answer("eth_sendRawTransaction", json::value(to_hex(Hash{1})));
  EXPECT_EQ(rpc.send_raw({}).error().kind, ChainErrc::malformed);
}

TEST(ChainRpc, AnEndpointOfAnotherChainIsNotUsed) {
  FakeNode wrong, right;
  wrong.answer("eth_chainId", "0x1");
  wrong.answer("eth_blockNumber", "0x99");
  right.answer("eth_blockNumber", "0x2");
  ManualPacer pacer;
  ChainRpc rpc(options_for({wrong.url() + "/secret-key", right.url()}), pacer);
  EXPECT_EQ(*rpc.call("eth_blockNumber", {}), "0x2");
  EXPECT_EQ(wrong.calls("eth_blockNumber"), 0);
  ChainRpc alone(options_for({wrong.url() + "/secret-key"}), pacer);
  const auto answer = alone.call("eth_blockNumber", {});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ChainErrc::wrong_chain);
  EXPECT_NE(answer.error().message.find("serves chain 1, expected 31337"), std::string::npos);
  EXPECT_EQ(answer.error().message.find("secret"), std::string::npos);
  EXPECT_EQ(Error(answer.error()).code, Errc::mismatch);
}

TEST(ChainRpc, RevertsCarryTheirData) {
  FakeNode node;
  ManualPacer pacer;
  ChainRpc rpc(options_for({node.url()}), pacer);
  const Bytes data = crypto::AbiWriter().bytes(view("too late")).call("Error(string)");
  for (const json::value& form : {json::value(to_hex(data)), json::value{{"data", to_hex(data)}},
                                  json::value("Reverted " + to_hex(data))}) {
    node.on("eth_call", [&](const json::array&) {
      return FakeReply{.error = {{3, "execution reverted"}}, .data = form};
    });
    const auto answer = rpc.eth_call({}, "latest");
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, ChainErrc::reverted);
    EXPECT_EQ(answer.error().data, data);
    EXPECT_EQ(answer.error().message, "reverted: too late");
  }
  EXPECT_EQ(node.calls("eth_call"), 3);  // a revert is an answer: nobody else is asked
}

TEST(ChainRpc, LogsNotAskedForAreMalformed) {
  FakeNode node;
  ManualPacer pacer;
  ChainRpc rpc(options_for({node.url()}), pacer);
  Address ours;
  ours.bytes.fill(1);
  const auto log = [&](const char* block, const char* index) {
    return json::value{{"address", to_hex(ours.bytes)},
                       {"topics", json::array{to_hex(Hash{7})}},
                       {"data", "0x"},
                       {"blockNumber", block},
                       {"logIndex", index},
                       {"blockHash", to_hex(Hash{2})},
                       {"transactionHash", to_hex(Hash{3})}};
  };
  const LogFilter filter{{ours}, {std::vector<Hash>{Hash{7}}}};
  node.answer("eth_getLogs", json::array{log("0x5", "0x0"), log("0x5", "0x1"), log("0x6", "0x0")});
  EXPECT_EQ(rpc.logs(filter, 5, 6)->size(), 3u);
  EXPECT_FALSE(rpc.logs(filter, 5, 5));
  EXPECT_FALSE(rpc.logs({{Address{}}, {}}, 5, 6));
  EXPECT_FALSE(rpc.logs({{}, {std::vector<Hash>{Hash{8}}}}, 5, 6));
  EXPECT_FALSE(rpc.logs({{}, {std::nullopt, std::vector<Hash>{Hash{7}}}}, 5, 6));
  node.answer("eth_getLogs", json::array{log("0x5", "0x1"), log("0x5", "0x1")});
  EXPECT_FALSE(rpc.logs(filter, 5, 6));
}

TEST(ChainRpc, FuzzCorpus) {
  int read = 0;
  const auto files =
      replay_corpus(ASSAY_SOURCE_DIR "/tests/fuzz/corpus/chain",
                    [&](ByteView bytes, const std::string&) { read += fuzz_chain_reply(bytes); });
  EXPECT_GE(files, 15u);
  EXPECT_GE(read, 8);  // the corpus reaches past the envelope
}

}  // namespace
}  // namespace assay::io
