// The sender and the log reader against anvil (Foundry's node): a chain that executes, replaces,
// reorganizes; and processes killed at the two moments that matter.
#include <atomic>
#include <csignal>
#include <filesystem>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "io/chain_logs.hpp"
#include "io/chain_testutil.hpp"
#include "io/files.hpp"
#include "io/process.hpp"

namespace assay::io {
namespace {

constexpr const char* kAnvil =
    ASSAY_SOURCE_DIR "/contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";
// The first account of anvil's well-known test mnemonic.
constexpr const char* kRichKey =
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
// Called with a word: one event with it as the topic. Called without: reverts.
constexpr const char* kContract =
    "0x6014600c60003960146000f336600a5760006000fd005b60003560006000a100";

Hash word(std::uint8_t n) { return crypto::Uint256(n).bytes; }

class ChainAnvil : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kAnvil)) GTEST_SKIP() << kAnvil << " is missing: run make setup";
    dir = std::make_unique<TempDirectory>(std::move(*TempDirectory::create("assay-anvil-test")));
    ChildOptions options;
    options.out = options.err = ChildOptions::Output::file;
    options.out_file = options.err_file = dir->file("anvil.log");
    auto started = ChildProcess::spawn({kAnvil, "--port", "0"}, options);
    ASSERT_TRUE(started) << started.error().message;
    anvil = std::make_unique<ChildProcess>(std::move(*started));
    constexpr std::string_view said = "Listening on ";
    for (int i = 0; i < 1000 && url.empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      const std::string log = read_file(options.out_file).value_or("");
      const std::size_t at = log.find(said);
      if (at == std::string::npos || log.find('\n', at) == std::string::npos) continue;
      url = "http://" + log.substr(at + said.size(), log.find('\n', at) - at - said.size());
    }
    ASSERT_FALSE(url.empty()) << "anvil did not start";
    rpc = std::make_unique<ChainRpc>(ChainRpcOptions{.endpoints = {url}, .chain_id = 31337});
    key = *crypto::secret_key(*from_hex(kRichKey));
  }

  std::unique_ptr<ChainSender> open(const std::string& at) {
    const ChainRpcOptions options{.endpoints = {at}, .chain_id = 31337};
    if (at != url) proxied = std::make_unique<ChainRpc>(options);
    auto opened = ChainSender::open(dir->file("db"), at == url ? *rpc : *proxied, key, clock);
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? std::move(*opened) : nullptr;
  }
  void ask(std::string_view method, const json::array& params) {
    const auto answer = rpc->call(method, params);
    ASSERT_TRUE(answer) << method << ": " << answer.error().message;
  }
  void mine(unsigned blocks) { ask("anvil_mine", {crypto::to_quantity(blocks)}); }
  std::uint64_t mined_count() { return rpc->nonce(crypto::address_of(key), "latest").value(); }
  // anvil mines a moment after it has taken a transaction.
  void await_mined(std::uint64_t count) {
    for (int i = 0; i < 500 && mined_count() != count; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(mined_count(), count);
  }
  static TxStatus look(ChainSender& sender, std::uint8_t n) {
    const auto looked = sender.advance();
    EXPECT_TRUE(looked) << looked.error().message;
    return **sender.status(Hash{n});
  }
  Intent payment(std::uint8_t n) {
    Intent out{.id = Hash{n}, .to = Address{}, .value = n};
    out.to->bytes.fill(n);
    return out;
  }
  static TxStatus submit(ChainSender& sender, const Intent& intent) {
    const auto status = sender.submit(intent);
    EXPECT_TRUE(status) << status.error().message;
    return status.value_or(TxStatus{});
  }
  Address deploy(ChainSender& sender) {
    const auto status = submit(sender, {.id = Hash{200}, .data = *from_hex(kContract)});
    EXPECT_EQ(status.trouble, "");
    return crypto::created_address(sender.address(), status.nonce);
  }

  std::unique_ptr<TempDirectory> dir;
  std::unique_ptr<ChildProcess> anvil;
  std::string url;
  std::unique_ptr<ChainRpc> rpc, proxied;
  crypto::SecretKey key;
  ManualClock clock;
};

TEST_F(ChainAnvil, DeploysCallsAndReportsReverts) {
  const auto sender = open(url);
  const Address contract = deploy(*sender);
  const TxStatus called = submit(*sender, {.id = Hash{1}, .to = contract, .data = Bytes(32, 7)});
  // Estimation runs it, so that nothing is spent …
  const auto refused = sender->submit({.id = Hash{2}, .to = contract});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ChainErrc::reverted) << refused.error().message;
  // … unless the caller knows better.
  submit(*sender, {.id = Hash{3}, .to = contract, .gas_limit = 100'000});
  submit(*sender, {.id = Hash{4}, .to = contract, .data = Bytes(32, 7), .gas_limit = 22'285});
  await_mined(4);
  EXPECT_EQ(look(*sender, 4).state, TxState::mined);
  mine(3);
  const TxStatus done = look(*sender, 1);
  EXPECT_EQ(done.state, TxState::confirmed);
  EXPECT_EQ(done.hash, called.hash);
  EXPECT_GT(done.gas_used, 21'000u);
  const TxStatus reverted = look(*sender, 3);
  EXPECT_EQ(reverted.state, TxState::reverted);
  EXPECT_NE(reverted.reason.find("revert"), std::string::npos) << reverted.reason;
  EXPECT_EQ(look(*sender, 200).state, TxState::confirmed);
  const auto code = rpc->call("eth_getCode", {to_hex(contract.bytes), "latest"});
  EXPECT_EQ(code->as_string().size(), 42u);
  // Enough for its calldata (EIP-7623), five short of its event.
  EXPECT_EQ(look(*sender, 4).reason, "out of gas");
  EXPECT_EQ(*sender->advance(), 0u);
}

TEST_F(ChainAnvil, ReplacesAStuckTransaction) {
  ask("evm_setAutomine", {false});
  const auto sender = open(url);
  const TxStatus first = submit(*sender, payment(1));
  const TxStatus second = submit(*sender, payment(2));
  EXPECT_EQ(second.nonce, first.nonce + 1);
  clock.ms += ChainSenderOptions{}.stuck_ms;
  const TxStatus raised = look(*sender, 1);
  EXPECT_EQ(raised.attempts, 2u);
  EXPECT_EQ(raised.trouble, "");  // the node took the raise
  EXPECT_NE(raised.hash, first.hash);
  ask("evm_mine", {});
  mine(2);
  EXPECT_EQ(look(*sender, 1).state, TxState::confirmed);
  EXPECT_EQ(look(*sender, 1).hash, raised.hash);
  EXPECT_EQ(look(*sender, 2).state, TxState::confirmed);
  EXPECT_EQ(mined_count(), 2u);
  EXPECT_EQ(*rpc->balance(*payment(1).to), Uint256(1));
}

TEST_F(ChainAnvil, SendsAgainWhatAReorganizationRemoved) {
  const auto sender = open(url);
  const auto snapshot = rpc->call("evm_snapshot", {});
  ASSERT_TRUE(snapshot);
  const TxStatus sent = submit(*sender, payment(1));
  await_mined(1);
  EXPECT_EQ(look(*sender, 1).state, TxState::mined);
  ask("evm_revert", {*snapshot});
  EXPECT_EQ(mined_count(), 0u);
  EXPECT_EQ(look(*sender, 1).state, TxState::pending);  // and sent again
  await_mined(1);
  EXPECT_EQ(look(*sender, 1).state, TxState::mined);
  mine(3);
  EXPECT_EQ(look(*sender, 1).state, TxState::confirmed);
  EXPECT_EQ(look(*sender, 1).hash, sent.hash);
  EXPECT_EQ(*rpc->balance(*payment(1).to), Uint256(1));
  // The node's own kind of reorganization: blocks replaced by empty ones.
  const TxStatus later = submit(*sender, payment(2));
  EXPECT_EQ(later.nonce, 1u);
  await_mined(2);
  EXPECT_EQ(look(*sender, 2).state, TxState::mined) << look(*sender, 2).trouble;
  ask("anvil_reorg", {1, json::array()});
  look(*sender, 2);
  await_mined(2);
  mine(3);
  EXPECT_EQ(look(*sender, 2).state, TxState::confirmed);
  EXPECT_EQ(look(*sender, 2).hash, later.hash);
  EXPECT_EQ(mined_count(), 2u);
}

TEST_F(ChainAnvil, EventsComeOnceAndInOrder) {
  const auto sender = open(url);
  const Address contract = deploy(*sender);
  for (std::uint8_t n = 1; n <= 6; ++n) {
    Intent call{.id = Hash{n}, .to = contract};
    const Hash topic = word(n);
    call.data.assign(topic.begin(), topic.end());
    submit(*sender, call);
    await_mined(n + 1u);
  }
  const auto db = std::move(*Database::open(dir->file("logs"), OpenMode::create));
  std::vector<Hash> seen;
  const auto read = [&](std::uint64_t range) {
    // A new reader each time: what a restarted process does.
    auto reader =
        LogReader::open(*db, *rpc, {.name = "n", .filter = {{contract}, {}}, .range_most = range});
    ASSERT_TRUE(reader);
    for (int i = 0; i < 3; ++i) {
      const auto page = reader->next();
      ASSERT_TRUE(page) << page.error().message;
      for (const LogEntry& log : page->logs) seen.push_back(log.topics.at(0));
      ASSERT_TRUE(reader->keep(*page));
    }
  };
  read(2);
  EXPECT_EQ(seen.size(), 4u);  // two of the eight blocks are not deep enough
  mine(2);
  read(2);
  read(100);
  ASSERT_EQ(seen.size(), 6u);
  for (std::uint8_t n = 1; n <= 6; ++n) EXPECT_EQ(seen[n - 1u], word(n));
}

// A process that submits through a proxy which kills it at a chosen call: before the call reaches
// the node, or after and before the answer comes back.
class ChainKilled : public ChainAnvil {
 protected:
  void run_and_kill(const std::string& method, bool reaches_node) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    // Forked before the proxy has threads; told the proxy's port afterwards.
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      char proxy[64] = {};
      if (::read(ends[0], proxy, sizeof proxy - 1) <= 0) ::_exit(3);
      const auto sender = open(proxy);
      if (sender != nullptr) static_cast<void>(sender->submit(payment(1)));
      ::_exit(0);
    }
    HttpClient http;
    std::atomic<bool> killed = false;
    const auto proxy = HttpServer::start({}, [&](HttpRequest& request, HttpResponse& response) {
      const bool now = request.body.find('"' + method + '"') != std::string::npos;
      if (now && !reaches_node) killed = ::kill(child, SIGKILL) == 0;
      if (killed) return;
      const auto reply = http.post_json(url, request.body);
      if (now) killed = ::kill(child, SIGKILL) == 0;
      if (!killed && reply) response.send(reply->status, "application/json", reply->body);
    });
    ASSERT_TRUE(proxy);
    const std::string at = (*proxy)->url();
    ASSERT_EQ(::write(ends[1], at.data(), at.size()), static_cast<ssize_t>(at.size()));
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ::close(ends[0]);
    ::close(ends[1]);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it ended before " << method;
  }
  // The next process: the payment is made, once.
  void finish(bool was_stored) {
    const auto sender = open(url);
    const auto found = sender->status(Hash{1});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->has_value(), was_stored);
    const TxStatus submitted = submit(*sender, payment(1));
    if (was_stored) {
      EXPECT_EQ(submitted.hash, (*found)->hash);
    }
    look(*sender, 1);
    await_mined(1);
    mine(3);
    EXPECT_EQ(look(*sender, 1).state, TxState::confirmed);
    EXPECT_EQ(look(*sender, 1).hash, submitted.hash);
    EXPECT_EQ(mined_count(), 1u);
    EXPECT_EQ(*rpc->balance(*payment(1).to), Uint256(1));
  }
};

TEST_F(ChainKilled, BeforeItIsStored) {
  run_and_kill("eth_getTransactionCount", true);
  finish(false);
}

TEST_F(ChainKilled, BetweenStoringAndSending) {
  run_and_kill("eth_sendRawTransaction", false);
  EXPECT_EQ(mined_count(), 0u);
  finish(true);
}

TEST_F(ChainKilled, BetweenSendingAndTheAnswer) {
  run_and_kill("eth_sendRawTransaction", true);
  await_mined(1);
  finish(true);
}

}  // namespace
}  // namespace assay::io
