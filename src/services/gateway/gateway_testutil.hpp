// A small market in one process for gateway tests: an embedded ledger, toy models on disk, and
// providers that really compute, over real HTTP, but may be told to misbehave.
#pragma once
#include <atomic>
#include <gtest/gtest.h>
#include <map>
#include <thread>

#include "engine/gguf_testutil.hpp"
#include "io/files.hpp"
#include "io/http_client.hpp"
#include "io/http_router.hpp"
#include "io/system_clock.hpp"
#include "protocol/inference.hpp"
#include "services/gateway/gateway.hpp"
#include "settle/dispute_game.hpp"
#include "settle/embedded/embedded_ledger.hpp"
#include "verify/dispute/party.hpp"
#include "verify/identity.hpp"
#include "verify/trace.hpp"

namespace assay::services {

crypto::SecretKey test_key(std::uint8_t fill);

// A toy GGUF held in memory.
struct Toy {
  Bytes file;
  std::shared_ptr<const engine::Model> model;
  protocol::ExecutionId execution;
};
const Toy& good_toy();
const Toy& roomy_toy();  // a context of 8192
const Toy& worse_toy();  // same name and shape, other weights

class ScriptedProvider {
 public:
  struct Script {
    const Toy* sells = &good_toy();
    const Toy* computes = &good_toy();
    protocol::Micros price_in = 1'000'000, price_out = 2'000'000;
    std::uint32_t vram_mib = 0;
    std::string region = "local";
    std::size_t die_after = SIZE_MAX;  // answer tokens sent before the connection is cut
    bool refuse = false;               // 503 to every call
    protocol::Micros bids = 0;         // per million out, in an auction; 0: does not bid
    bool backs_out = false;            // does not sign for the price that clears
    bool lose_receipt = false;         // computes it, cuts the connection instead of sending it
    std::size_t sends = SIZE_MAX;      // tokens; the rest and the receipt it keeps back
    bool forget_receipt = false;       // /v1/receipt does not know it
    bool false_logprobs = false;       // the last bit of each token's own is another
    bool overcharges = false;          // a thousandfold
    bool false_finish = false;         // says it stopped where it did not
    std::uint32_t first_token_ms = 0, per_token_ms = 0, rebate_ppm = 0;  // in its offer
    std::int64_t waits_ms = 0;                                           // before its first token
    enum class Rebates { give, refuse, silent, forget, forge };
    Rebates rebates = Rebates::give;      // forget: gives, and cuts the connection
    std::string endpoint{};               // in its offer; empty: where it is
    std::size_t silent_after = SIZE_MAX;  // moves of a dispute it makes before it stops answering
  };
  ScriptedProvider(market::Settlement& ledger, const crypto::SecretKey& key, const Clock& clock,
                   Script script);

  protocol::Address address() const { return crypto::address_of(key_); }
  protocol::Signed<protocol::Offer> offer(std::uint64_t sequence = 1) const;
  void stop() { server_->stop(); }
  int calls() const { return calls_; }
  int bids_asked() const { return bids_asked_; }
  std::vector<protocol::Request> requests();
  struct Outcome {
    protocol::InferenceCall call;
    std::vector<std::uint32_t> answer, logprobs;
    protocol::Signed<protocol::Receipt> receipt;
    std::shared_ptr<verify::TraceBuilder> trace;
  };
  std::vector<Outcome> outcomes();          // by sequence
  std::vector<protocol::Rebate> rebates();  // asked for
  Script script;

 private:
  void infer(io::HttpRequest& request, io::HttpResponse& response);
  void compute(const protocol::InferenceCall& call, const Hash& id, io::HttpResponse& response);
  void recall(io::HttpRequest& request, io::HttpResponse& response, bool trace);
  void dispute(io::HttpRequest& request, io::HttpResponse& response);
  void bid(io::HttpRequest& request, io::HttpResponse& response);
  void award(io::HttpRequest& request, io::HttpResponse& response);
  void rebate(io::HttpRequest& request, io::HttpResponse& response);

  market::Settlement& ledger_;
  protocol::Domain domain_;
  crypto::SecretKey key_;
  const Clock& clock_;
  std::mutex mutex_;
  std::map<Hash, Outcome> outcomes_;
  std::vector<protocol::Request> requests_;
  std::vector<protocol::Rebate> rebates_;
  std::atomic<int> calls_{0}, bids_asked_{0};
  std::uint64_t key_sequence_ = 0;
  std::unique_ptr<io::HttpServer> server_;
};

// The ledger through a connection; tests say what goes wrong with it.
struct FarLedger : market::Settlement {
  explicit FarLedger(market::Settlement& ledger) : inner(ledger) {}
  Result<market::LedgerInfo> info() override { return inner.info(); }
  Result<market::AccountView> account(const protocol::Address& a) override {
    return inner.account(a);
  }
  Result<market::LeaseView> lease(const Hash& id) override { return inner.lease(id); }
  Result<market::DisputeView> dispute(const Hash& id) override { return inner.dispute(id); }
  Result<market::Totals> totals() override { return inner.totals(); }
  Result<market::Applied> submit(const market::Operation& o) override { return inner.submit(o); }
  Result<market::FileDispute> game(const Hash& dispute) override { return inner.game(dispute); }
  Result<market::Operation> operation(const Hash& id) override { return inner.operation(id); }
  Result<market::AuditView> audit(const Hash& id) override { return inner.audit(id); }
  Result<std::vector<market::AuditorView>> auditors(const Hash& execution) override {
    return inner.auditors(execution);
  }
  market::Settlement& inner;
};

struct GatewayTest : testing::Test {
  io::TempDirectory folder = *io::TempDirectory::create("assay-gateway");
  ManualClock clock;
  std::unique_ptr<settle::EmbeddedLedger> ledger;
  std::vector<std::unique_ptr<ScriptedProvider>> providers;
  std::unique_ptr<GatewayService> gateway;
  GatewayOptions options;
  std::uint64_t nonce = 0;

  void SetUp() override;
  void TearDown() override;

  // Funds, stakes and lists a provider; keys are 10, 11, …
  ScriptedProvider& add_provider(ScriptedProvider::Script script);
  void deposit(const protocol::Address& to, protocol::Micros amount);
  void start(market::Settlement* settlement = nullptr);
  template <class M>
  protocol::Signed<M> sign(M message, std::uint8_t by) {
    return protocol::sign(ledger->info()->domain, std::move(message), test_key(by));
  }

  json::object chat_body() const;  // "abc" to "toy", greedy, 6 tokens
  // A sampled answer of 12 tokens that shows text within the first 3.
  json::object talkative_body();
  io::HttpReply post(const json::object& body, const std::string& path = "/v1/chat/completions");
  json::object get(const std::string& path);
  // Polls until the only listed receipt (or the newest) reaches the stage.
  json::object await_stage(const std::string& receipt, const std::string& stage);
  // Polls for up to 20 s.
  template <class F>
  bool soon(F&& done) {
    const std::int64_t end = io::steady_ms() + 20'000;
    while (!done()) {
      if (io::steady_ms() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
  }
  protocol::Micros paid(const ScriptedProvider& provider);  // to its account, beyond its stake
};

json::object parse_object(const std::string& text);

// Of a chat completion: its text, its receipt's id.
std::string text_of(const json::object& answer);
std::string receipt_of(const json::object& answer);

// A chat completion's event stream.
struct Streamed {
  std::string text, error;
  std::vector<json::object> chunks;
  bool done = false;
};
Streamed parse_stream(const std::string& body);
std::string text_at(const json::object& object, std::string_view key);
std::string error_code(const io::HttpReply& reply);

}  // namespace assay::services
