// spec/vectors/canon: every filter and penalty of sampling, log-probabilities, RoPE variants, norms
// of heads.
#include "canon/layer.hpp"
#include "canon/logprob.hpp"
#include "canon/rope.hpp"
#include "canon/sampling.hpp"
#include "canon/vectors_testutil.hpp"

namespace assay::canon {
namespace {

using namespace test;

json::object sampling_case(const std::vector<float>& logits, const Draw& draw) {
  json::array bias, tape;
  for (const LogitBias& b : draw.logit_bias) bias.push_back(json::array{b.token, hex(b.bias)});
  for (const std::uint32_t t : draw.tape) tape.push_back(t);
  json::object c{{"logits", hex_array(logits)},
                 {"logit_bias", bias},
                 {"repetition_penalty", hex(draw.repetition_penalty)},
                 {"presence_penalty", hex(draw.presence_penalty)},
                 {"frequency_penalty", hex(draw.frequency_penalty)},
                 {"temperature", hex(draw.temperature)},
                 {"top_k", draw.top_k},
                 {"top_p", hex(draw.top_p)},
                 {"min_p", hex(draw.min_p)},
                 {"seed", std::to_string(draw.seed)},
                 {"position", draw.position},
                 {"tape", tape},
                 {"answer_from", draw.answer_from}};
  std::vector<float> adjusted = logits;
  adjust_logits(adjusted, draw);
  const auto token = sample(logits, draw);
  c["fault"] = !token.has_value();
  if (!token) return c;
  c["adjusted"] = hex_array(adjusted);
  c["token"] = *token;
  return c;
}

TEST(Vectors, SamplingFilters) {
  Random random(51);
  json::array cases;
  const auto of = [&](std::initializer_list<float> values) {
    return values.begin()[random.below(static_cast<std::uint32_t>(values.size()))];
  };
  for (std::uint32_t i = 0; i < 48; ++i) {
    const bool exact = i % 2 == 0;  // values with ties, or of every kind
    std::vector<float> logits(i % 12 == 0 ? 600 : 40);
    for (float& v : logits)
      v = exact ? static_cast<float>(random.below(64)) * 0.25f - 8.0f : random.unit() * 9.0f;
    std::vector<std::uint32_t> tape(1 + random.below(24));
    for (auto& t : tape) t = random.below(12);
    std::vector<LogitBias> bias;
    for (std::uint32_t id = random.below(9); i % 3 == 0 && id < 45; id += 1 + random.below(20))
      bias.push_back({id, of({-100.0f, 1.7f, -0.3f, 5.0f})});
    Draw draw{.logit_bias = bias, .tape = tape};
    draw.repetition_penalty = of({1.0f, 1.1f, 0.7f});
    draw.presence_penalty = of({0.0f, 0.6f, -1.3f});
    draw.frequency_penalty = of({0.0f, 0.3f, -0.7f});
    draw.temperature = i % 8 == 7 ? 0.0f : of({0.7f, 1.0f, 1.3f});
    draw.top_k = i % 4 == 1 ? 0 : 1 + random.below(20);
    draw.top_p = of({1.0f, 0.95f, 0.8f, 0.3f});
    draw.min_p = of({0.0f, 0.05f, 0.4f});
    draw.seed = 0x9e3779b97f4a7c15ull * (i + 1);
    draw.position = static_cast<std::uint32_t>(tape.size() - 1);
    draw.answer_from = random.below(static_cast<std::uint32_t>(tape.size()) + 1);
    cases.push_back(sampling_case(logits, draw));
  }
  // All equal; signs of zero; overflow by bias, penalty and temperature.
  const std::vector<std::uint32_t> tape{0, 1};
  const std::vector<LogitBias> huge{{1, 3e38f}};
  const std::vector<float> equal(300, -1.5f);
  for (const float p : {1.0f, 0.5f, 1e-30f})
    cases.push_back(sampling_case(
        equal,
        {.temperature = 1.0f, .top_k = 3, .top_p = p, .min_p = 1.0f, .seed = 7, .position = 9}));
  cases.push_back(sampling_case({-0.0f, 0.0f}, {.repetition_penalty = 2.0f, .tape = tape}));
  cases.push_back(sampling_case({0.0f, 3e38f}, {.logit_bias = huge}));
  cases.push_back(sampling_case({0.0f, -1e38f}, {.repetition_penalty = 4.0f, .tape = tape}));
  cases.push_back(sampling_case({0.0f, 1e20f}, {.temperature = 1e-30f}));
  check_vectors("sampling_filters", cases);
}

TEST(Vectors, Logprobs) {
  Random random(52);
  json::array cases;
  const auto add = [&](const std::vector<float>& logits) {
    const LogNormalizer n = log_normalizer(logits);
    std::vector<float> out;
    for (const float l : logits) out.push_back(logprob(l, n));
    cases.push_back(json::object{{"logits", hex_array(logits)},
                                 {"maximum", hex(n.maximum)},
                                 {"log_sum", hex(n.log_sum)},
                                 {"logprobs", hex_array(out)}});
  };
  for (const std::size_t n : {1, 2, 20, 257, 600}) {
    std::vector<float> logits(n);
    for (float& v : logits) v = random.unit() * 10.0f;
    add(logits);
  }
  add(random.hostile_values(64, 50.0f));
  add(std::vector<float>(300, 2.5f));
  add({3e38f, -3e38f, 3e38f, -0.0f});
  check_vectors("logprobs", cases);
}

TEST(Vectors, RopeVariants) {
  Random random(53);
  json::array cases;
  constexpr std::uint32_t kHeadDim = 16, kPositions = 8193;
  for (const float base : {1e4f, 1e6f})
    for (const bool scaled : {false, true})
      for (const float linear : {1.0f, 4.0f, 2.5f}) {
        std::vector<float> factors;
        for (std::size_t i = 0; scaled && i < kHeadDim / 2; ++i)
          factors.push_back(1.0f + std::fabs(random.unit()) * 7.0f);
        std::vector<float> table(std::size_t{kPositions} * kHeadDim);
        rope_table(kPositions, kHeadDim, base, factors, linear, table);
        for (const std::uint32_t p : {1u, 777u, 8192u}) {
          const std::vector<float> row(table.begin() + p * kHeadDim,
                                       table.begin() + (p + 1) * kHeadDim);
          const std::vector<float> head = random.hostile_values(kHeadDim, 10.0f);
          std::vector<float> neighbours = head, halves = head;
          rope_rotate(neighbours, row);
          rope_rotate_halves(halves, row);
          cases.push_back(json::object{{"head_dim", kHeadDim},
                                       {"base", hex(base)},
                                       {"factors", hex_array(factors)},
                                       {"linear", hex(linear)},
                                       {"position", p},
                                       {"row", hex_array(row)},
                                       {"head", hex_array(head)},
                                       {"neighbours", hex_array(neighbours)},
                                       {"halves", hex_array(halves)}});
        }
      }
  check_vectors("rope_variants", cases);
}

TEST(Vectors, RmsNormHeads) {
  Random random(54);
  json::array cases;
  for (const std::size_t width : {16, 128}) {
    auto heads = random.hostile_values(width * 3, 100.0f);
    const auto weight = random.hostile_values(width, 2.0f);
    json::object c{{"heads", hex_array(heads)}, {"weight", hex_array(weight)}};
    ASSERT_TRUE(rms_norm_heads(heads, weight, 1e-6f));
    c["epsilon"] = hex(1e-6f);
    c["y"] = hex_array(heads);
    cases.push_back(c);
  }
  check_vectors("rms_norm_heads", cases);
}

}  // namespace
}  // namespace assay::canon
