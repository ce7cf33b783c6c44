// The whole host over HTTP: money in, a lease, disputes judged by re-execution, the log replayed.
#include "services/market/market_service.hpp"

#include <bit>
#include <gtest/gtest.h>
#include <thread>

#include "engine/gguf_testutil.hpp"
#include "io/http_client.hpp"
#include "protocol/tokens.hpp"
#include "settle/remote.hpp"
#include "verify/identity.hpp"
#include "verify/replay.hpp"

namespace assay::services {
namespace {

using namespace protocol;
using market::Operation;

crypto::SecretKey key(std::uint8_t fill) { return *crypto::secret_key(Bytes(32, fill)); }
Address address(std::uint8_t fill) { return crypto::address_of(key(fill)); }
constexpr std::uint8_t kHost = 1, kBuyer = 2, kProvider = 3, kPayout = 4;

struct MarketServiceTest : testing::Test {
  io::TempDirectory folder = *io::TempDirectory::create("assay-market");
  ManualClock clock;
  std::unique_ptr<MarketService> service;
  std::unique_ptr<settle::RemoteLedger> remote;
  Domain domain;
  Bytes file = engine::toy_model({.layers = 2, .context = 64});
  std::shared_ptr<const engine::Model> model = *engine::Model::load(file);
  ThreadPool pool{1};
  ExecutionId execution = *verify::execution_id(*model, pool);
  std::uint64_t nonce = 0;

  void SetUp() override {
    ASSERT_TRUE(io::make_directories(folder.file("models")));
    start();
  }
  void start() {
    remote.reset();
    service.reset();
    MarketOptions options;
    options.data_dir = folder.file("data");
    options.models_dir = folder.file("models");
    auto started = MarketService::start(options, key(kHost), clock);
    ASSERT_TRUE(started) << started.error().message;
    service = std::move(*started);
    remote = std::make_unique<settle::RemoteLedger>(service->url() + "/");
    domain = remote->info()->domain;
  }
  void serve_model() { ASSERT_TRUE(io::write_file_atomic(folder.file("models/toy.gguf"), file)); }
  template <class M>
  Signed<M> sign(M message, std::uint8_t by) {
    return protocol::sign(domain, std::move(message), key(by));
  }
  void must(const Operation& operation) {
    const auto applied = remote->submit(operation);
    ASSERT_TRUE(applied) << applied.error().message;
  }
  std::uint64_t now() const { return static_cast<std::uint64_t>(clock.now_s()); }

  // Everybody has money, the provider a stake and an offer, the buyer a lease.
  Hash open_lease() {
    must(sign(Deposit{address(kBuyer), 10'000'000, ++nonce}, kHost));
    must(sign(Deposit{address(kProvider), 5'000'000, ++nonce}, kHost));
    must(sign(protocol::Stake{address(kProvider), 5'000'000, ++nonce}, kProvider));
    Offer offer;
    offer.provider = address(kProvider);
    offer.payout = address(kPayout);
    offer.sequence = ++nonce;
    offer.endpoint = "http://127.0.0.1:9";
    offer.expires = now() + 600;
    offer.models.push_back({"toy",
                            execution.weights_root,
                            execution.program_hash,
                            execution.canon,
                            {},
                            "F32",
                            300'000,
                            1'200'000,
                            64});
    const auto signed_offer = sign(offer, kProvider);
    EXPECT_TRUE(remote->publish(signed_offer));
    const auto listed = remote->offers();
    EXPECT_EQ(listed->size(), 1u);
    Lease lease;
    lease.buyer = address(kBuyer);
    lease.provider = offer.provider;
    lease.payout = offer.payout;
    lease.offer = digest(domain, listed->at(0).message);
    lease.execution = struct_hash(execution);
    lease.price_in = 300'000;
    lease.price_out = 1'200'000;
    lease.escrow = 1'000'000;
    lease.window = 3600;
    lease.expires = now() + 3600;
    lease.nonce = ++nonce;
    const auto applied = remote->submit(market::OpenLease{sign(lease, kBuyer), listed->at(0)});
    EXPECT_TRUE(applied) << applied.error().message;
    return applied ? applied->id : Hash{};
  }

  struct Trade {
    market::FileDispute dispute;
    Opening opening;
  };
  // A receipt for what the toy model does; `lie` replaces the last token of the answer.
  Trade trade(const Hash& lease, std::uint64_t sequence, bool lie) {
    Trade t;
    t.opening.salt_secret.fill(5);
    t.opening.prompt = {1, 4, 8, 9};
    const auto terms = remote->lease(lease)->terms;
    Request r;
    r.lease = lease;
    r.sequence = sequence;
    r.execution = terms.execution;
    r.prompt_root = prompt_root(t.opening.salt_secret, t.opening.prompt);
    r.prompt_count = 4;
    r.max_tokens = 6;
    r.temperature_bits = std::bit_cast<std::uint32_t>(0.0f);
    r.stop_root = stop_root({});
    r.salt_commitment = salt_commitment(t.opening.salt_secret);
    r.cap = *cap_for(terms, 4, 6);
    r.expires = now() + 60;
    const auto request = sign(r, kBuyer);
    t.opening.request = digest(domain, r);

    verify::TraceBuilder trace(t.opening.salt_secret, model->hyper().layers);
    engine::Session session(model, pool, engine::best_isa(), 64);
    t.opening.answer =
        engine::generate(session, t.opening.prompt, {6, {}}, verify::sampling_of(r), &trace, {})
            .answer;
    if (lie) t.opening.answer.back() ^= 1;
    Receipt receipt;
    receipt.request = t.opening.request;
    receipt.count = 6;
    receipt.finish = static_cast<std::uint32_t>(protocol::Finish::length);
    receipt.tape_root = tape_root(t.opening.salt_secret, t.opening.answer);
    receipt.trace_root = trace.root();
    receipt.amount = *amount_of(terms, r, 6);
    receipt.key_sequence = sequence;
    t.dispute.evidence = {request, sign(receipt, kProvider)};
    t.dispute.execution = execution;
    t.dispute.dispute =
        sign(Dispute{address(kBuyer), lease, digest(domain, receipt), 100'000, ++nonce}, kBuyer);
    return t;
  }
  market::DisputeView decided(const Hash& id) {
    for (int i = 0; i < 600; ++i) {
      const auto view = remote->dispute(id);
      if (view && view->state == market::DisputeState::decided) return *view;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    ADD_FAILURE() << "no verdict within 30 s";
    return {};
  }
  void expect_log_is_good() {
    auto replay = *settle::LogReplay::start(*remote->info());
    const auto log = *remote->log(1);
    std::size_t rows = 0;
    for (std::size_t at = 0; at < log.size(); ++rows) {
      const auto end = log.find('\n', at);
      const auto row = settle::log_row_from_line(std::string_view(log).substr(at, end - at));
      ASSERT_TRUE(row) << row.error().message;
      const auto added = replay.add(*row);
      ASSERT_TRUE(added) << added.error().message;
      at = end + 1;
    }
    EXPECT_EQ(rows, remote->totals()->operations);
    EXPECT_EQ(replay.state().totals.state, remote->totals()->state);
  }
};

TEST_F(MarketServiceTest, AnswersSayWhatIsWrong) {
  EXPECT_EQ(remote->account(address(9))->available, 0);
  EXPECT_EQ(remote->lease(Hash{}).error().code, Errc::not_found);
  const auto refused = remote->submit(sign(Withdraw{address(kBuyer), 5, 1}, kBuyer));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::refused);
  EXPECT_NE(refused.error().message.find("0.00 available"), std::string::npos);
  io::HttpClient client;
  for (const auto* body : {"", "[]", "{", "{\"kind\":\"mint\"}", "{\"kind\":\"deposit\"}"}) {
    const auto reply = client.post_json(service->url() + "/ledger/operations", body);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 400) << body;
  }
  EXPECT_EQ(client.get(service->url() + "/ledger/leases/0x12")->status, 400);
  EXPECT_EQ(client.get(service->url() + "/ledger/log?from=x")->status, 400);
}

TEST_F(MarketServiceTest, OneDirectoryOneProcess) {
  MarketOptions options;
  options.data_dir = folder.file("data");
  const auto second = MarketService::start(options, key(kHost), clock);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::conflict);
}

TEST_F(MarketServiceTest, ALiarIsConvictedByReexecution) {
  serve_model();
  const auto lease = open_lease();
  const auto t = trade(lease, 1, true);
  const auto applied = remote->file_dispute(t.dispute, t.opening);
  ASSERT_TRUE(applied) << applied.error().message;
  const auto d = decided(applied->id);
  EXPECT_EQ(d.outcome, Outcome::provider_wrong) << d.reason;
  EXPECT_NE(d.reason.find("position 8"), std::string::npos) << d.reason;
  EXPECT_EQ(remote->account(address(kProvider))->stake, 0);
  EXPECT_EQ(remote->lease(lease)->state, market::LeaseState::convicted);
  EXPECT_TRUE(remote->file_dispute(t.dispute, t.opening)->already);
  expect_log_is_good();
  EXPECT_TRUE(service->ledger().pending_disputes()->empty());
}

TEST_F(MarketServiceTest, AnHonestReceiptWinsTheBond) {
  serve_model();
  const auto t = trade(open_lease(), 1, false);
  const auto applied = remote->file_dispute(t.dispute, t.opening);
  ASSERT_TRUE(applied);
  const auto d = decided(applied->id);
  EXPECT_EQ(d.outcome, Outcome::provider_right) << d.reason;
  EXPECT_EQ(remote->account(address(kPayout))->available, 100'000);
  EXPECT_EQ(remote->account(address(kProvider))->stake, 5'000'000);
}

TEST_F(MarketServiceTest, WithoutTheModelOrWithAWrongOpeningNothingIsJudged) {
  const auto lease = open_lease();
  const auto t = trade(lease, 1, true);
  auto d = decided(remote->file_dispute(t.dispute, t.opening)->id);
  EXPECT_EQ(d.outcome, Outcome::not_judged);
  EXPECT_EQ(d.reason, "the host has no model of this execution id");
  serve_model();
  auto u = trade(lease, 2, false);
  u.opening.prompt[1] ^= 1;
  d = decided(remote->file_dispute(u.dispute, u.opening)->id);
  EXPECT_EQ(d.outcome, Outcome::not_judged) << d.reason;
  EXPECT_EQ(remote->account(address(kBuyer))->available, 9'000'000);
  // Without an opening the ledger does not take it at all.
  EXPECT_EQ(remote->submit(u.dispute).error().code, Errc::invalid);
}

TEST_F(MarketServiceTest, ADisputeLeftOpenIsJudgedAfterARestart) {
  const auto lease = open_lease();
  const auto t = trade(lease, 1, true);
  // As after kill -9 between filing and verdict: on the ledger, but no judge has seen it.
  const auto applied = service->ledger().file_dispute(t.dispute, t.opening);
  ASSERT_TRUE(applied);
  ASSERT_EQ(service->ledger().pending_disputes()->size(), 1u);
  serve_model();
  start();
  EXPECT_EQ(decided(applied->id).outcome, Outcome::provider_wrong);
  expect_log_is_good();
}

}  // namespace
}  // namespace assay::services
