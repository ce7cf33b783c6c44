// Audits of requests with every sampling field and log-probabilities, over the toy model.
#include <bit>
#include <gtest/gtest.h>

#include "protocol/tokens.hpp"
#include "verify/verify_testutil.hpp"

namespace assay::verify {
namespace {

std::uint32_t bits(float value) { return std::bit_cast<std::uint32_t>(value); }

const ToyModel& sampling_toy() {
  static const ToyModel model;
  return model;
}

template <class Statement>
AuditReport audited(const Trade& t, const Statement& statement, engine::Isa isa) {
  ThreadPool pool(2);
  const ManualClock clock;
  const auto report =
      replay_audit(t.file.request.message, statement, t.opening, sampling_toy().model, pool,
                   {.isa = isa, .progress = {}, .identity = {}}, clock);
  EXPECT_TRUE(report) << report.error().message;
  return report ? *report : AuditReport{};
}
AuditReport audited(const Trade& t) {
  return audited(t, t.file.receipt.message, engine::best_isa());
}

void ask_for_all(protocol::Request& r) {
  r.logit_bias = {{5, bits(-1.5f)}, {9, bits(2.0f)}};
  r.repetition_penalty_bits = bits(1.3f);
  r.presence_penalty_bits = bits(0.5f);
  r.frequency_penalty_bits = bits(-0.25f);
  r.top_k = 12;
  r.top_p_bits = bits(0.9f);
  r.min_p_bits = bits(0.01f);
  r.logprobs = 4;
}

TEST(AuditSampling, DecodedAndReplayedAreTheSame) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const auto t = make_trade(sampling_toy(), sampling_toy(), {.seed = seed, .ask = ask_for_all});
    ASSERT_EQ(t.opening.logprobs.size(), t.opening.answer.size() * 7);
    for (const auto isa : {engine::Isa::scalar, engine::best_isa()}) {
      const auto report = audited(t, t.file.receipt.message, isa);
      EXPECT_TRUE(report.match) << report.reason;
      for (const auto& progress : t.progress) EXPECT_TRUE(audited(t, progress, isa).match);
    }
  }
}

// Asked for with one field, computed without it: some seed shows it, and then the audit says so.
TEST(AuditSampling, AnIgnoredFieldIsFound) {
  using Change = void (*)(engine::Sampling&);
  for (const Change cheat : {Change([](engine::Sampling& s) { s.logit_bias.clear(); }),
                             Change([](engine::Sampling& s) { s.repetition_penalty = 1.0f; }),
                             Change([](engine::Sampling& s) { s.presence_penalty = 0.0f; }),
                             Change([](engine::Sampling& s) { s.frequency_penalty = 0.0f; }),
                             Change([](engine::Sampling& s) { s.top_k = 1; }),
                             Change([](engine::Sampling& s) { s.min_p = 1.0f; })}) {
    int found = 0;
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
      const TradeOptions honest{.seed = seed, .ask = ask_for_all};
      TradeOptions cheating = honest;
      cheating.cheat = cheat;
      const auto t = make_trade(sampling_toy(), sampling_toy(), cheating);
      const bool other =
          t.opening.answer != make_trade(sampling_toy(), sampling_toy(), honest).opening.answer;
      EXPECT_EQ(audited(t).match, !other);
      found += other;
    }
    EXPECT_GT(found, 0);
  }
}

TEST(AuditSampling, FalseLogprobs) {
  const auto honest = make_trade(sampling_toy(), sampling_toy(), {.ask = ask_for_all});
  const auto& request = honest.file.request.message;
  for (const std::size_t at : {0u, 7u * 3, 7u * 3 + 1, 7u * 3 + 2, 7u * 11 + 6}) {
    Trade t = honest;
    t.opening.logprobs[at] ^= 1;
    auto& r = t.file.receipt.message;
    // The root is still the honest one: the opening is not what was signed.
    ThreadPool pool(1);
    EXPECT_EQ(replay_audit(request, r, t.opening, sampling_toy().model, pool, {}, ManualClock())
                  .error()
                  .code,
              Errc::mismatch);
    r.logprobs_root =
        *protocol::logprobs_root(t.opening.salt_secret, request, r.count, t.opening.logprobs);
    const auto report = audited(t);
    EXPECT_FALSE(report.match);
    ASSERT_TRUE(report.divergence) << report.reason;
    EXPECT_TRUE(report.divergence->logprobs);
    EXPECT_EQ(report.divergence->position, request.prompt_count - 1 + at / 7);
  }
}

TEST(AuditSampling, LogprobsNobodyAskedFor) {
  auto t = make_trade(sampling_toy(), sampling_toy());
  t.file.receipt.message.logprobs_root.fill(7);
  const auto report = audited(t);
  EXPECT_FALSE(report.match);
  EXPECT_EQ(report.reason, "it commits to log-probabilities that were not asked for");
}

// What the model's vocabulary lacks has no execution: nobody honest signs it.
TEST(AuditSampling, TokensOutsideTheVocabulary) {
  auto t = make_trade(sampling_toy(), sampling_toy());
  t.file.request.message.logit_bias = {{sampling_toy().model->hyper().vocab, bits(1.0f)}};
  const auto report = audited(t);
  EXPECT_FALSE(report.match);
  EXPECT_NE(report.reason.find("logit_bias"), std::string::npos) << report.reason;
}

}  // namespace
}  // namespace assay::verify
