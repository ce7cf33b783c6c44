#include "verify/serving_testutil.hpp"

#include <gtest/gtest.h>
#include <thread>

#include "engine/constraint_testutil.hpp"
#include "verify/trace.hpp"

namespace assay::verify::test {
namespace {

using canon::test::Random;
using engine::BatchRequest;
using engine::Finish;
using engine::Token;

Outcome served(Case c, engine::Batcher& batcher) {
  TraceBuilder trace(secret_of(c), batcher.model().hyper().layers);
  if (c.traced) c.request.sink = &trace;
  auto stream = batcher.submit(c.request);
  EXPECT_TRUE(stream) << stream.error().message;
  Outcome out;
  while (!stream->ended()) {
    for (const auto& chosen : stream->take(std::chrono::seconds(60))) {
      out.answer.push_back(chosen.token);
      EXPECT_EQ(chosen.logprobs.has_value(), c.request.logprobs > 0);
      if (chosen.logprobs) append_logprobs(*chosen.logprobs, out.logprobs);
    }
    if (c.cancel_after > 0 && out.answer.size() >= c.cancel_after) stream->cancel();
  }
  const engine::BatchAnswer& answer = stream->wait();
  EXPECT_EQ(answer.answer, out.answer);
  out.finish = answer.finish;
  if (answer.fault) out.fault_at = answer.fault->position;
  if (answer.mismatch) out.mismatch_at = answer.mismatch->position;
  if (c.traced && !answer.mismatch) out.trace = trace.root();
  return out;
}

engine::Sampling some_sampling(Random& random, std::uint32_t vocab, std::uint32_t answer_from,
                               bool faults) {
  engine::Sampling s;
  s.seed = random.below(250);
  if (random.below(4) > 0) s.temperature = 0.5f + static_cast<float>(random.below(8)) / 8;
  if (faults && random.below(16) == 0) s.temperature = 0x1p-140f;
  if (random.below(3) == 0) s.top_k = 1 + random.below(8);
  if (random.below(3) == 0) s.top_p = 0.5f;
  if (random.below(3) == 0) s.min_p = 0.125f;
  if (random.below(3) == 0) s.repetition_penalty = 1.25f;
  if (random.below(3) == 0) s.presence_penalty = 0.5f;
  if (random.below(3) == 0) s.frequency_penalty = -0.25f;
  if (random.below(3) == 0) s.logit_bias = {{3 + random.below(vocab - 3), -1.5f}};
  s.answer_from = answer_from;
  return s;
}

// Goes on after a part of the answer; now and then with a token the model did not choose.
void continue_answer(BatchRequest& r, const Outcome& outcome, std::uint32_t vocab, Random& random) {
  const auto taken = random.below(static_cast<std::uint32_t>(outcome.answer.size()) + 1);
  if (r.continuation != 0 || outcome.finish != Finish::length) return;
  r.prompt.insert(r.prompt.end(), outcome.answer.begin(), outcome.answer.begin() + taken);
  r.continuation = taken;
  if (taken > 2 && random.below(4) == 0)
    r.prompt[r.prompt.size() - 2] = (r.prompt[r.prompt.size() - 2] + 1) % vocab;
}

}  // namespace

Hash secret_of(const Case& c) {
  Hash secret{};
  secret[0] = static_cast<std::uint8_t>(c.request.sampling.seed);
  return secret;
}

Outcome alone(const Case& c, const std::shared_ptr<const engine::Model>& model,
              std::uint32_t max_tokens, engine::Isa isa) {
  const BatchRequest& r = c.request;
  ThreadPool pool(1);
  const auto prompt = static_cast<std::uint32_t>(r.prompt.size());
  engine::Session session(model, pool, isa,
                          std::min(model->hyper().context, prompt + max_tokens - 1));
  TraceBuilder trace(secret_of(c), model->hyper().layers);
  engine::StateSink* sink = c.traced ? &trace : nullptr;
  Outcome out;
  const auto finish = [&](Finish how) {
    out.finish = how;
    if (c.traced && !out.mismatch_at) out.trace = trace.root();
    return out;
  };
  const auto fault = [&](engine::NumericFault met) {
    out.fault_at = met.position;
    return finish(Finish::fault);
  };
  const std::uint32_t first = prompt - r.continuation - 1;
  if (first > 0) {
    const auto read = session.run(std::span(r.prompt).first(first), first, r.sampling, sink);
    if (read.fault) return fault(*read.fault);
  }
  Token next = r.prompt[first];
  for (std::uint32_t position = first;; ++position) {
    const auto step = session.run(std::span(&next, 1), position, r.sampling, sink, r.logprobs);
    if (step.fault) return fault(*step.fault);
    next = step.sampled[0];
    if (position + 1 < prompt) {
      if (next == r.prompt[position + 1]) continue;
      out.mismatch_at = position;
      return finish(Finish::cancelled);
    }
    out.answer.push_back(next);
    for (const auto& head : step.logprobs) append_logprobs(head, out.logprobs);
    if (std::ranges::find(r.stop_ids, next) != r.stop_ids.end()) return finish(Finish::stop);
    if (out.answer.size() == max_tokens || session.remaining() == 0) return finish(Finish::length);
  }
}

std::vector<Outcome> served(std::span<const KnownCase> cases, engine::Batcher& batcher,
                            std::size_t clients) {
  std::vector<Outcome> out(cases.size());
  std::vector<std::thread> threads;
  for (std::size_t first = 0; first < clients; ++first)
    threads.emplace_back([&, first] {
      for (std::size_t i = first; i < cases.size(); i += clients)
        out[i] = served(cases[i].asked, batcher);
    });
  for (std::thread& thread : threads) thread.join();
  return out;
}

void expect_same(const KnownCase& known, const Outcome& got,
                 const std::shared_ptr<const engine::Model>& model, engine::Isa isa) {
  Outcome want = known.outcome;
  if (got.finish == Finish::cancelled && !got.mismatch_at) {
    // What it had by then is what it would have had if no more had been asked for.
    ASSERT_GE(got.answer.size(), known.asked.cancel_after);
    ASSERT_LE(got.answer.size(), want.answer.size());
    want = alone(known.asked, model, static_cast<std::uint32_t>(got.answer.size()), isa);
    want.finish = Finish::cancelled;
  }
  EXPECT_EQ(got.answer, want.answer);
  EXPECT_TRUE(got == want) << "finish " << static_cast<int>(got.finish) << ", alone "
                           << static_cast<int>(want.finish) << "; roots equal "
                           << (got.trace == want.trace) << "; log-probabilities equal "
                           << (got.logprobs == want.logprobs);
}

std::vector<KnownCase> some_cases(const std::shared_ptr<const engine::Model>& model,
                                  std::uint32_t seed, engine::Isa isa, const Draw& draw) {
  Random random(seed);
  const std::uint32_t vocab = model->hyper().vocab;
  std::vector<std::vector<Token>> stems(3);
  for (auto& stem : stems)
    for (std::uint32_t i = 0; i < draw.prompt_max; ++i) stem.push_back(3 + random.below(vocab - 3));
  std::vector<KnownCase> out;
  while (out.size() < draw.count) {
    Case c;
    BatchRequest& r = c.request;
    bool chat = false;
    if (!out.empty() && random.below(3) == 0) {
      const auto& earlier = out[random.below(static_cast<std::uint32_t>(out.size()))];
      r = earlier.asked.request;
      continue_answer(r, earlier.outcome, vocab, random);
    } else {
      if (chat = draw.chat && random.below(2) == 0; chat) {
        r.prompt = draw.chat(random);
      } else {
        const auto& stem = stems[random.below(3)];
        r.prompt.assign(stem.begin(), stem.begin() + 1 + random.below(draw.prompt_max - 1));
        for (auto i = random.below(9); i > 0; --i) r.prompt.push_back(3 + random.below(vocab - 3));
      }
      r.sampling =
          some_sampling(random, vocab, static_cast<std::uint32_t>(r.prompt.size()), draw.faults);
      if (random.below(4) == 0)
        r.sampling.constraint = engine::random_constraint(random, *model->pieces());
    }
    r.max_tokens = 1 + random.below(draw.answer_max);
    if (random.below(3) == 0) r.stop_ids = {random.below(vocab), random.below(vocab)};
    if (chat) r.stop_ids = draw.chat_stops;
    if (random.below(3) == 0) r.logprobs = 1 + random.below(4);
    r.scope[0] = static_cast<std::uint8_t>(random.below(2));
    c.traced = random.below(5) > 0;
    if (random.below(4) == 0) c.cancel_after = 1 + random.below(6);
    if (random.below(4) == 0) r.ahead_max = 1 + random.below(3);
    Outcome outcome = alone(c, model, r.max_tokens, isa);
    out.push_back({std::move(c), std::move(outcome)});
  }
  return out;
}

}  // namespace assay::verify::test
