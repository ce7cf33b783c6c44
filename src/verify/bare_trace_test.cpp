#include "verify/bare_trace.hpp"

#include <gtest/gtest.h>

#include "verify/verify_testutil.hpp"

namespace assay::verify {
namespace {

struct BareTraceTest : ::testing::Test {
  ToyModel toy;
  ThreadPool pool{2};
  ManualClock clock;

  static Execution execution_of(const Trade& trade, const Hash& secret) {
    const auto& request = trade.file.request.message;
    const bool fault =
        trade.file.receipt.message.finish == static_cast<std::uint32_t>(protocol::Finish::fault);
    return {sampling_of(request), secret, trade.opening.prompt, trade.opening.answer,
            request.continuation, fault,  request.logprobs};
  }
  // What an auditor does: first without the secret, then with it.
  Replay blind(const Trade& trade) {
    BareTrace bare(toy.model->hyper().layers);
    auto rerun = replay_into(execution_of(trade, Hash{}), toy.model, pool, engine::best_isa(), {},
                             kReplayKvBytes, bare);
    EXPECT_TRUE(rerun) << rerun.error().message;
    return {*rerun, bare.salted(trade.opening.salt_secret)};
  }
  AuditReport judged(const Trade& trade) {
    const auto report = judge_replay(trade.file.request.message, trade.file.receipt.message,
                                     trade.opening, toy.model->hyper().layers, blind(trade));
    EXPECT_TRUE(report) << report.error().message;
    return *report;
  }
  AuditReport replayed(const Trade& trade) {
    AuditOptions options;
    options.identity = trade.file.execution;
    const auto report = replay_audit(trade.file.request.message, trade.file.receipt.message,
                                     trade.opening, toy.model, pool, options, clock);
    EXPECT_TRUE(report) << report.error().message;
    return *report;
  }
};

TEST_F(BareTraceTest, SaltedLaterItIsTheTraceThatWasSigned) {
  TradeOptions options;
  options.ask = [](protocol::Request& request) { request.logprobs = 3; };
  const Trade whole = make_trade(toy, toy, options);
  for (const std::uint32_t continuation : {0u, 2u}) {
    // A continuation is what the model says, or there is no such execution.
    options.continuation = continuation;
    options.prompt = whole.opening.prompt;
    options.prompt.insert(options.prompt.end(), whole.opening.answer.begin(),
                          whole.opening.answer.begin() + continuation);
    const Trade trade = make_trade(toy, toy, options);
    const AuditReport report = judged(trade);
    EXPECT_TRUE(report.match) << report.reason;
    EXPECT_EQ(report.expected_trace_root, trade.file.receipt.message.trace_root);
    EXPECT_EQ(report.reason, replayed(trade).reason);
  }
}

TEST_F(BareTraceTest, ItSaysWhatAReplayWithTheSecretSays) {
  for (const auto& flip : {engine::NumericFault{3, 1}, engine::NumericFault{8, 3}}) {
    TradeOptions options;
    options.flip = flip;
    const Trade trade = make_trade(toy, toy, options);
    const AuditReport blind = judged(trade), whole = replayed(trade);
    EXPECT_FALSE(blind.match);
    EXPECT_EQ(blind.reason, whole.reason);
    EXPECT_EQ(blind.expected_trace_root, whole.expected_trace_root);
  }
  TradeOptions options;
  options.cheat = [](engine::Sampling& sampling) { sampling.seed += 1; };
  const Trade trade = make_trade(toy, toy, options);
  const AuditReport blind = judged(trade), whole = replayed(trade);
  ASSERT_FALSE(whole.match);
  EXPECT_EQ(blind.reason, whole.reason);
  ASSERT_TRUE(blind.divergence && whole.divergence);
  EXPECT_EQ(blind.divergence->position, whole.divergence->position);
}

TEST_F(BareTraceTest, AWrongOpeningSaysNothingAboutTheProvider) {
  Trade trade = make_trade(toy, toy);
  const Replay run = blind(trade);
  trade.opening.salt_secret[0] ^= 1;
  const auto report = judge_replay(trade.file.request.message, trade.file.receipt.message,
                                   trade.opening, toy.model->hyper().layers, run);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Errc::mismatch);
}

TEST_F(BareTraceTest, AFaultEndsItWhereItEndsATrace) {
  const Hash secret{7};
  const std::vector<float> x(300, 0.5f);
  const std::vector<std::uint16_t> kv(64, 7);
  BareTrace bare(2);
  TraceBuilder whole(secret, 2);
  TeeSink both(bare, whole);
  both.reserve(3);
  for (std::uint32_t layer = 0; layer < 2; ++layer)
    for (std::uint32_t position = 0; position < 3; ++position)
      if (layer == 0 || position != 1) both.cell(position, layer, x, kv, kv);
  both.head(0, x, x, 5);
  both.fault({1, 1});
  EXPECT_EQ(bare.salted(secret).root(), whole.root());
  EXPECT_EQ(whole.positions(), 2u);
  EXPECT_NE(bare.salted(Hash{8}).root(), whole.root());
}

}  // namespace
}  // namespace assay::verify
