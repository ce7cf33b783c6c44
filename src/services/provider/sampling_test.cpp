// Every sampling field of a request, from the provider's engine to the audit, on a real model.
#include <bit>
#include <gtest/gtest.h>

#include "engine/grammar/json_schema.hpp"
#include "io/files.hpp"
#include "io/system_clock.hpp"
#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"
#include "services/provider/provider_run.hpp"
#include "verify/audit.hpp"
#include "verify/identity.hpp"

namespace assay::services {
namespace {

using protocol::Request;

std::uint32_t bits(float value) { return std::bit_cast<std::uint32_t>(value); }

// The model under test, once for all tests.
struct Tern {
  io::MappedFile file = *io::MappedFile::open(ASSAY_SOURCE_DIR "/models/tern-q8_0.gguf");
  std::shared_ptr<const engine::Model> model = *engine::Model::load(file.bytes());
  engine::Tokenizer tokenizer = *engine::Tokenizer::from(model->gguf());
  ThreadPool pool{2};
  protocol::ExecutionId identity = *verify::execution_id(*model, pool);
  std::unique_ptr<engine::Batcher> engine = *engine::Batcher::start(
      model, {.threads = 2, .memo_bytes = verify::TraceBuilder::kMemoBytes});
};
Tern& tern() {
  static Tern instance;
  return instance;
}

// An ordinary sampled request: no field but the temperature changes anything.
protocol::InferenceCall call_with(const std::function<void(Request&)>& change,
                                  std::span<const std::uint32_t> continuation = {}) {
  protocol::InferenceCall call;
  call.lease.message.price_in = call.lease.message.price_out = 1'000'000;
  call.salt_secret.fill(3);
  call.prompt = tern().tokenizer.encode("The fox and the hen and the fox and the");
  call.prompt.insert(call.prompt.end(), continuation.begin(), continuation.end());
  Request& r = call.request.message;
  r.execution = protocol::struct_hash(tern().identity);
  r.prompt_count = static_cast<std::uint32_t>(call.prompt.size());
  r.continuation = static_cast<std::uint32_t>(continuation.size());
  r.prompt_root = protocol::prompt_root(call.salt_secret, call.prompt);
  r.salt_commitment = protocol::salt_commitment(call.salt_secret);
  r.stop_root = protocol::stop_root(call.stop_ids);
  r.temperature_bits = bits(1.0f);
  r.seed = 11;
  r.max_tokens = 24;
  r.cap = 1'000'000;
  change(r);
  EXPECT_TRUE(protocol::check_runnable(r));
  EXPECT_TRUE(fits(call, *tern().model));
  return call;
}

RunResult run(const protocol::InferenceCall& call) {
  const RunEvents events{[] { return true; }, [](const protocol::TokenEvent&) { return true; },
                         [](const protocol::Progress&) {}};
  engine::Batcher& engine = *tern().engine;
  auto result = run_request(call, Hash{}, engine, *engine.enter(), 16, events);
  EXPECT_TRUE(result) << result.error().message;
  return result ? std::move(*result) : RunResult{};
}

// The audit of `result` as the answer to `call`, whoever computed it.
verify::AuditReport audit(const protocol::InferenceCall& call, const RunResult& result) {
  protocol::Opening opening;
  opening.salt_secret = call.salt_secret;
  opening.prompt = call.prompt;
  opening.answer = result.answer;
  opening.stop_ids = call.stop_ids;
  opening.automaton = call.automaton;
  opening.logprobs = result.logprobs;
  verify::AuditOptions options;
  options.identity = tern().identity;
  const auto report = verify::replay_audit(call.request.message, result.receipt, opening,
                                           tern().model, tern().pool, options, io::SystemClock());
  EXPECT_TRUE(report) << report.error().message;
  return report ? *report : verify::AuditReport{};
}

struct Case {
  std::string name;
  std::function<void(Request&)> change;
};

std::vector<Case> every_field() {
  const auto biased = [](Request& r) { r.logit_bias = {{300, bits(12.0f)}, {301, bits(-100.0f)}}; };
  return {
      {"logit_bias", biased},
      {"repetition_penalty", [](Request& r) { r.repetition_penalty_bits = bits(1.8f); }},
      {"presence_penalty", [](Request& r) { r.presence_penalty_bits = bits(2.0f); }},
      {"frequency_penalty", [](Request& r) { r.frequency_penalty_bits = bits(2.0f); }},
      {"temperature", [](Request& r) { r.temperature_bits = bits(0.3f); }},
      {"top_k", [](Request& r) { r.top_k = 2; }},
      {"top_p", [](Request& r) { r.top_p_bits = bits(0.2f); }},
      {"min_p", [](Request& r) { r.min_p_bits = bits(0.6f); }},
      {"seed", [](Request& r) { r.seed = 12; }},
      {"all",
       [=](Request& r) {
         biased(r);
         r.repetition_penalty_bits = bits(1.2f);
         r.presence_penalty_bits = bits(0.5f);
         r.frequency_penalty_bits = bits(-0.25f);
         r.temperature_bits = bits(0.8f);
         r.top_k = 50;
         r.top_p_bits = bits(0.9f);
         r.min_p_bits = bits(0.02f);
       }},
  };
}

// Each field changes the answer, is replayed to the same bits, and cannot be left out.
TEST(Sampling, EveryFieldIsReplayedAndIgnoringItIsFound) {
  const auto plain = call_with([](Request& r) { r.logprobs = 4; });
  const RunResult without = run(plain);
  for (const Case& c : every_field()) {
    SCOPED_TRACE(c.name);
    const auto call = call_with([&](Request& r) {
      r.logprobs = 4;
      c.change(r);
    });
    const RunResult honest = run(call);
    ASSERT_EQ(honest.answer.size(), 24u);
    ASSERT_EQ(honest.logprobs.size(), 24u * 7);
    EXPECT_NE(honest.answer, without.answer) << "the field changes nothing here";
    const auto report = audit(call, honest);
    EXPECT_TRUE(report.match) << report.reason;
    EXPECT_EQ(report.expected_trace_root, honest.receipt.trace_root);
    // The provider that ignored it has an answer of its own, signed under the request with it.
    const auto caught = audit(call, without);
    EXPECT_FALSE(caught.match);
    ASSERT_TRUE(caught.divergence);
    EXPECT_NE(caught.divergence->expected_token, caught.divergence->claimed_token);
  }
}

TEST(Sampling, TopOneIsArgMaxWhateverTheSeed) {
  const auto greedy = run(call_with([](Request& r) { r.temperature_bits = 0; }));
  EXPECT_EQ(run(call_with([](Request& r) { r.top_k = 1; })).answer, greedy.answer);
  EXPECT_EQ(run(call_with([](Request& r) { r.min_p_bits = bits(1.0f); })).answer, greedy.answer);
}

// Penalties count what the continuation holds: the answer goes on as it would have.
TEST(Sampling, AContinuedAnswerIsTheSameAnswer) {
  const auto change = [](std::uint32_t tokens) {
    return [=](Request& r) {
      r.presence_penalty_bits = bits(1.0f);
      r.frequency_penalty_bits = bits(0.7f);
      r.repetition_penalty_bits = bits(1.3f);
      r.logprobs = 2;
      r.max_tokens = tokens;
    };
  };
  const RunResult whole = run(call_with(change(24)));
  for (const std::uint32_t kept : {1u, 9u, 23u}) {
    const auto earlier = std::span(whole.answer).first(kept);
    const auto call = call_with(change(24 - kept), earlier);
    const RunResult rest = run(call);
    EXPECT_TRUE(std::ranges::equal(rest.answer, std::span(whole.answer).subspan(kept)));
    EXPECT_TRUE(std::ranges::equal(rest.logprobs, std::span(whole.logprobs).subspan(kept * 3)));
    EXPECT_TRUE(audit(call, rest).match);
  }
}

TEST(Sampling, AFalseLogprobIsFoundWhereItIs) {
  const auto call = call_with([](Request& r) { r.logprobs = 4; });
  const RunResult honest = run(call);
  const Request& request = call.request.message;
  const auto sign = [&](RunResult result) {
    result.receipt.logprobs_root =
        *protocol::logprobs_root(call.salt_secret, request, result.receipt.count, result.logprobs);
    return audit(call, result);
  };
  EXPECT_TRUE(sign(honest).match);
  for (const std::size_t at : {0u, 7u * 5 + 1, 7u * 5 + 2, 7u * 24 - 1}) {
    RunResult false_one = honest;
    false_one.logprobs[at] ^= 1;
    const auto report = sign(false_one);
    EXPECT_FALSE(report.match);
    ASSERT_TRUE(report.divergence);
    EXPECT_TRUE(report.divergence->logprobs);
    EXPECT_EQ(report.divergence->position, request.prompt_count - 1 + at / 7);
    EXPECT_FALSE(report.divergence->expected_token);
  }
  // Where none are asked for, none may be signed.
  const auto silent = call_with([](Request&) {});
  RunResult talkative = run(silent);
  EXPECT_EQ(talkative.receipt.logprobs_root, Hash{});
  EXPECT_TRUE(audit(silent, talkative).match);
  talkative.receipt.logprobs_root.fill(1);
  EXPECT_FALSE(audit(silent, talkative).match);
}

TEST(Sampling, WhatTheVocabularyLacksIsRefused) {
  auto call = call_with([](Request&) {});
  const std::uint32_t vocab = tern().model->hyper().vocab;
  call.request.message.logit_bias = {{vocab, bits(1.0f)}};
  EXPECT_FALSE(fits(call, *tern().model));
  call.request.message.logit_bias = {{vocab - 1, bits(1.0f)}};
  EXPECT_TRUE(fits(call, *tern().model));
}

protocol::InferenceCall constrained(std::string_view schema,
                                    std::span<const std::uint32_t> continuation = {}) {
  auto call = call_with([](Request& r) { r.max_tokens = 60; }, continuation);
  const auto automaton = *engine::schema_automaton(json::parse(schema).value());
  call.stop_ids = tern().tokenizer.stop_tokens();
  call.automaton = canon::encode(automaton);
  Request& r = call.request.message;
  r.stop_root = protocol::stop_root(call.stop_ids);
  r.constraint = protocol::constraint_root(verify::parts_of(automaton, **tern().model->pieces()));
  EXPECT_TRUE(fits(call, *tern().model));
  return call;
}

TEST(Sampling, ConstrainedAnswersAreJsonContinuedAndAudited) {
  constexpr const char* kSchema =
      R"({"type":"object","properties":{"hen":{"type":"string","maxLength":9},"fox":)"
      R"({"enum":["red","old"]}},"required":["hen","fox"],"additionalProperties":false})";
  const auto call = constrained(kSchema);
  const RunResult whole = run(call);
  EXPECT_TRUE(audit(call, whole).match);
  std::string text;
  for (const std::uint32_t token : whole.answer) text += tern().tokenizer.piece(token);
  ASSERT_EQ(whole.receipt.finish, static_cast<std::uint32_t>(protocol::Finish::stop)) << text;
  EXPECT_TRUE(json::parse(text)) << text;
  // A successor goes on in the state that its tokens give.
  const std::size_t half = whole.answer.size() / 2;
  const auto rest = constrained(kSchema, std::span(whole.answer).first(half));
  const RunResult after = run(rest);
  EXPECT_TRUE(std::ranges::equal(after.answer, std::span(whole.answer).subspan(half)));
  EXPECT_TRUE(audit(rest, after).match);
}

TEST(Sampling, OnlyTheAutomatonCommittedToIsServed) {
  const auto good = constrained(R"({"type":"boolean"})");
  auto call = good;
  call.automaton = constrained(R"({"type":"null"})").automaton;
  EXPECT_EQ(fits(call, *tern().model).error().code, Errc::mismatch);
  call.automaton.clear();
  EXPECT_EQ(fits(call, *tern().model).error().code, Errc::mismatch);
  call = good;
  call.stop_ids.pop_back();
  EXPECT_EQ(fits(call, *tern().model).error().code, Errc::invalid);
  call = good;
  call.request.message.constraint = Hash{};
  EXPECT_EQ(fits(call, *tern().model).error().code, Errc::mismatch);
}

}  // namespace
}  // namespace assay::services
