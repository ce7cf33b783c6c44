// A provider meets demands for answers from its disk, unattended.
#include <thread>

#include "io/sqlite.hpp"
#include "protocol/delivery.hpp"
#include "services/provider/provider_testutil.hpp"

namespace assay::services {
namespace {

struct DeliverTest : testing::Test {
  World world;
  std::unique_ptr<ProviderService> service;
  Hash lease{};
  protocol::InferenceCall call;
  Reply reply;

  void SetUp() override {
    service = *world.start();
    lease = world.open_lease();
    call = world.call(lease, 1);
    call.request.message.logprobs = 3;
    world.sign(call);
    reply = World::infer(service->url(), call);
    world.expect_sound(call, reply);
    ASSERT_GT(reply.progress.size(), 0u);
  }
  Hash demand(const market::Statement& statement) {
    const auto subject = market::statement_id(world.info.domain, statement);
    const protocol::Demand demand{crypto::address_of(world.buyer), lease, subject, 100'000, 1};
    const auto done = world.ledger->submit(market::DemandDelivery{
        protocol::sign(world.info.domain, demand, world.buyer), {call.request, statement}});
    EXPECT_TRUE(done) << done.error().message;
    return done->id;
  }
  market::DisputeView view(const Hash& id) { return *world.ledger->dispute(id); }
  void expect_delivered(const Hash& id, std::uint32_t count) {
    ASSERT_TRUE(eventually([&] { return view(id).moves == 1; }));
    const auto operation = world.ledger->operation(view(id).game);
    ASSERT_TRUE(operation) << operation.error().message;
    const auto& sealed = std::get<market::Deliver>(*operation).answer;
    const auto answer =
        protocol::unseal_answer(call.salt_secret, id, call.request.message, count, sealed);
    const auto begin = reply.tokens.begin();
    EXPECT_EQ(answer.answer, std::vector<std::uint32_t>(begin, begin + count));
    const auto numbers = reply.logprobs.begin();
    EXPECT_EQ(answer.logprobs, std::vector<std::uint32_t>(numbers, numbers + count * 5));
  }
  void sql(const std::string& text) {
    service.reset();
    auto db =
        io::Database::open(world.options().data_dir + "/provider.db", io::OpenMode::read_write);
    ASSERT_TRUE(db) << db.error().message;
    const Status done = (*db)->exec(text);
    ASSERT_TRUE(done) << done.error().message;
  }
};

TEST_F(DeliverTest, FromItsDiskAndTheBondIsItsOwn) {
  const auto id = demand(*reply.receipt);
  expect_delivered(id, static_cast<std::uint32_t>(reply.tokens.size()));
  const auto before = world.ledger->account(crypto::address_of(world.provider))->available;
  world.clock.advance_s(10);
  ASSERT_TRUE(eventually([&] { return view(id).state == market::DisputeState::decided; }));
  EXPECT_EQ(view(id).outcome, protocol::Outcome::provider_right);
  EXPECT_EQ(world.ledger->account(crypto::address_of(world.provider))->available, before + 100'000);
}

TEST_F(DeliverTest, AfterARestartAndOfAProgress) {
  service.reset();
  const auto id = demand(reply.progress[0]);
  service = *world.start();
  expect_delivered(id, reply.progress[0].message.count);
}

// Killed before its end was on the disk: what was signed by then is computed again.
TEST_F(DeliverTest, WhatWasInterruptedIsComputedAgain) {
  sql("UPDATE requests SET answer = NULL, logprobs = NULL, receipt = NULL, amount = NULL, "
      "key_sequence = NULL");
  const auto id = demand(reply.progress.back());
  service = *world.start();
  expect_delivered(id, reply.progress.back().message.count);
}

// Delivered, it would convict for certain; kept back, somebody may still mend it, whom metrics call
// in time.
TEST_F(DeliverTest, ADamagedAnswerIsNotDeliveredAndItsDeadlineShows) {
  sql("UPDATE requests SET answer = zeroblob(length(answer))");
  const auto id = demand(*reply.receipt);
  service = *world.start();
  const auto deadlines = [&](const char* state) {
    io::HttpClient client;
    const auto shown = client.get(service->url() + "/metrics");
    const auto line = fmt::format("assay_deadlines{{of=\"dispute\",state=\"{}\"}} ", state);
    const auto at = shown ? shown->body.find(line) : std::string::npos;
    return at == std::string::npos ? -1 : std::stoi(shown->body.substr(at + line.size()));
  };
  ASSERT_TRUE(eventually([&] { return deadlines("open") == 1; }));
  EXPECT_EQ(deadlines("near"), 0);
  const auto move_s = static_cast<std::int64_t>(world.info.parameters.move_s);
  world.clock.advance_s(move_s - move_s / 4);
  EXPECT_EQ(deadlines("near"), 1);
  EXPECT_EQ(view(id).moves, 0u);
  // Lost, it is nobody's to meet any more.
  world.clock.advance_s(move_s);
  const auto ended = world.ledger->submit(protocol::sign(
      world.info.domain, protocol::Timeout{crypto::address_of(world.buyer), id}, world.buyer));
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_TRUE(eventually([&] { return deadlines("open") == 0; }));
}

// A ledger whose transactions are not mined: who sends one waits.
struct StuckLedger : market::Settlement {
  explicit StuckLedger(market::Settlement& under) : ledger(under) {}
  Result<market::LedgerInfo> info() override { return ledger.info(); }
  Result<market::AccountView> account(const market::Address& a) override {
    return ledger.account(a);
  }
  Result<market::LeaseView> lease(const Hash& id) override { return ledger.lease(id); }
  Result<market::DisputeView> dispute(const Hash& id) override { return ledger.dispute(id); }
  Result<market::Totals> totals() override { return ledger.totals(); }
  Result<market::FileDispute> game(const Hash& id) override { return ledger.game(id); }
  Result<market::Operation> operation(const Hash& id) override { return ledger.operation(id); }
  Result<market::AuditView> audit(const Hash& id) override { return ledger.audit(id); }
  Result<std::vector<market::AuditorView>> auditors(const Hash& execution) override {
    return ledger.auditors(execution);
  }
  Result<market::Applied> submit(const market::Operation& operation) override {
    if (!std::holds_alternative<market::Deliver>(operation)) return ledger.submit(operation);
    ++waiting;
    while (!released) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return fail(Errc::unavailable, "not mined");
  }

  market::Settlement& ledger;
  std::atomic<int> waiting = 0;
  std::atomic<bool> released = false;
};

TEST_F(DeliverTest, ADeadlineShowsWhileItsTransactionIsWaitedFor) {
  service.reset();
  StuckLedger stuck(*world.ledger);
  service = *ProviderService::start(world.options(), {{world.toy.model, world.toy.offered, nullptr}},
                                    world.provider, stuck, *world.ledger, world.clock);
  const auto shows = [&](const std::string& line) {
    io::HttpClient client;
    const auto shown = client.get(service->url() + "/metrics");
    return shown && shown->body.find(line) != std::string::npos;
  };
  EXPECT_TRUE(shows("assay_deadlines{of=\"dispute\",state=\"open\"} 0"));
  const auto first = demand(reply.progress[0]);
  const bool waits = eventually([&] { return stuck.waiting == 1; });
  // Made while the thread that answers is away.
  const auto second = demand(*reply.receipt);
  EXPECT_TRUE(eventually([&] { return shows("assay_deadlines{of=\"dispute\",state=\"open\"} 2"); }));
  stuck.released = true;
  service.reset();  // it uses the ledger of this test
  EXPECT_TRUE(waits);
  EXPECT_NE(first, second);
}

// Convicted for something else, there is nothing to deliver any more, and nothing to wait for.
TEST_F(DeliverTest, WhatIsMootIsEndedAtOnce) {
  service.reset();
  const auto id = demand(*reply.receipt);
  auto second = reply.receipt->message;
  second.trace_root[0] ^= 1;
  const auto address = crypto::address_of(world.buyer);
  market::ReportEquivocation report;
  report.request = call.request;
  report.first = *reply.receipt;
  report.second = protocol::sign(world.info.domain, second, world.provider);
  report.report = protocol::sign(
      world.info.domain,
      protocol::Equivocation{.challenger = address,
                             .lease = lease,
                             .first = protocol::digest(world.info.domain, reply.receipt->message),
                             .second = protocol::digest(world.info.domain, second)},
      world.buyer);
  ASSERT_TRUE(world.ledger->submit(protocol::sign(
      world.info.domain,
      protocol::CommitDispute{address, market::commitment_of(world.info.domain, report), 9},
      world.buyer)));
  const auto convicted = world.ledger->submit(report);
  ASSERT_TRUE(convicted) << convicted.error().message;
  ASSERT_EQ(view(id).state, market::DisputeState::open);
  // Without a stake it could not offer anything.
  ASSERT_TRUE(world.ledger->submit(protocol::sign(
      world.info.domain, protocol::Stake{crypto::address_of(world.provider), 20'000'000, 99},
      world.provider)));
  auto started = world.start();
  ASSERT_TRUE(started) << started.error().message;
  service = std::move(*started);
  ASSERT_TRUE(eventually([&] { return view(id).state == market::DisputeState::decided; }));
  EXPECT_EQ(view(id).outcome, protocol::Outcome::not_judged);
  EXPECT_LT(world.clock.now_s(), static_cast<std::int64_t>(view(id).filed + 10));
}

TEST_F(DeliverTest, TheLogServesEveryOperation) {
  const auto id = demand(*reply.receipt);
  const auto operation = world.ledger->operation(id);
  ASSERT_TRUE(operation);
  EXPECT_EQ(market::operation_id(world.info.domain, *operation), id);
  EXPECT_EQ(world.ledger->operation(Hash{}).error().code, Errc::not_found);
}

}  // namespace
}  // namespace assay::services
