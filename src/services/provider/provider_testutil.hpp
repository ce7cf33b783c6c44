// A small market in one process: an embedded ledger with a buyer and a staked provider, a toy
// model, a client that speaks to the provider over real sockets.
#pragma once
#include <atomic>
#include <gtest/gtest.h>

#include "engine/gguf_testutil.hpp"
#include "io/files.hpp"
#include "io/http_client.hpp"
#include "services/provider/provider_service.hpp"
#include "settle/embedded/embedded_ledger.hpp"

namespace assay::services {

// Moved by the test while services read it.
struct TestClock : Clock {
  std::atomic<std::int64_t> ms{1'700'000'000'000};
  std::int64_t now_ms() const override { return ms; }
  void advance_s(std::int64_t s) { ms += s * 1000; }
};

struct ServedToy {
  explicit ServedToy(const engine::ToyShape& shape);
  Bytes file;
  std::shared_ptr<const engine::Model> model;
  protocol::OfferModel offered;  // at 300,000 in and 1,200,000 out per million tokens
};

struct Reply {
  int status = 0;
  std::string error;  // of a refusal, or of an error event
  std::vector<std::uint32_t> tokens, logprobs;
  std::vector<protocol::Signed<protocol::Progress>> progress;
  std::optional<protocol::Signed<protocol::Receipt>> receipt;
};

class World {
 public:
  explicit World(
      const engine::ToyShape& shape = {
          .dim = 64, .heads = 4, .kv_heads = 2, .ffn = 256, .layers = 4, .context = 4096});

  // What the offer a lease refers to says; the service publishes its own.
  Hash open_lease(protocol::Micros escrow = 1'000'000, std::uint64_t lives_s = 3600);
  protocol::InferenceCall call(const Hash& lease, std::uint64_t sequence,
                               std::uint32_t max_tokens = 40);
  // Signs the request again after a test has changed it.
  void sign(protocol::InferenceCall& call) const;
  Hash id(const protocol::InferenceCall& call) const {
    return protocol::digest(info.domain, call.request.message);
  }

  Result<std::unique_ptr<ProviderService>> start(ProviderOptions options = {});
  ProviderOptions options() const;
  // on_token: once so many tokens have come, before it leaves. 0: with the first, and it stays.
  static Reply infer(const std::string& url, const protocol::InferenceCall& call,
                     std::size_t leave_after_tokens = 0,
                     const std::function<void()>& on_token = {});
  void open_ledger();
  // A receipt that holds and was priced right.
  void expect_sound(const protocol::InferenceCall& call, const Reply& reply) const;
  // Of a receipt of this lease: what its buyer would send to have a slow answer cost less.
  protocol::RebateCall rebate(const protocol::InferenceCall& call, const protocol::Receipt& receipt,
                              std::uint32_t first_token_ms, std::uint32_t stream_ms = 0) const;
  static Result<io::HttpReply> post_rebate(const std::string& url,
                                           const protocol::RebateCall& call);
  market::LeaseView lease(const Hash& id) { return *ledger->lease(id); }

  io::TempDirectory dir;
  TestClock clock;
  ServedToy toy;
  crypto::SecretKey host, buyer, provider;
  market::LedgerInfo info;
  std::unique_ptr<settle::EmbeddedLedger> ledger;
  std::map<Hash, protocol::Signed<protocol::Lease>> leases;
  std::map<Hash, protocol::Signed<protocol::Offer>> offers;  // of the leases
  // In the offers of leases opened from here on.
  std::uint32_t first_token_ms = 0, per_token_ms = 0, rebate_ppm = 0;
  std::shared_ptr<Computer> computer;  // of the services started from here on; null: the engine

 private:
  std::uint64_t nonce_ = 0;
};

crypto::SecretKey test_key(std::uint8_t fill);
// Moves time while the service works in the background, until `done` or ten seconds have passed.
bool eventually(const std::function<bool()>& done);

}  // namespace assay::services
