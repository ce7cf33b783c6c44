#include "protocol/rules.hpp"

#include <bit>
#include <gtest/gtest.h>
#include <limits>

#include "protocol/tokens.hpp"

namespace assay::protocol {
namespace {

using Tokens = std::vector<std::uint32_t>;

std::string said(const Status& status) { return status ? "ok" : status.error().message; }

TEST(Rules, Runnable) {
  Request request;
  request.prompt_count = 3;
  request.max_tokens = 1;
  EXPECT_TRUE(check_runnable(request));
  const auto expect_refused = [&](auto change) {
    Request r = request;
    change(r);
    EXPECT_FALSE(check_runnable(r));
  };
  expect_refused([](Request& r) { r.prompt_count = 0; });
  expect_refused([](Request& r) { r.max_tokens = 0; });
  expect_refused([](Request& r) { r.continuation = 3; });
  for (const float t : {-0.0f, -1.0f, std::numeric_limits<float>::infinity(),
                        std::numeric_limits<float>::quiet_NaN()})
    expect_refused([&](Request& r) { r.temperature_bits = std::bit_cast<std::uint32_t>(t); });
  for (const float p : {0.0f, -0.5f, 1.5f, std::numeric_limits<float>::quiet_NaN()})
    expect_refused([&](Request& r) { r.top_p_bits = std::bit_cast<std::uint32_t>(p); });
  request.continuation = 2;
  EXPECT_TRUE(check_runnable(request));
}

// Each bound from both sides; nothing that means the same can be written in two ways.
TEST(Rules, SamplingRanges) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  Request request;
  request.prompt_count = 1;
  request.max_tokens = 1;
  using Field = std::uint32_t Request::*;
  const auto expect = [&](Field field, std::vector<float> good, std::vector<float> bad) {
    bad.insert(bad.end(), {kInfinity, -kInfinity, kNan});
    const auto ok = [&](float value) {
      Request r = request;
      r.*field = std::bit_cast<std::uint32_t>(value);
      return check_runnable(r).has_value();
    };
    for (const float value : good) EXPECT_TRUE(ok(value)) << value;
    for (const float value : bad) EXPECT_FALSE(ok(value)) << value;
  };
  expect(&Request::temperature_bits, {0.0f, kTiny, 1000.0f}, {-0.0f, -1.0f});
  expect(&Request::top_p_bits, {kTiny, 1.0f}, {0.0f, -0.0f, 1.0000001f});
  expect(&Request::min_p_bits, {0.0f, kTiny, 1.0f}, {-0.0f, -kTiny, 1.0000001f});
  expect(&Request::repetition_penalty_bits, {kTiny, 1.0f, 5.0f}, {0.0f, -0.0f, -1.0f});
  expect(&Request::presence_penalty_bits, {0.0f, -2.0f, 2.0f}, {-0.0f});
  expect(&Request::frequency_penalty_bits, {0.0f, -2.0f, 2.0f}, {-0.0f});

  const auto biased = [&](std::vector<LogitBias> biases) {
    Request r = request;
    r.logit_bias = std::move(biases);
    return said(check_runnable(r));
  };
  const auto bias = [](std::uint32_t token, float value) {
    return LogitBias{token, std::bit_cast<std::uint32_t>(value)};
  };
  EXPECT_EQ(biased({bias(0, -100.0f), bias(1, kTiny), bias(UINT32_MAX, 3e38f)}), "ok");
  EXPECT_NE(biased({bias(1, 1.0f), bias(1, 1.0f)}), "ok");
  EXPECT_NE(biased({bias(2, 1.0f), bias(1, 1.0f)}), "ok");
  for (const float value : {0.0f, -0.0f, kInfinity, -kInfinity, kNan})
    EXPECT_NE(biased({bias(1, value)}), "ok");
  std::vector<LogitBias> many;
  for (std::uint32_t token = 0; token < kLogitBiasMax; ++token) many.push_back(bias(token, 1.0f));
  EXPECT_EQ(biased(many), "ok");
  many.push_back(bias(kLogitBiasMax, 1.0f));
  EXPECT_NE(biased(many), "ok");

  const auto asked = [&](std::uint32_t logprobs, std::uint32_t max_tokens) {
    Request r = request;
    r.logprobs = logprobs;
    r.max_tokens = max_tokens;
    return said(check_runnable(r));
  };
  EXPECT_EQ(asked(0, UINT32_MAX), "ok");
  EXPECT_EQ(asked(1, kLogprobNumbersMax), "ok");
  EXPECT_NE(asked(1, kLogprobNumbersMax + 1), "ok");
  EXPECT_EQ(asked(21, kLogprobNumbersMax / 41), "ok");
  EXPECT_NE(asked(21, kLogprobNumbersMax / 41 + 1), "ok");
  EXPECT_NE(asked(22, 1), "ok");
  EXPECT_NE(asked(UINT32_MAX, 1), "ok");
}

// Exhaustive over answers of up to three tokens of {1, 2}, 2 being the stop id, max_tokens 2:
// every answer has the endings it may have, and no other.
TEST(Rules, ExactlyTheFittingFinish) {
  Request request;
  request.max_tokens = 2;
  const Tokens stop_ids{2};
  const auto allowed = [&](const Tokens& answer) {
    std::string out;
    for (std::uint32_t finish = 0; finish < 6; ++finish)
      if (check_finish(request, stop_ids, answer, finish)) out += std::to_string(finish);
    return out;
  };
  EXPECT_EQ(allowed({}), "2");
  EXPECT_EQ(allowed({1}), "23");
  EXPECT_EQ(allowed({2}), "0");
  EXPECT_EQ(allowed({1, 1}), "1");
  EXPECT_EQ(allowed({1, 2}), "0");
  EXPECT_EQ(allowed({2, 1}), "");
  EXPECT_EQ(allowed({2, 2}), "");
  for (std::uint32_t bits = 0; bits < 8; ++bits)
    EXPECT_EQ(allowed({1 + (bits & 1), 1 + (bits >> 1 & 1), 1 + (bits >> 2)}), "");
}

TEST(Rules, SecretsAreTheCommittedOnes) {
  const Hash secret = [] {
    Hash h;
    h.fill(4);
    return h;
  }();
  const Tokens prompt{5, 6, 7}, stop_ids{2, 9};
  Request request;
  request.salt_commitment = salt_commitment(secret);
  request.prompt_count = 3;
  request.prompt_root = prompt_root(secret, prompt);
  request.stop_root = stop_root(stop_ids);
  EXPECT_TRUE(check_secrets(request, secret, prompt, stop_ids));
  EXPECT_NE(said(check_secrets(request, Hash{}, prompt, stop_ids)), "ok");
  EXPECT_NE(said(check_secrets(request, secret, Tokens{5, 6, 8}, stop_ids)), "ok");
  EXPECT_NE(said(check_secrets(request, secret, Tokens{5, 6}, stop_ids)), "ok");
  EXPECT_NE(said(check_secrets(request, secret, Tokens{}, stop_ids)), "ok");
  EXPECT_NE(said(check_secrets(request, secret, prompt, Tokens{2})), "ok");
  EXPECT_NE(said(check_secrets(request, secret, prompt, Tokens{9, 2})), "ok");
  EXPECT_NE(said(check_secrets(request, secret, prompt, Tokens{2, 2, 9})), "ok");
}

}  // namespace
}  // namespace assay::protocol
