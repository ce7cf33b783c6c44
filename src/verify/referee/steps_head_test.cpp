// The choice of a token and log-probabilities, step by step, against canon/sampling.hpp and
// canon/logprob.hpp; and where steps fault.
#include <gtest/gtest.h>

#include "verify/referee/cases_testutil.hpp"
#include "verify/referee/reference_testutil.hpp"

namespace assay::verify::test {
namespace {

std::uint32_t word_bits(float x) { return std::bit_cast<std::uint32_t>(x); }

constexpr std::uint32_t kPrompt = 290, kAnswer = 300;

World head_world(std::uint32_t vocab, std::uint32_t seed) {
  World w({.vocab = vocab,
           .dim = 8,
           .heads = 1,
           .head_dim = 2,
           .ffn = 8,
           .formats = {canon::Format::f32}},
          seed, kPrompt, kAnswer);
  w.logprobs.resize(kAnswer);
  return w;
}

std::vector<float> random_logits(Random& random, std::uint32_t n) {
  std::vector<float> out(n);
  const bool ties = random.below(3) == 0, wide = random.below(4) == 0;
  for (float& l : out) {
    if (ties)
      l = (static_cast<float>(random.below(9)) - 4.0f) * (random.below(2) == 0 ? 1.0f : -1.0f);
    else
      l = random.hostile(wide ? 1e30f : 20.0f);
  }
  return out;
}

protocol::Request random_sampling(Random& random, protocol::Request r, std::uint32_t vocab) {
  const auto one_of = [&](std::initializer_list<float> values) {
    return word_bits(*(values.begin() + random.below(static_cast<std::uint32_t>(values.size()))));
  };
  r.logit_bias.clear();
  r.continuation = random.below(3) == 0 ? random.below(280) : 0;
  if (random.below(2) == 0)
    for (std::uint32_t id = random.below(9); id < vocab + 50 && r.logit_bias.size() < 12;
         id += 1 + random.below(40))
      r.logit_bias.push_back({.token = id, .bias_bits = word_bits(random.unit() * 5.0f)});
  r.repetition_penalty_bits = one_of({1.0f, 1.0f, 1.3f, 0.7f});
  r.presence_penalty_bits = one_of({0.0f, 0.0f, 0.4f, -0.6f});
  r.frequency_penalty_bits = one_of({0.0f, 0.0f, 0.1f, -0.3f});
  r.temperature_bits = one_of({0.0f, 0.7f, 1.0f, 3.5f});
  const std::uint32_t ks[] = {0, 0, 1, 5, 40, vocab - 1, vocab, vocab + 7};
  r.top_k = ks[random.below(8)];
  r.top_p_bits = one_of({1.0f, 1.0f, 0.95f, 0.5f, 0.1f, 0x1p-149f});
  r.min_p_bits = one_of({0.0f, 0.0f, 0.05f, 0.5f, 1.0f});
  r.seed = random.bits();
  const std::uint32_t alternatives[] = {0, 1, 2, 6, 21};
  r.logprobs = alternatives[random.below(5)];
  return r;
}

TEST(StepsHead, EverySamplingSetting) {
  Random random(11);
  std::uint32_t filtered = 0;
  for (int round = 0; round < 240; ++round) {
    const std::uint32_t vocab = round % 3 == 0 ? 700 : round % 3 == 1 ? 256 : 90;
    World w = head_world(vocab, 100 + round % 3);
    w.subject.request = random_sampling(random, w.subject.request, vocab);
    const std::uint32_t first = w.subject.first_sampled();
    const std::uint32_t t = first + random.below(kPrompt + kAnswer - 1 - first);
    const auto logits = random_logits(random, vocab);
    SCOPED_TRACE(fmt::format("round {} position {}", round, t));
    const PartValues want = reference_choice(w, t, logits);
    const bool listed = w.subject.request.logprobs != 0 && t + 1 >= kPrompt;
    if (listed && !want.faulted) w.logprobs[t + 1 - kPrompt] = want.as<std::uint32_t>("lp");

    LeafRun run(w, {.position = t, .index = 1});
    run.set("lg", bytes_of(logits));
    run.run();
    if (want.faulted) {
      EXPECT_TRUE(run.fault() == "ad" || run.fault() == "z") << run.fault();
      continue;
    }
    ASSERT_EQ(run.fault(), "");
    const auto has = [&](std::string_view name) {
      return std::ranges::any_of(run.list().ops, [&](const Op& op) { return op.name == name; });
    };
    for (const char* name : {"ad", "z"})
      if (has(name)) {
        EXPECT_EQ(run.values(name), want.ops.at(name)) << name;
      }
    EXPECT_EQ(run.values("tok"), want.ops.at("tok"));
    for (const char* name : {"kok", "pok"})
      if (has(name)) {
        ++filtered;
        EXPECT_EQ(run.as<std::uint32_t>(name)[0], 1u) << name;
      }
    const std::uint32_t next = t + 1 < kPrompt ? w.prompt[t + 1] : w.answer[t + 1 - kPrompt];
    EXPECT_EQ(run.as<std::uint32_t>("nx")[0], next);
    EXPECT_EQ(has("lp"), listed);
    if (!listed) continue;
    EXPECT_EQ(run.values("lp"), want.ops.at("lp"));
    EXPECT_EQ(run.values("lo"), want.ops.at("lp"));
    if (has("lct")) {
      EXPECT_EQ(run.as<std::uint32_t>("lct")[0], w.subject.request.logprobs - 1);
    }
  }
  EXPECT_GT(filtered, 60u);
}

// Thresholds have one right value each: any other fails its check.
TEST(StepsHead, WrongThresholdsFail) {
  World w = head_world(700, 3);
  w.subject.request.temperature_bits = word_bits(1.0f);
  w.subject.request.top_k = 40;
  w.subject.request.top_p_bits = word_bits(0.8f);
  Random random(5);
  const auto logits = random.hostile_values(700, 5.0f);
  const LeafPlace place{.position = kPrompt, .index = 1};
  LeafRun right(w, place);
  right.set("lg", bytes_of(logits));
  right.run();
  const auto z = right.as<float>("z"), p = right.as<float>("p");
  const auto check = [&](const char* threshold, const char* verdict, float value) {
    LeafRun run(w, place);
    run.set("lg", bytes_of(logits));
    run.set(threshold, bytes_of(std::vector{value}));
    run.run();
    return run.fault().empty() ? run.as<std::uint32_t>(verdict)[0] : 0;
  };
  const float kappa = right.as<float>("tk")[0], tau = right.as<float>("tp")[0];
  EXPECT_EQ(check("tk", "kok", kappa), 1u);
  EXPECT_EQ(check("tp", "pok", tau), 1u);
  for (std::size_t i = 0; i < 700; i += 23) {
    EXPECT_EQ(check("tk", "kok", z[i]), z[i] == kappa ? 1u : 0u);
    EXPECT_EQ(check("tp", "pok", p[i]), p[i] == tau ? 1u : 0u);
  }
  for (const float odd : {std::nextafterf(kappa, 1e9f), std::nextafterf(kappa, -1e9f),
                          canon::test::kNan, canon::test::kInfinity, -canon::test::kInfinity})
    EXPECT_EQ(check("tk", "kok", odd), 0u);
  for (const float odd :
       {std::nextafterf(tau, 1.0f), std::nextafterf(tau, 0.0f), 0.0f, -1.0f, canon::test::kNan})
    EXPECT_EQ(check("tp", "pok", odd), 0u);
}

// A list of alternatives that leaves one out, repeats one or swaps two does not pass.
TEST(StepsHead, WrongAlternativesFail) {
  World w = head_world(700, 3);
  w.subject.request.logprobs = 4;
  Random random(6);
  std::vector<float> logits(700);
  for (float& l : logits) l = static_cast<float>(random.below(5));
  const LeafPlace place{.position = kPrompt, .index = 1};
  const auto numbers = reference_choice(w, place.position, logits).as<std::uint32_t>("lp");
  w.logprobs[1] = numbers;
  LeafRun right(w, place);
  right.set("lg", bytes_of(logits));
  right.run();
  // True when every id passes and the count is right.
  const auto passes = [&](std::vector<std::uint32_t> lp) {
    LeafRun run(w, place);
    run.set("lg", bytes_of(logits));
    run.set("lp", bytes_of(lp));
    run.run();
    for (std::size_t i = 1; i < lp.size(); i += 2)
      if (run.element(run.find("lp"), i).empty()) return false;
    return run.fault().empty() && run.as<std::uint32_t>("lct")[0] == 3;
  };
  EXPECT_TRUE(passes(numbers));
  auto wrong = numbers;
  std::swap(wrong[1], wrong[3]);
  EXPECT_FALSE(passes(wrong));
  wrong = numbers;
  wrong[3] = wrong[1];
  EXPECT_FALSE(passes(wrong));
  wrong = numbers;
  wrong[5] = wrong[5] + 1;
  while (logits[wrong[5]] > logits[numbers[5]]) ++wrong[5];
  EXPECT_FALSE(passes(wrong));
  wrong = numbers;
  wrong[5] = 700;
  EXPECT_FALSE(passes(wrong));
}

struct FaultCase {
  const char* name;  // of the op that faults
  std::function<void(World&)> arrange;
  std::uint32_t index = 1;  // of the fault leaf
};

// The first op that faults is in the fault leaf's list where the canon's function says so.
TEST(StepsFault, IsMetWhereTheCanonMeetsIt) {
  const auto big = [](TensorRole role, float value) {
    return [=](World& w) {
      const TensorShape t = tensor_shape(w.program(), role, 0);
      Bytes& b = w.weights[t.index];
      for (std::size_t i = 0; i < t.cols; ++i) {
        const auto bits = word_bits(value);
        std::memcpy(&b[4 * i], &bits, 4);
      }
    };
  };
  const FaultCase cases[] = {
      {"b.dk", big(TensorRole::attn_norm, 3e9f), 0},
      {"b.y", big(TensorRole::attn_norm, 3e38f), 0},
      {"kh", big(TensorRole::k_bias, 1e6f), 0},
      {"vh", big(TensorRole::v_bias, -65520.0f), 0},
      {"sc",
       [=](World& w) {
         big(TensorRole::q_bias, 1e36f)(w);
         w.ks[{0, 0}].assign(w.program().kv_dim(), 0x7bff);
       },
       0},
      {"f.y", big(TensorRole::ffn_norm, 3e38f), 0},
      {"mm.d8", big(TensorRole::ffn_norm, 60000.0f), 0},
      {"n.y", big(TensorRole::output_norm, 3e38f), 1},
      {"ad",
       [](World& w) {
         w.subject.request.logit_bias = {{.token = 7, .bias_bits = word_bits(3e38f)}};
         w.subject.request.presence_penalty_bits = word_bits(-3e38f);
         w.prompt[1] = 7;
         w.subject.request.continuation = 2;
       },
       1},
      {"z", [](World& w) { w.subject.request.temperature_bits = word_bits(1e-38f); }, 1},
  };
  for (const FaultCase& c : cases) {
    SCOPED_TRACE(c.name);
    World w({.architecture = "qwen2",
             .vocab = 50,
             .heads = 2,
             .head_dim = 48,
             .formats = {canon::Format::q8_0, canon::Format::q4_k, canon::Format::q4_k,
                         canon::Format::q4_k, canon::Format::q8_0, canon::Format::q4_k,
                         canon::Format::q8_0, canon::Format::q8_0}},
            9, 3, 2);
    c.arrange(w);
    const LeafPlace place{.position = 3, .index = c.index, .fault = true};
    LeafRun run(w, place);
    run.run();
    EXPECT_EQ(run.fault(), c.name);
    EXPECT_GE(run.faulted_op(), run.list().fault_from);
    // Whoever commits to the cell instead has the same op in its leaf, or in the next one.
    const auto x = run.as<float>("x");
    if (std::string_view(c.name) == "ad" || std::string_view(c.name) == "z") continue;
    if (c.index == 1) {
      EXPECT_TRUE(reference_head(w, x).faulted);
    } else {
      const bool row = reference_cache_row(w, 3, 0, x).faulted;
      std::vector<std::uint16_t> k, v;
      for (std::uint32_t t = 0; t < 4; ++t) {
        k.insert(k.end(), w.k(t, 0).begin(), w.k(t, 0).end());
        v.insert(v.end(), w.v(t, 0).begin(), w.v(t, 0).end());
      }
      EXPECT_TRUE(row || reference_layer(w, 3, 0, x, k, v).faulted);
    }
  }
}

TEST(StepsHostile, WeightsThatAreNotFiniteMakeTheModelInvalid) {
  World w({.vocab = 50,
           .formats = {canon::Format::q4_k, canon::Format::q4_k, canon::Format::q4_k,
                       canon::Format::q4_k, canon::Format::q8_0}},
          9);
  const TensorShape q = tensor_shape(w.program(), TensorRole::attn_q, 0);
  w.weights[q.index][3] = 0xff;  // dmin of row 0
  LeafRun run(w, {.position = 3, .index = 1});
  const auto result = execute_step(w.subject, run.list(),
                                   {{.position = 3, .index = 1}, run.find("q"), 0, 0}, {}, run);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::unsupported);
}

// Answers of any length: an error or a value, never anything else.
TEST(StepsHostile, AnswersOfAnyLength) {
  World w = head_world(300, 8);
  w.subject.request.temperature_bits = word_bits(1.0f);
  w.subject.request.top_k = 7;
  w.subject.request.top_p_bits = word_bits(0.5f);
  w.subject.request.repetition_penalty_bits = word_bits(2.0f);
  w.subject.request.logprobs = 3;
  const LeafPlace place{.position = kPrompt + 3, .index = 1};
  const OpList list = ops_of(w.subject, place);
  Random random(4);
  const std::vector<std::uint32_t> running(1024, 0x3f800000u);
  std::size_t refused = 0, taken = 0;
  for (std::uint32_t op = 0; op < list.ops.size(); ++op)
    for (int round = 0; round < 60; ++round) {
      const auto right = hostile(w.subject, list, place.position, random.bits(), 2);
      Recorder inputs([&](const Asked& q) -> Result<Bytes> {
        TRY(Bytes bytes, right(q));
        if (random.below(3) == 0) bytes.resize(random.below(1100));
        return bytes;
      });
      const auto value = execute_step(w.subject, list, {place, op, 0, 0}, running, inputs);
      value ? ++taken : ++refused;
    }
  EXPECT_GT(refused, 400u);
  EXPECT_GT(taken, 400u);
}

}  // namespace
}  // namespace assay::verify::test
