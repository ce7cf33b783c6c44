// A scripted JSON-RPC endpoint: a test double for failures only (timeouts, refusals, garbage,
// reorganizations at will). What works is tested against anvil in chain_anvil_test.cpp.
#pragma once
#include <gtest/gtest.h>
#include <mutex>

#include "base/hex.hpp"
#include "io/chain_sender.hpp"
#include "io/http_server.hpp"

namespace assay::io {

// Time passes only by waiting.
struct ManualPacer : Pacer {
  std::int64_t ms = 1'000'000, waited_ms = 0;
  std::uint64_t chance = 0;
  std::int64_t now_ms() const override { return ms; }
  void wait_ms(std::int64_t wait) override {
    ms += wait;
    waited_ms += wait;
  }
  std::uint64_t random() override { return chance; }
};

struct FakeReply {
  json::value result = nullptr;
  std::optional<std::pair<int, std::string>> error{};  // JSON-RPC code and message
  json::value data = nullptr;                          // of the error
  int status = 200;
  std::optional<std::string> raw{};  // instead of JSON-RPC
  std::vector<std::pair<std::string, std::string>> headers{};
};

class FakeNode {
 public:
  using Handler = std::function<FakeReply(const json::array& params)>;

  FakeNode();
  std::string url() const { return server_->url(); }
  void on(const std::string& method, Handler handler);
  void answer(const std::string& method, json::value result) {
    on(method, [result](const json::array&) { return FakeReply{.result = result}; });
  }
  void refuse(const std::string& method, int code, const std::string& message) {
    on(method, [=](const json::array&) { return FakeReply{.error = {{code, message}}}; });
  }
  // How often a method was called.
  int calls(const std::string& method);

 private:
  std::mutex mutex_;
  std::map<std::string, Handler> handlers_;
  std::map<std::string, int> calls_;
  std::unique_ptr<HttpServer> server_;
};

// A chain made of what the test says: no rules, no execution.
struct FakeChain {
  explicit FakeChain(FakeNode& node);
  void mine(const Hash& transaction, bool success = true);  // in a new block
  void empty_blocks(unsigned more) { head += more; }

  std::mutex mutex;
  std::uint64_t head = 10, count = 0;  // the newest block; the sender's transactions in blocks
  std::uint64_t fork = 0;              // part of every block hash from `fork_at` on
  std::uint64_t fork_at = ~std::uint64_t{0};
  std::map<Hash, std::pair<std::uint64_t, bool>> mined;  // transaction → block, success
  std::vector<Bytes> sent;                               // raw, as received
  std::optional<std::pair<int, std::string>> send_error;
};

}  // namespace assay::io
