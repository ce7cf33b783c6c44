#include "verify/sampled.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/tokens.hpp"
#include "verify/layers_identity.hpp"
#include "verify/locate.hpp"
#include "verify/sampled_testutil.hpp"
#include "verify/trace.hpp"

namespace assay::verify {
namespace {

using testing::HasSubstr;

engine::ToyShape shape_of(std::string_view architecture) {
  engine::ToyShape shape{.architecture = std::string(architecture), .layers = 3, .context = 64};
  if (architecture == "qwen3") shape.head_dim = 4;
  return shape;
}

const ToyModel& sampled_toy(std::string_view architecture = "llama") {
  static std::map<std::string, ToyModel, std::less<>> models;
  const auto at = models.find(architecture);
  if (at != models.end()) return at->second;
  return models.emplace(architecture, shape_of(architecture)).first->second;
}

std::vector<Hash> weight_leaves(const ToyModel& model) {
  ThreadPool pool(1);
  return tensor_leaves(*model.model, pool);
}

std::vector<std::uint32_t> subset(std::uint32_t bits) {
  std::vector<std::uint32_t> out;
  for (std::uint32_t layer = 0; layer < 3; ++layer)
    if (bits >> layer & 1) out.push_back(layer);
  return out;
}

SampledReport audit_sampled(const Trade& trade, StateSource& source,
                            std::vector<std::uint32_t> layers,
                            const ToyModel& claimed = sampled_toy()) {
  const auto leaves = weight_leaves(claimed);
  auto report = audit_layers_of(trade, *claimed.model, leaves, source, std::move(layers));
  EXPECT_TRUE(report) << report.error().message;
  return report ? *report : SampledReport{};
}

TEST(Sampled, HonestReceiptsMatchWhateverIsDrawn) {
  for (const std::string_view architecture : {"llama", "qwen2", "qwen3"})
    for (std::uint32_t bits = 0; bits < 8; ++bits) {
      const ToyModel& model = sampled_toy(architecture);
      const auto t = make_trade(model, model, {.temperature = 0.8f});
      LocalSource source(t, model);
      const auto report = audit_sampled(t, source, subset(bits), model);
      EXPECT_EQ(report.verdict, SampledVerdict::match) << architecture << ": " << report.reason;
      EXPECT_EQ(report.positions, t.trace->positions());
      EXPECT_EQ(report.heads, t.opening.answer.size());
      EXPECT_EQ(source.calls.size(), 1u);  // one prefill
    }
}

TEST(Sampled, EveryKindOfRequestMatches) {
  const auto expect = [](const TradeOptions& options) {
    const auto t = make_trade(sampled_toy(), sampled_toy(), options);
    LocalSource source(t, sampled_toy());
    const auto report = audit_sampled(t, source, {1});
    EXPECT_EQ(report.verdict, SampledVerdict::match) << report.reason;
  };
  expect({.temperature = 0.0f});
  expect({.prompt = {8}, .max_tokens = 1});
  expect({.cut = 3});
  expect({.ask = [](protocol::Request& r) {
    r.logprobs = 4;
    r.repetition_penalty_bits = std::bit_cast<std::uint32_t>(1.3f);
    r.presence_penalty_bits = std::bit_cast<std::uint32_t>(0.5f);
    r.logit_bias = {{.token = 8, .bias_bits = std::bit_cast<std::uint32_t>(-1.0f)}};
    r.top_k = 5;
  }});
  const auto whole = make_trade(sampled_toy(), sampled_toy());
  auto prompt = whole.opening.prompt;
  prompt.insert(prompt.end(), whole.opening.answer.begin(), whole.opening.answer.begin() + 4);
  expect({.prompt = prompt, .continuation = 4, .max_tokens = 8});
}

// The power of a sampled audit, in full: a cheat in one layer is met by a draw of that layer and by
// no other.
TEST(Sampled, ACheatInOneLayerIsCaughtExactlyWhereItIsDrawn) {
  for (const std::string_view architecture : {"llama", "qwen2", "qwen3"})
    for (std::uint32_t cheated = 0; cheated < 3; ++cheated)
      for (const std::string_view part : {"attn_norm", "attn_q", "attn_k", "attn_v", "attn_output",
                                          "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"}) {
        const ToyModel& claimed = sampled_toy(architecture);
        const ToyModel cheap = with_other_tensor(claimed, fmt::format("blk.{}.{}", cheated, part));
        const auto t = make_trade(cheap, claimed);
        for (std::uint32_t bits = 0; bits < 8; ++bits) {
          LocalSource source(t, cheap);
          const auto report = audit_sampled(t, source, subset(bits), claimed);
          const bool drawn = bits >> cheated & 1;
          ASSERT_EQ(report.verdict, drawn ? SampledVerdict::mismatch : SampledVerdict::match)
              << architecture << " layer " << cheated << " " << part << ", drawn " << bits << ": "
              << report.reason;
          if (!drawn) continue;
          ASSERT_TRUE(report.difference);
          EXPECT_EQ(report.difference->layer, cheated);
          ASSERT_TRUE(report.difference->value) << report.reason;
          EXPECT_NE(report.difference->value->ours, report.difference->value->theirs);
        }
      }
}

TEST(Sampled, EmbeddingHeadAndSamplingAreAlwaysChecked) {
  for (const std::string_view part : {"token_embd", "output_norm", "output"}) {
    const ToyModel cheap = with_other_tensor(sampled_toy(), part);
    const auto t = make_trade(cheap, sampled_toy());
    LocalSource source(t, cheap);
    const auto report = audit_sampled(t, source, {});
    EXPECT_EQ(report.verdict, SampledVerdict::mismatch) << part;
    EXPECT_EQ(report.difference->op, part == "token_embd" ? "embedding" : "lg");
    EXPECT_EQ(report.difference->layer, part == "token_embd" ? 0u : 3u);
    EXPECT_THAT(report.reason, HasSubstr("row"));
  }
  const auto hotter = [](engine::Sampling& s) { s.temperature = 5; };
  const auto t = make_trade(sampled_toy(), sampled_toy(), {.cheat = hotter});
  LocalSource source(t, sampled_toy(), hotter);
  const auto report = audit_sampled(t, source, {});
  EXPECT_EQ(report.verdict, SampledVerdict::mismatch);
  EXPECT_EQ(report.difference->op, "tok");
  EXPECT_THAT(report.reason, HasSubstr("the model chooses token"));
}

TEST(Sampled, ForgedLogprobsAreFound) {
  auto t = make_trade(sampled_toy(), sampled_toy(), {.ask = [](auto& r) { r.logprobs = 2; }});
  t.opening.logprobs[4] ^= 1;
  t.file.receipt.message.logprobs_root = *protocol::logprobs_root(
      t.opening.salt_secret, t.file.request.message, 12, t.opening.logprobs);
  LocalSource source(t, sampled_toy());
  const auto report = audit_sampled(t, source, {0});
  EXPECT_EQ(report.verdict, SampledVerdict::mismatch);
  EXPECT_EQ(report.difference->op, "lp");
  EXPECT_EQ(report.difference->position, 6u);
}

// Whoever answers wrongly for an honest receipt convicts nobody.
TEST(Sampled, HostileAnswersNeverConvictAnHonestReceipt) {
  const auto t = make_trade(sampled_toy(), sampled_toy(), {.max_tokens = 4});
  using Position = protocol::PositionStates;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::function<void(Position&)>> lies{
      [](Position& p) { p.position += 1; },
      [](Position& p) { p.position = UINT32_MAX; },
      [](Position& p) { p.leaves.clear(); },
      [](Position& p) { p.leaves.resize(5000); },
      [](Position& p) { p.leaves.back()[3] ^= 1; },
      [](Position& p) { p.leaves.front()[3] ^= 1; },
      [](Position& p) { p.states.clear(); },
      [](Position& p) { p.states.resize(4); },
      [](Position& p) { p.states.front().clear(); },
      [](Position& p) { p.states.front().resize(15); },
      [](Position& p) { p.states.front().resize(1 << 20); },
      [](Position& p) { p.states.front().back() ^= 1; },
      [&](Position& p) { std::memcpy(p.states.front().data(), &nan, 4); },
      [&](Position& p) {
        // Committed, it says, by a root that hashes to another leaf.
        std::memcpy(p.states.front().data(), &nan, 4);
        p.roots[1]->x = vector_root(
            std::span<const float>(reinterpret_cast<const float*>(p.states.front().data()), 4));
      },
      [](Position& p) { p.roots.clear(); },
      [](Position& p) { p.roots.front().reset(); },
      [](Position& p) { p.roots.back().emplace(); },
      [](Position& p) { p.roots[1]->second[0] ^= 1; },
      [](Position& p) { p.roots[2]->x[0] ^= 1; }};
  for (std::size_t lie = 0; lie < lies.size(); ++lie)
    for (const std::uint32_t where : {0u, 3u, 8u}) {
      LocalSource source(t, sampled_toy());
      std::uint32_t at = 0;
      source.tamper = [&](Position& p) {
        if (at++ == where) lies[lie](p);
      };
      const auto report = audit_sampled(t, source, {1});
      EXPECT_EQ(report.verdict, SampledVerdict::unanswered) << "lie " << lie << " at " << where;
      EXPECT_THAT(report.reason, HasSubstr("audit in full"));
      EXPECT_FALSE(report.difference);
    }
}

TEST(Sampled, ADifferenceInWhatWasNotSignedIsNoMismatch) {
  // The provider serves another execution than the one it signed, whole and consistent.
  const ToyModel other = with_other_tensor(sampled_toy(), "blk.1.ffn_down");
  const auto t = make_trade(sampled_toy(), sampled_toy(), {.max_tokens = 4});
  LocalSource source(t, other);
  for (std::uint32_t bits = 0; bits < 8; ++bits) {
    const auto report = audit_sampled(t, source, subset(bits));
    EXPECT_EQ(report.verdict, SampledVerdict::unanswered) << report.reason;
  }
}

TEST(Sampled, TooFewOrTooManyPositionsAreNoAnswer) {
  const auto t = make_trade(sampled_toy(), sampled_toy(), {.max_tokens = 4});
  struct Cut : StateSource {
    Cut(StateSource& whole, int count) : whole_(whole), extra_(count) {}
    Status states(const protocol::StatesCall& call, const Take& take) override {
      std::vector<protocol::PositionStates> all;
      CHECK_OK(whole_.states(call, [&](auto p) -> Status {
        all.push_back(std::move(p));
        return {};
      }));
      if (extra_ < 0) all.pop_back();
      if (extra_ > 0) all.push_back(all.back());
      for (auto& p : all) CHECK_OK(take(std::move(p)));
      return {};
    }
    StateSource& whole_;
    const int extra_;
  };
  for (const int extra : {-1, 1}) {
    LocalSource whole(t, sampled_toy());
    Cut source(whole, extra);
    EXPECT_EQ(audit_sampled(t, source, {1}).verdict, SampledVerdict::unanswered);
  }
  struct Down : StateSource {
    Status states(const protocol::StatesCall&, const Take&) override {
      return fail(Errc::unavailable, "unreachable");
    }
  } down;
  const auto leaves = weight_leaves(sampled_toy());
  const auto failed = audit_layers_of(t, *sampled_toy().model, leaves, down, {1});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::unavailable);
}

TEST(Sampled, WrongInputsAreErrorsAndNoVerdicts) {
  const auto t = make_trade(sampled_toy(), sampled_toy(), {.max_tokens = 4});
  LocalSource source(t, sampled_toy());
  auto leaves = weight_leaves(sampled_toy());
  const auto code = [&](std::vector<std::uint32_t> layers) {
    const auto report = audit_layers_of(t, *sampled_toy().model, leaves, source, std::move(layers));
    return report ? Errc::internal : report.error().code;
  };
  EXPECT_EQ(code({3}), Errc::invalid);
  leaves[2][0] ^= 1;  // of a tensor that is used
  EXPECT_EQ(code({0}), Errc::mismatch);
  EXPECT_EQ(code({1}), Errc::mismatch);  // not used, but the root is another
  leaves.pop_back();
  EXPECT_EQ(code({0}), Errc::mismatch);
  leaves.clear();
  EXPECT_EQ(code({0}), Errc::mismatch);
  // Another file under the right leaves.
  const ToyModel other = with_other_tensor(sampled_toy(), "blk.1.attn_q");
  const auto right = weight_leaves(sampled_toy());
  const auto wrong_file = audit_layers_of(t, *other.model, right, source, {1});
  ASSERT_FALSE(wrong_file);
  EXPECT_THAT(wrong_file.error().message, HasSubstr("blk.1.attn_q"));
  const auto elsewhere = audit_layers_of(t, *other.model, right, source, {0, 2});
  ASSERT_TRUE(elsewhere);  // what it does not read it cannot mind
  EXPECT_EQ(elsewhere->verdict, SampledVerdict::match);
}

Result<std::optional<Difference>> locate(const Trade& t, const ToyModel& claimed,
                                         StateSource& source) {
  ThreadPool pool(1);
  const ManualClock clock;
  const auto& request = t.file.request.message;
  const auto report =
      replay_audit(request, t.file.receipt.message, t.opening, claimed.model, pool, {}, clock);
  const Execution execution{sampling_of(request), t.opening.salt_secret, t.opening.prompt,
                            t.opening.answer,     request.continuation,  false,
                            request.logprobs};
  return locate_difference(*report->trace, execution, t.opening.request,
                           t.file.receipt.message.trace_root, claimed.model, source, pool,
                           engine::Isa::scalar);
}

// After a full audit: the first value that differs, wherever the cheat is.
TEST(Locate, NamesTheFirstDifferingValue) {
  const auto first = [](std::string_view tensor) {
    const ToyModel cheap = with_other_tensor(sampled_toy(), tensor);
    const auto t = make_trade(cheap, sampled_toy());
    LocalSource source(t, cheap);
    const auto found = locate(t, sampled_toy(), source);
    EXPECT_TRUE(found && *found && (*found)->value) << tensor;
    return std::tuple((*found)->position, (*found)->layer, (*found)->op);
  };
  EXPECT_EQ(first("token_embd"), std::tuple(0u, 0u, "embedding"));
  EXPECT_EQ(first("blk.0.attn_k"), std::tuple(0u, 0u, "kh"));
  EXPECT_EQ(first("blk.1.attn_v"), std::tuple(0u, 1u, "vh"));
  EXPECT_EQ(first("blk.1.ffn_up"), std::tuple(0u, 1u, "x"));
  EXPECT_EQ(first("blk.2.ffn_up"), std::tuple(5u, 2u, "x"));  // committed where a token is chosen
  EXPECT_EQ(first("output"), std::tuple(5u, 3u, "lg"));
  const auto hotter = [](engine::Sampling& s) { s.temperature = 5; };
  const auto t = make_trade(sampled_toy(), sampled_toy(), {.cheat = hotter});
  LocalSource source(t, sampled_toy(), hotter);
  const auto token = locate(t, sampled_toy(), source);
  ASSERT_TRUE(token && *token);
  EXPECT_EQ((*token)->op, "tok");
  EXPECT_NE((*token)->value->ours, (*token)->value->theirs);
  EXPECT_THAT(words(**token, 3), HasSubstr("the model chooses token"));
}

TEST(Locate, SaysNothingAboutWhatWasNotSigned) {
  const ToyModel cheap = with_other_tensor(sampled_toy(), "blk.1.ffn_up");
  const auto t = make_trade(cheap, sampled_toy());
  LocalSource honest(t, sampled_toy());  // not what it signed
  EXPECT_EQ(locate(t, sampled_toy(), honest).error().code, Errc::mismatch);
  for (int lie = 0; lie < 6; ++lie) {
    LocalSource source(t, cheap);
    source.tamper = [&](protocol::PositionStates& p) {
      if (p.states.empty()) return;  // the leaves are asked for first
      if (lie == 0) p.states[0].back() ^= 1;
      if (lie == 1) p.states[0].clear();
      if (lie == 2) p.rows.clear();
      if (lie == 3) p.rows[0].first.resize(1);
      if (lie == 4) p.roots[0].reset();
      if (lie == 5) p.roots[0]->x[0] ^= 1;
    };
    const auto found = locate(t, sampled_toy(), source);
    ASSERT_FALSE(found) << lie;
    EXPECT_EQ(found.error().code, Errc::mismatch);
  }
  const auto good = make_trade(sampled_toy(), sampled_toy());
  LocalSource source(good, sampled_toy());
  const auto same = locate(good, sampled_toy(), source);
  ASSERT_TRUE(same);
  EXPECT_FALSE(*same);
}

}  // namespace
}  // namespace assay::verify
