// The serving engine against a fresh session for each request: whatever is batched, cached, chunked
// or cancelled, tokens, log-probabilities and trace roots are the same bits.
#include <bit>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <thread>

#include "canon/canon_testutil.hpp"
#include "engine/batcher.hpp"
#include "engine/gguf_testutil.hpp"
#include "verify/trace.hpp"

namespace assay::verify {
namespace {

using canon::test::Random;
using engine::Batcher;
using engine::BatcherOptions;
using engine::BatchRequest;
using engine::Token;

struct Outcome {
  std::vector<Token> answer;
  std::vector<std::uint32_t> logprobs;  // bits, and ids of the likeliest
  engine::Finish finish = engine::Finish::length;
  std::optional<std::uint32_t> mismatch_at, fault_at;
  Hash trace{};
  bool operator==(const Outcome&) const = default;
};

void add_logprobs(const engine::HeadLogprobs& head, std::vector<std::uint32_t>& out) {
  out.push_back(std::bit_cast<std::uint32_t>(head.token));
  for (const auto& [token, logprob] : head.top) {
    out.push_back(token);
    out.push_back(std::bit_cast<std::uint32_t>(logprob));
  }
}

struct Case {
  BatchRequest request;
  bool traced = true;
  std::size_t cancel_after = 0;  // tokens taken; 0: never
};

Hash secret_of(const Case& c) {
  Hash secret{};
  secret[0] = static_cast<std::uint8_t>(c.request.sampling.seed);
  return secret;
}

// Alone, in a session of its own, one position at a time from the first sampled one on.
Outcome alone(const Case& c, const std::shared_ptr<const engine::Model>& model,
              std::uint32_t max_tokens) {
  const BatchRequest& r = c.request;
  ThreadPool pool(1);
  const auto prompt = static_cast<std::uint32_t>(r.prompt.size());
  engine::Session session(model, pool, engine::best_isa(),
                          std::min(model->hyper().context, prompt + max_tokens - 1));
  TraceBuilder trace(secret_of(c), model->hyper().layers);
  engine::StateSink* sink = c.traced ? &trace : nullptr;
  Outcome out;
  const auto finish = [&](engine::Finish how) {
    out.finish = how;
    if (c.traced) out.trace = trace.root();
    return out;
  };
  const std::uint32_t first = prompt - r.continuation - 1;
  if (first > 0 && session.run(std::span(r.prompt).first(first), first, r.sampling, sink).fault)
    return finish(engine::Finish::fault);
  Token next = r.prompt[first];
  for (std::uint32_t position = first;; ++position) {
    const auto step = session.run(std::span(&next, 1), position, r.sampling, sink, r.logprobs);
    if (step.fault) {
      out.fault_at = step.fault->position;
      return finish(engine::Finish::fault);
    }
    next = step.sampled[0];
    if (position + 1 < prompt) {
      if (next == r.prompt[position + 1]) continue;
      out.mismatch_at = position;
      return finish(engine::Finish::cancelled);
    }
    out.answer.push_back(next);
    for (const auto& head : step.logprobs) add_logprobs(head, out.logprobs);
    if (std::ranges::find(r.stop_ids, next) != r.stop_ids.end())
      return finish(engine::Finish::stop);
    if (out.answer.size() == max_tokens || session.remaining() == 0)
      return finish(engine::Finish::length);
  }
}

Outcome served(Case c, Batcher& batcher) {
  TraceBuilder trace(secret_of(c), batcher.model().hyper().layers);
  if (c.traced) c.request.sink = &trace;
  auto stream = batcher.submit(c.request);
  EXPECT_TRUE(stream) << stream.error().message;
  Outcome out;
  while (!stream->ended()) {
    for (const auto& chosen : stream->take(std::chrono::seconds(60))) {
      out.answer.push_back(chosen.token);
      EXPECT_EQ(chosen.logprobs.has_value(), c.request.logprobs > 0);
      if (chosen.logprobs) add_logprobs(*chosen.logprobs, out.logprobs);
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

void compare(const Case& c, Outcome want, const Outcome& got,
             const std::shared_ptr<const engine::Model>& model) {
  if (got.finish == engine::Finish::cancelled && !got.mismatch_at) {
    // What it had by then is what it would have had if no more had been asked for.
    ASSERT_GE(got.answer.size(), c.cancel_after);
    ASSERT_LE(got.answer.size(), want.answer.size());
    want = alone(c, model, static_cast<std::uint32_t>(got.answer.size()));
    want.finish = engine::Finish::cancelled;
  }
  // Nothing is owed, so no trace is compared.
  if (want.mismatch_at) want.trace = {};
  EXPECT_EQ(got.answer, want.answer);
  EXPECT_TRUE(got == want) << "seed " << c.request.sampling.seed;
}

engine::Sampling some_sampling(Random& random, std::uint32_t vocab, std::uint32_t answer_from) {
  engine::Sampling s;
  s.seed = random.below(250);
  if (random.below(4) > 0) s.temperature = 0.5f + static_cast<float>(random.below(8)) / 8;
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

// Prompts that share beginnings of all lengths, later ones continuing the answers of earlier ones,
// in two scopes. Returns the outcomes they have alone, too.
std::vector<std::pair<Case, Outcome>> some_cases(const std::shared_ptr<const engine::Model>& model,
                                                 std::uint32_t seed, std::size_t count,
                                                 std::uint32_t prompt_max) {
  Random random(seed);
  const std::uint32_t vocab = model->hyper().vocab;
  std::vector<std::vector<Token>> stems(3);
  for (auto& stem : stems)
    for (std::uint32_t i = 0; i < prompt_max; ++i) stem.push_back(3 + random.below(vocab - 3));
  std::vector<std::pair<Case, Outcome>> out;
  while (out.size() < count) {
    Case c;
    BatchRequest& r = c.request;
    if (!out.empty() && random.below(3) == 0) {
      const auto& [earlier, outcome] = out[random.below(static_cast<std::uint32_t>(out.size()))];
      r = earlier.request;
      const auto taken = random.below(static_cast<std::uint32_t>(outcome.answer.size()) + 1);
      if (earlier.request.continuation == 0 && outcome.finish == engine::Finish::length) {
        r.prompt.insert(r.prompt.end(), outcome.answer.begin(), outcome.answer.begin() + taken);
        r.continuation = taken;
        if (taken > 2 && random.below(4) == 0)
          r.prompt[r.prompt.size() - 2] = (r.prompt[r.prompt.size() - 2] + 1) % vocab;
      }
    } else {
      const auto& stem = stems[random.below(3)];
      r.prompt.assign(stem.begin(), stem.begin() + 1 + random.below(prompt_max - 1));
      for (auto i = random.below(9); i > 0; --i) r.prompt.push_back(3 + random.below(vocab - 3));
      r.sampling = some_sampling(random, vocab, static_cast<std::uint32_t>(r.prompt.size()));
    }
    r.max_tokens = 1 + random.below(24);
    if (random.below(3) == 0) r.stop_ids = {random.below(vocab), random.below(vocab)};
    if (random.below(3) == 0) r.logprobs = 1 + random.below(4);
    r.scope[0] = static_cast<std::uint8_t>(random.below(2));
    c.traced = random.below(5) > 0;
    if (random.below(4) == 0) c.cancel_after = 1 + random.below(6);
    if (random.below(4) == 0) r.ahead_max = 1 + random.below(3);
    Outcome outcome = alone(c, model, r.max_tokens);
    out.emplace_back(std::move(c), std::move(outcome));
  }
  return out;
}

// Each client sends its share, one request after the other: arrivals fall on any pass.
void expect_same(const std::vector<std::pair<Case, Outcome>>& cases,
                 const std::shared_ptr<const engine::Model>& model, BatcherOptions options,
                 std::size_t clients) {
  options.memo_bytes = TraceBuilder::kMemoBytes;
  const auto batcher = Batcher::start(model, options);
  ASSERT_TRUE(batcher) << batcher.error().message;
  std::vector<Outcome> got(cases.size());
  std::vector<std::thread> threads;
  for (std::size_t first = 0; first < clients; ++first)
    threads.emplace_back([&, first] {
      for (std::size_t i = first; i < cases.size(); i += clients)
        got[i] = served(cases[i].first, **batcher);
    });
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(i);
    compare(cases[i].first, cases[i].second, got[i], model);
  }
  const engine::BatcherStats stats = (*batcher)->stats();
  EXPECT_EQ(stats.running + stats.waiting, 0u);
  EXPECT_EQ(stats.pages, stats.pages_cached);
  if (options.prefix_cache)
    EXPECT_GT(stats.positions_cached, 0u);
  else
    EXPECT_EQ(stats.pages + stats.positions_cached, 0u);
}

TEST(Serving, BatchingChunksCacheAndThreadsChangeNothing) {
  const Bytes bytes = engine::toy_model(
      {.dim = 32, .heads = 4, .kv_heads = 2, .ffn = 32, .layers = 2, .context = 512});
  const auto model = *engine::Model::load(bytes);
  const auto cases = some_cases(model, 1, 60, 300);
  for (const bool cache : {false, true})
    for (const std::uint32_t running : {1u, 6u})
      for (const std::uint32_t rows : {1u, 7u, 64u})
        for (const unsigned threads : {1u, 2u}) {
          SCOPED_TRACE(testing::Message() << "cache " << cache << " running " << running << " rows "
                                          << rows << " threads " << threads);
          if (running == 1 && rows != 64) continue;  // alone, prompts are not chunked
          expect_same(cases, model,
                      {.threads = threads,
                       .running_max = running,
                       .prefill_rows = rows,
                       .prefix_cache = cache},
                      8);
        }
}

TEST(Serving, EvictionUnderPressureChangesNothing) {
  const Bytes bytes = engine::toy_model(
      {.dim = 32, .heads = 4, .kv_heads = 2, .ffn = 32, .layers = 2, .context = 512});
  const auto model = *engine::Model::load(bytes);
  const auto cases = some_cases(model, 2, 120, 300);
  // 64 positions of 2 layers: K and V of 2 heads of 8 as fp16 (V's rows take 16), and the memo.
  // Eight such pages; the longest request needs six.
  const std::size_t page = 64 * 2 * (2 * (8 + 16) * 2 + TraceBuilder::kMemoBytes);
  expect_same(cases, model, {.kv_bytes = 8 * page + page / 2, .running_max = 6}, 8);
}

TEST(Serving, ARealModelToo) {
  std::ifstream in(ASSAY_SOURCE_DIR "/models/tern-q8_0.gguf", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const auto model = engine::Model::load(view(bytes));
  ASSERT_TRUE(model) << model.error().message;
  const auto cases = some_cases(*model, 3, 16, 150);
  for (const bool cache : {false, true})
    for (const std::uint32_t running : {1u, 8u})
      expect_same(cases, *model,
                  {.threads = 2, .running_max = running, .prefill_rows = 24, .prefix_cache = cache},
                  8);
}

}  // namespace
}  // namespace assay::verify
