#include "verify/audit.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/kv_cache.hpp"
#include "protocol/tokens.hpp"
#include "verify/sampled_testutil.hpp"
#include "verify/verify_testutil.hpp"

namespace assay::verify {
namespace {

using testing::HasSubstr;

const ToyModel& audit_toy() {
  static const ToyModel model;
  return model;
}

// The same shapes, other signs in one matrix.
const ToyModel& other_model() {
  static const ToyModel model = [] {
    Bytes file = audit_toy().file;
    const auto& o = audit_toy().model->layers()[1].o;
    const auto at = static_cast<std::size_t>(o.data.data() - audit_toy().file.data());
    for (std::size_t i = 3; i < o.data.size(); i += 4) file[at + i] ^= 0x80;
    return ToyModel(std::move(file));
  }();
  return model;
}

Result<AuditReport> audit(const Trade& t, const ToyModel& model = audit_toy(),
                          AuditOptions options = {}) {
  ThreadPool pool(2);
  const ManualClock clock;
  return replay_audit(t.file.request.message, t.file.receipt.message, t.opening, model.model, pool,
                      options, clock);
}

void expect_match(const Trade& t, const AuditOptions& options = {}) {
  const auto report = audit(t, audit_toy(), options);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->match) << report->reason;
  EXPECT_FALSE(report->divergence);
  EXPECT_EQ(report->expected_trace_root, t.file.receipt.message.trace_root);
}

AuditReport expect_mismatch(const Trade& t, const ToyModel& model = audit_toy()) {
  const auto report = audit(t, model);
  EXPECT_TRUE(report) << report.error().message;
  if (!report) return {};
  EXPECT_FALSE(report->match);
  EXPECT_FALSE(report->reason.empty());
  return *report;
}

TEST(Audit, HonestReceiptsMatch) {
  for (const float temperature : {0.0f, 0.7f, 3.0f})
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
      const auto t =
          make_trade(audit_toy(), audit_toy(), {.temperature = temperature, .seed = seed});
      EXPECT_EQ(t.opening.answer.size(), 12u);
      for (const auto isa : {engine::Isa::scalar, engine::best_isa()})
        expect_match(t, {.isa = isa, .progress = {}, .identity = {}});
    }
}

TEST(Audit, EveryEndingMatches) {
  const auto whole = make_trade(audit_toy(), audit_toy(), {.temperature = 3.0f});
  auto stop = whole.opening.answer[4];
  const auto stopped =
      make_trade(audit_toy(), audit_toy(), {.temperature = 3.0f, .stop_ids = {stop}});
  EXPECT_EQ(stopped.file.receipt.message.finish, 0u);
  EXPECT_LE(stopped.opening.answer.size(), 5u);
  expect_match(stopped);
  const auto cut = make_trade(audit_toy(), audit_toy(), {.cut = 3});
  EXPECT_EQ(cut.file.receipt.message.finish, 3u);
  EXPECT_EQ(cut.opening.answer.size(), 3u);
  expect_match(cut);
  expect_match(make_trade(audit_toy(), audit_toy(), {.prompt = {8}, .max_tokens = 1}));
  expect_match(
      make_trade(audit_toy(), audit_toy(), {.max_tokens = 58}));  // to the end of the context
}

TEST(Audit, ProgressIsWhatAReceiptOfThatCountWouldBe) {
  auto t = make_trade(audit_toy(), audit_toy(), {.temperature = 2.0f});
  ThreadPool pool(1);
  const ManualClock clock;
  for (const auto& p : t.progress) {
    const auto report =
        replay_audit(t.file.request.message, p, t.opening, audit_toy().model, pool, {}, clock);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_TRUE(report->match) << p.count << ": " << report->reason;
    auto bent = p;
    bent.trace_root[0] ^= 1;
    EXPECT_FALSE(
        replay_audit(t.file.request.message, bent, t.opening, audit_toy().model, pool, {}, clock)
            ->match);
  }
}

// Exhaustive in a small world: one flipped bit at every place of the trace is found there.
TEST(Audit, TamperedStateIsFoundWhereItIs) {
  const auto honest = make_trade(audit_toy(), audit_toy(), {.max_tokens = 4});
  const std::uint32_t layers = 3, first_head = 5;
  for (std::uint32_t p = 0; p < honest.trace->positions(); ++p)
    for (std::uint32_t l = 0; l <= layers; ++l) {
      if (l == layers && p < first_head) continue;
      auto t = make_trade(audit_toy(), audit_toy(),
                          {.max_tokens = 4, .flip = engine::NumericFault{p, l}});
      const auto blind = expect_mismatch(t);
      EXPECT_FALSE(blind.divergence);  // the tokens are right, nothing says where
      t.open_positions({});
      const auto by_position = expect_mismatch(t);
      ASSERT_TRUE(by_position.divergence);
      EXPECT_EQ(by_position.divergence->position, p);
      EXPECT_FALSE(by_position.divergence->layer);
      t.open_positions(std::array{p});
      const auto by_layer = expect_mismatch(t);
      ASSERT_TRUE(by_layer.divergence && by_layer.divergence->layer);
      EXPECT_EQ(by_layer.divergence->position, p);
      EXPECT_EQ(*by_layer.divergence->layer, l);
      EXPECT_EQ(by_layer.divergence->expected, honest.trace->leaves(p)[l]);
      EXPECT_EQ(by_layer.divergence->claimed, t.trace->leaves(p)[l]);
      // What a gateway does after the first audit, without a second replay.
      EXPECT_EQ(first_difference(*blind.trace, t.opening, t.file.receipt.message.trace_root, layers)
                    ->layer,
                l);
    }
}

TEST(Audit, AnotherModelUnderThisName) {
  // A toy changes little: the first seed under which the two models say different things.
  TradeOptions options{.max_tokens = 50, .temperature = 0.3f, .seed = 0};
  const auto answer_of = [&](const ToyModel& serving) {
    return make_trade(serving, audit_toy(), options).opening.answer;
  };
  while (options.seed < 200 && answer_of(audit_toy()) == answer_of(other_model())) ++options.seed;
  auto t = make_trade(other_model(), audit_toy(), options);
  const auto report = expect_mismatch(t);
  ASSERT_TRUE(report.divergence && report.divergence->expected_token);
  const auto p = report.divergence->position;
  EXPECT_EQ(report.divergence->claimed_token, t.opening.answer[p - 5]);
  EXPECT_NE(report.divergence->expected_token, report.divergence->claimed_token);
  EXPECT_THAT(report.reason, HasSubstr("the model chooses token"));
  // The changed weight is in layer 1: what leaves it enters layer 2.
  t.open_positions(std::array{0u});
  const auto placed = expect_mismatch(t);
  ASSERT_TRUE(placed.divergence && placed.divergence->layer);
  EXPECT_EQ(placed.divergence->position, 0u);
  EXPECT_EQ(*placed.divergence->layer, 2u);
  EXPECT_THAT(placed.reason, HasSubstr("position 0, layer 2; at position"));
}

TEST(Audit, AlteredAnswerIsFoundAtItsToken) {
  for (std::uint32_t i = 0; i < 12; ++i) {
    auto t = make_trade(audit_toy(), audit_toy());
    t.opening.answer[i] = (t.opening.answer[i] + 1) % engine::kToyVocab;
    t.file.receipt.message.tape_root = protocol::tape_root(t.opening.salt_secret, t.opening.answer);
    const auto report = expect_mismatch(t);
    ASSERT_TRUE(report.divergence);
    EXPECT_EQ(report.divergence->position, 5 + i);
    EXPECT_EQ(report.divergence->claimed_token, t.opening.answer[i]);
  }
}

TEST(Audit, ContinuationIsResampled) {
  const auto whole = make_trade(audit_toy(), audit_toy(), {.temperature = 2.0f});
  for (const std::uint32_t kept : {1u, 4u, 11u}) {
    TradeOptions rest{.continuation = kept, .max_tokens = 12 - kept, .temperature = 2.0f};
    rest.prompt.insert(rest.prompt.end(), whole.opening.answer.begin(),
                       whole.opening.answer.begin() + kept);
    const auto t = make_trade(audit_toy(), audit_toy(), rest);
    // The successor's text is the first provider's.
    EXPECT_TRUE(
        std::ranges::equal(t.opening.answer, std::span(whole.opening.answer).subspan(kept)));
    expect_match(t);
    for (std::uint32_t i = 0; i < kept; ++i) {
      auto bent = rest;
      bent.prompt[6 + i] = (bent.prompt[6 + i] + 1) % engine::kToyVocab;
      const auto report = expect_mismatch(make_trade(audit_toy(), audit_toy(), bent));
      ASSERT_TRUE(report.divergence);
      EXPECT_EQ(report.divergence->position, 5 + i);
      EXPECT_EQ(report.divergence->expected_token, whole.opening.answer[i]);
    }
  }
}

TEST(Audit, FinishMustFit) {
  const auto honest = make_trade(audit_toy(), audit_toy());
  for (const std::uint32_t finish : {0u, 2u, 3u, 4u, 77u}) {
    auto t = honest;
    t.file.receipt.message.finish = finish;
    EXPECT_FALSE(expect_mismatch(t).trace) << finish;  // nothing to replay
  }
  auto cut = make_trade(audit_toy(), audit_toy(), {.cut = 3});
  for (const std::uint32_t finish : {0u, 1u}) {
    cut.file.receipt.message.finish = finish;
    expect_mismatch(cut);
  }
  cut.file.receipt.message.finish = 2;  // a fault nobody else meets
  EXPECT_THAT(expect_mismatch(cut).reason, HasSubstr("numeric fault"));
  auto past_stop = honest;
  past_stop.opening.stop_ids = {honest.opening.answer[2]};
  past_stop.file.request.message.stop_root = protocol::stop_root(past_stop.opening.stop_ids);
  EXPECT_THAT(expect_mismatch(past_stop).reason, HasSubstr("after stop id"));
}

// Token 13 leads to an overflow: a fault in the prompt, and one met while decoding.
TEST(Audit, NumericFaultsAreReplayed) {
  Bytes bytes = audit_toy().file;
  const auto& embedding = audit_toy().model->embedding();
  const auto row = static_cast<std::size_t>(embedding.data.data() - audit_toy().file.data()) +
                   13 * embedding.row_bytes();
  for (std::size_t i = 0; i < embedding.row_bytes(); i += 4) {
    const auto huge = std::bit_cast<std::uint32_t>(3e38f);
    for (int b = 0; b < 4; ++b) bytes[row + i + b] = static_cast<std::uint8_t>(huge >> (8 * b));
  }
  const ToyModel faulty(std::move(bytes));
  const auto in_prompt = make_trade(faulty, faulty, {.prompt = {1, 8, 13, 9, 9}});
  EXPECT_EQ(in_prompt.file.receipt.message.finish, 2u);
  EXPECT_EQ(in_prompt.file.receipt.message.count, 0u);
  EXPECT_EQ(in_prompt.trace->positions(), 3u);
  EXPECT_TRUE(audit(in_prompt, faulty)->match) << audit(in_prompt, faulty)->reason;

  std::size_t decoded = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    auto t = make_trade(faulty, faulty, {.temperature = 4.0f, .seed = seed});
    EXPECT_TRUE(audit(t, faulty)->match) << audit(t, faulty)->reason;
    if (t.file.receipt.message.finish != 2 || t.file.receipt.message.count == 0) continue;
    ++decoded;
    EXPECT_EQ(t.opening.answer.back(), 13u);
    // Hiding the fault, or placing it elsewhere.
    t.file.receipt.message.finish = 3;
    EXPECT_FALSE(audit(t, faulty)->match);
    t.file.receipt.message.finish = 2;
    t.file.receipt.message.trace_root[5] ^= 1;
    EXPECT_FALSE(audit(t, faulty)->match);
  }
  EXPECT_GT(decoded, 0u);
}

TEST(Audit, RequestsWithoutAnExecutionConvict) {
  const auto expect = [](TradeOptions options, std::string_view reason, auto change) {
    auto t = make_trade(audit_toy(), audit_toy(), options);
    change(t);
    auto& request = t.file.request.message;
    request.prompt_count = static_cast<std::uint32_t>(t.opening.prompt.size());
    request.prompt_root = protocol::prompt_root(t.opening.salt_secret, t.opening.prompt);
    t.file.receipt.message.tape_root = protocol::tape_root(t.opening.salt_secret, t.opening.answer);
    EXPECT_THAT(expect_mismatch(t).reason, HasSubstr(std::string(reason)));
  };
  expect({}, "vocabulary", [](Trade& t) { t.opening.prompt[2] = engine::kToyVocab; });
  expect({}, "vocabulary", [](Trade& t) { t.opening.answer[2] = 0xffffffff; });
  expect({}, "context", [](Trade& t) { t.opening.prompt.resize(60, 8); });
  expect({}, "prompt is empty", [](Trade& t) { t.opening.prompt.clear(); });
  expect({}, "continuation", [](Trade& t) { t.file.request.message.continuation = 6; });
  expect({}, "temperature", [](Trade& t) { t.file.request.message.temperature_bits = 0x7fc00000; });
  expect({}, "top_p", [](Trade& t) { t.file.request.message.top_p_bits = 0; });
}

TEST(Audit, InputsThatDoNotBelongTogetherAreErrors) {
  const auto honest = make_trade(audit_toy(), audit_toy());
  const auto expect = [&](std::string_view message, auto change) {
    auto t = honest;
    change(t.opening);
    const auto report = audit(t);
    ASSERT_FALSE(report) << message;
    EXPECT_THAT(report.error().message, HasSubstr(std::string(message)));
  };
  expect("salt", [](auto& o) { o.salt_secret[0] ^= 1; });
  expect("prompt", [](auto& o) { o.prompt[0] ^= 1; });
  expect("prompt", [](auto& o) { o.prompt.pop_back(); });
  expect("prompt", [](auto& o) { o.prompt.clear(); });
  expect("answer", [](auto& o) { o.answer[3] ^= 1; });
  expect("answer", [](auto& o) { o.answer.pop_back(); });
  expect("answer", [](auto& o) { o.answer.push_back(1); });
  expect("stop ids", [](auto& o) { o.stop_ids = {3}; });
  expect("ascending", [](auto& o) { o.stop_ids = {3, 3}; });
  const auto wrong_model = audit(honest, other_model());
  ASSERT_FALSE(wrong_model);
  EXPECT_EQ(wrong_model.error().code, Errc::mismatch);
}

TEST(Audit, HostileLeavesAreIgnored) {
  const auto cheat = make_trade(audit_toy(), audit_toy(), {.flip = engine::NumericFault{4, 1}});
  const auto with = [&](auto change) {
    auto t = cheat;
    t.open_positions(std::array{4u});
    change(t.opening);
    return expect_mismatch(t).divergence;
  };
  // Roots that are not the signed ones say nothing.
  EXPECT_FALSE(with([](auto& o) { o.position_roots.pop_back(); }));
  EXPECT_FALSE(with([](auto& o) { o.position_roots.resize(100'000); }));
  EXPECT_FALSE(with([](auto& o) { o.position_roots[1][0] ^= 1; }));
  // Signed roots, leaves that are not theirs: the position stands, the layer does not.
  for (const auto& d : {with([](auto& o) { o.positions[0].leaves.clear(); }),
                        with([](auto& o) { o.positions[0].leaves.resize(4096); }),
                        with([](auto& o) { o.positions[0].leaves[0][0] ^= 1; }),
                        with([](auto& o) { o.positions[0].position = 0xffffffff; })}) {
    ASSERT_TRUE(d);
    EXPECT_EQ(d->position, 4u);
    EXPECT_FALSE(d->layer);
  }
  // An honest receipt stays a match, whatever lies beside it.
  auto honest = make_trade(audit_toy(), audit_toy());
  honest.opening.position_roots = cheat.trace->position_roots();
  expect_match(honest);
}

// What it needs is known before anything is taken, and no accusation is made of it.
TEST(Audit, LongEvidenceDoesNotDecideHowMuchMemoryIsTaken) {
  const auto t = make_trade(audit_toy(), audit_toy());
  const std::size_t page =
      engine::PageLayout::of(audit_toy().model->hyper(), *engine::find_kernels(engine::Isa::scalar))
          .page_bytes();
  AuditOptions options;
  options.isa = engine::Isa::scalar;
  options.kv_bytes_max = page - 1;
  const auto refused = audit(t, audit_toy(), options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::refused);
  EXPECT_THAT(refused.error().message,
              HasSubstr(fmt::format("takes {} bytes of KV cache, {} are allowed", page, page - 1)));
  EXPECT_THAT(refused.error().message, HasSubstr("--kv-memory"));
  options.kv_bytes_max = page;
  expect_match(t, options);
}

// Killed after any number of steps, with the last one torn off: another run goes on and finds what
// one run would have found.
TEST(Audit, AKilledAuditGoesOnWhereItWas) {
  static const ToyModel model(engine::ToyShape{.layers = 3, .context = 512});
  std::vector<std::uint32_t> prompt(300);
  for (std::uint32_t i = 0; i < prompt.size(); ++i) prompt[i] = 7 + i * i % 7;
  const auto honest = make_trade(
      model, model, {.prompt = prompt, .max_tokens = 40, .ask = [](auto& r) { r.logprobs = 3; }});
  const auto cheat =
      make_trade(model, model, {.prompt = prompt, .flip = engine::NumericFault{130, 1}});
  for (const Trade* t : {&honest, &cheat}) {
    const auto once = audit(*t, model);
    ASSERT_TRUE(once) << once.error().message;
    EXPECT_EQ(once->match, t == &honest);
    for (const int steps : {0, 1, 2}) {
      MemoryJournal journal;
      journal.appends_left = steps;
      AuditOptions options;
      options.journal = &journal;
      const auto killed = audit(*t, model, options);
      ASSERT_FALSE(killed);
      EXPECT_EQ(killed.error().message, "killed");
      journal.appends_left = 100;
      journal.content.insert(journal.content.end(), 50, 1);
      std::vector<double> seen;
      options.progress = [&](double fraction) {
        seen.push_back(fraction);
        return true;
      };
      const auto report = audit(*t, model, options);
      ASSERT_TRUE(report) << report.error().message;
      EXPECT_EQ(report->reason, once->reason);
      EXPECT_EQ(report->expected_trace_root, once->expected_trace_root);
      EXPECT_NEAR(seen.front(), 128.0 * steps / static_cast<double>(report->positions), 1e-9);
      // Another receipt's audit does not go on from it.
      const auto other = audit(make_trade(model, model), model, options);
      ASSERT_FALSE(other);
      EXPECT_EQ(other.error().code, Errc::conflict);
    }
  }
}

TEST(Audit, CanBeCancelled) {
  int calls = 0;
  AuditOptions options;
  options.progress = [&](double) { return ++calls < 1; };
  const auto report = audit(make_trade(audit_toy(), audit_toy()), audit_toy(), options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Errc::cancelled);
}

}  // namespace
}  // namespace assay::verify
