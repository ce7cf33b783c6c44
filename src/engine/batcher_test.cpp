// Bounds, fairness, endings. That bits do not change is tested in verify/serving_test.cpp.
#include "engine/batcher.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <latch>

#include "engine/gguf_testutil.hpp"

namespace assay::engine {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

struct Toy {
  Bytes file = toy_model({.dim = 32, .heads = 2, .kv_heads = 1, .ffn = 32, .context = 1024});
  std::shared_ptr<const Model> model = *Model::load(file);
  std::unique_ptr<Batcher> start(const BatcherOptions& options = {}) const {
    return *Batcher::start(model, options);
  }
  // 64 positions of 2 layers: K of 16 and V of 16 as fp16.
  static constexpr std::size_t kPage = 64 * 2 * (16 + 16) * 2;
};

BatchRequest request(std::size_t prompt, std::uint32_t max_tokens, std::uint64_t seed = 1) {
  BatchRequest r;
  for (std::size_t i = 0; i < prompt; ++i)
    r.prompt.push_back(static_cast<Token>(3 + (i * i + seed) % 11));
  r.sampling.temperature = 1.0f;
  r.sampling.seed = seed;
  r.max_tokens = max_tokens;
  return r;
}

// What the engine's thread does, in order.
struct Log {
  struct Event {
    char who;
    std::uint32_t position;
    bool head;
  };
  std::vector<Event> events;
};
struct Watcher : StateSink {
  Watcher(Log& to, char name) : log(to), who(name) {}
  Log& log;
  char who;
  std::function<void(std::uint32_t)> on_head;
  // Once for each pass this request is in.
  void reserve(std::uint32_t positions) override { log.events.push_back({who, positions, false}); }
  void cell(std::uint32_t, std::uint32_t, std::span<const float>, std::span<const std::uint16_t>,
            std::span<const std::uint16_t>) override {}
  void head(std::uint32_t position, std::span<const float>, std::span<const float>,
            Token) override {
    log.events.push_back({who, position, true});
    if (on_head) on_head(position);
  }
  void fault(NumericFault) override {}
};

TEST(Batcher, EndsForEveryReasonAsGenerateDoes) {
  const Toy toy;
  const auto batcher = toy.start();
  const auto run = [&](std::uint32_t prompt, std::uint32_t max_tokens, std::vector<Token> stops) {
    auto r = request(prompt, max_tokens);
    r.stop_ids = stops;
    ThreadPool pool(1);
    Session session(toy.model, pool, best_isa(), toy.model->hyper().context);
    const auto want = generate(session, r.prompt, {max_tokens, stops}, r.sampling, nullptr, {});
    auto stream = batcher->submit(std::move(r));
    const BatchAnswer got = stream->wait();
    EXPECT_EQ(got.answer, want.answer);
    EXPECT_EQ(got.finish, want.finish);
    return got;
  };
  const auto all = run(10, 8, {});
  EXPECT_EQ(all.answer.size(), 8u);
  EXPECT_EQ(run(10, 8, {all.answer[0]}).finish, Finish::stop);
  EXPECT_EQ(run(10, 8, {13, all.answer[0], 0, 2}).finish, Finish::stop);  // in any order
  EXPECT_TRUE(run(70, 0, {}).answer.empty());
  EXPECT_EQ(run(1022, 8, {}).answer.size(), 3u);  // the context ends
  EXPECT_EQ(run(1024, 8, {}).answer.size(), 1u);
}

TEST(Batcher, RefusesWhatIsMalformedOrCanNeverFit) {
  const Toy toy;
  const auto batcher = toy.start({.kv_bytes = 3 * Toy::kPage, .prefix_cache = false});
  const auto error = [&](BatchRequest r) { return batcher->submit(std::move(r)).error(); };
  EXPECT_EQ(error(request(0, 1)).code, Errc::invalid);
  auto r = request(5, 1);
  r.continuation = 5;
  EXPECT_EQ(error(r).code, Errc::invalid);
  r = request(5, 1);
  r.prompt[2] = kToyVocab;
  EXPECT_THAT(error(r).message, HasSubstr("vocabulary of 14"));
  EXPECT_THAT(error(request(1025, 1)).message, HasSubstr("context of 1024"));
  // The last token is not evaluated: 192 positions are three pages.
  EXPECT_TRUE(batcher->fits(100, 93));
  EXPECT_EQ(batcher->fits(100, 94).error().code, Errc::refused);
  EXPECT_THAT(error(request(100, 94)).message,
              HasSubstr("100 prompt tokens and up to 94 answer tokens take 32 KiB of KV cache, "
                        "there are 24 KiB"));
  EXPECT_EQ(batcher->submit(request(100, 93))->wait().answer.size(), 93u);
  EXPECT_EQ(batcher->stats().pages, 0u);
  EXPECT_THAT(Batcher::start(toy.model, {.kv_bytes = 1000}).error().message, HasSubstr("one page"));
  EXPECT_FALSE(Batcher::start(toy.model, {.running_max = 0}));
}

TEST(Batcher, MemoryIsPromisedBeforeAnythingRuns) {
  const Toy toy;
  // Four pages; every request comes to need two, most of it only late.
  const auto batcher = toy.start({.kv_bytes = 4 * Toy::kPage, .running_max = 8});
  Log log;
  Watcher watcher(log, 'w');
  std::size_t most = 0, most_running = 0;
  watcher.on_head = [&](std::uint32_t) {
    most = std::max(most, batcher->stats().pages);
    most_running = std::max<std::size_t>(most_running, batcher->stats().running);
  };
  std::vector<Batcher::Stream> streams;
  for (std::uint64_t i = 0; i < 12; ++i) {
    auto r = request(10, 100, i);
    if (i % 2 == 0) r.sink = &watcher;
    streams.push_back(std::move(*batcher->submit(std::move(r))));
  }
  for (auto& stream : streams) {
    const BatchAnswer& answer = stream.wait();
    EXPECT_EQ(answer.finish, Finish::length);
    EXPECT_EQ(answer.answer.size(), 100u);
  }
  EXPECT_LE(most, 4u);
  EXPECT_EQ(most_running, 2u);
}

TEST(Batcher, QueueIsBounded) {
  const Toy toy;
  const auto batcher = toy.start({.running_max = 1, .queue_max = 1});
  auto hung = request(5, 900);
  hung.ahead_max = 1;
  auto running = batcher->submit(std::move(hung));
  ASSERT_FALSE(running->take(seconds(60)).empty());
  EXPECT_TRUE(running->started());
  auto waiting = batcher->submit(request(5, 3));
  ASSERT_TRUE(waiting);
  EXPECT_FALSE(waiting->started());
  const auto refused = batcher->submit(request(5, 3));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("1 running and 1 waiting is the most"));
  EXPECT_FALSE(batcher->enter());
  waiting->cancel();
  EXPECT_TRUE(waiting->wait().answer.empty());
  EXPECT_EQ(waiting->wait().finish, Finish::cancelled);
  EXPECT_TRUE(batcher->enter());    // a place given back at once
  EXPECT_FALSE(batcher->enter(1));  // for those who come only while less is going on
  EXPECT_TRUE(batcher->enter(2));
  auto next = batcher->submit(request(5, 3));
  ASSERT_TRUE(next);
  running->cancel();
  EXPECT_EQ(next->wait().answer.size(), 3u);
  EXPECT_EQ(running->wait().finish, Finish::cancelled);
}

// While somebody's answer is decoded, others' prompts take part in every pass with a bounded piece.
TEST(Batcher, AHugePromptDelaysNobodysTokenByMoreThanOneBoundedPass) {
  const Toy toy;
  const auto batcher = toy.start({.prefill_rows = 16});
  Log log;
  Watcher small(log, 's'), huge(log, 'h'), other(log, 'o');
  auto answering = request(5, 200);
  answering.sink = &small;
  std::optional<Batcher::Stream> second, third;
  small.on_head = [&](std::uint32_t position) {
    if (position != 20) return;
    auto r = request(1000, 1, 2);
    r.sink = &huge;
    second.emplace(std::move(*batcher->submit(std::move(r))));
    r = request(700, 1, 3);
    r.sink = &other;
    third.emplace(std::move(*batcher->submit(std::move(r))));
  };
  auto first = batcher->submit(std::move(answering));
  EXPECT_EQ(first->wait().answer.size(), 200u);
  EXPECT_EQ(second->wait().answer.size(), 1u);
  EXPECT_EQ(third->wait().answer.size(), 1u);
  std::map<char, std::uint32_t> passes, read;  // since the last token of 's'; positions so far
  std::uint32_t rows = 0, shared = 0;
  for (const auto& [who, position, head] : log.events) {
    if (who == 's' && head) {
      if (passes['h'] + passes['o'] > 0) ++shared;
      EXPECT_LE(passes['h'], 1u);
      EXPECT_LE(passes['o'], 1u);
      EXPECT_LE(rows, 16u);
      passes.clear();
      rows = 0;
      if (position == 203) break;  // its last: the rest may go faster
    }
    if (who == 's' || head) continue;
    ++passes[who];
    rows += position - read[who];
    // The two advance alike.
    read[who] = position;
    if (read['h'] < 700 && read['o'] > 0) {
      EXPECT_LE(std::max(read['h'], read['o']) - std::min(read['h'], read['o']), 24u);
    }
  }
  EXPECT_GT(shared, 60u);
}

TEST(Batcher, AHungConsumerStopsNobodyAndCostsNoWork) {
  const Toy toy;
  const auto batcher = toy.start({.running_max = 4});
  auto r = request(5, 500);
  r.ahead_max = 7;
  auto hung = batcher->submit(std::move(r));
  for (std::uint64_t i = 0; i < 20; ++i)
    EXPECT_EQ(batcher->submit(request(6, 50, i))->wait().answer.size(), 50u);
  const std::uint64_t rows = batcher->stats().rows;
  EXPECT_EQ(rows, 5 + 6 + 20 * (6 + 49u));
  EXPECT_EQ(hung->take(seconds(0)).size(), 7u);
  EXPECT_EQ(hung->wait().answer.size(), 500u);  // it goes on once somebody listens
}

TEST(Batcher, AConsumerThatStaysAwayLosesItsPlace) {
  const Toy toy;
  // One slot, and memory for one request: whoever comes next gets both.
  const auto batcher = toy.start({.kv_bytes = 16 * Toy::kPage,
                                  .running_max = 1,
                                  .prefix_cache = false,
                                  .pause_max = std::chrono::milliseconds(300)});
  auto r = request(5, 900);
  r.ahead_max = 7;
  auto hung = batcher->submit(r);
  EXPECT_EQ(batcher->submit(request(6, 900))->wait().answer.size(), 900u);
  const BatchAnswer& answer = hung->wait();
  EXPECT_EQ(answer.finish, Finish::cancelled);
  EXPECT_EQ(answer.answer.size(), 7u);
  EXPECT_EQ(batcher->stats().pages, 0u);

  // All pauses count together: taking a little now and then keeps nothing.
  auto slow = batcher->submit(r);
  std::size_t took = 0;
  for (; !slow->ended(); std::this_thread::sleep_for(std::chrono::milliseconds(50)))
    took += slow->take(seconds(60)).size();
  EXPECT_EQ(slow->wait().finish, Finish::cancelled);
  EXPECT_LT(took, 450u);  // some 60; the engine's own rests are no pauses
  // Whoever reads as fast as the engine writes never pays for it. The system may let this thread
  // wait at each of 128 turns.
  const auto patient = toy.start({.pause_max = seconds(10)});
  auto quick = patient->submit(r);
  EXPECT_EQ(quick->wait().answer.size(), 900u);
}

TEST(Batcher, CancellingFreesPagesAtAnyTime) {
  const Toy toy;
  const auto batcher = toy.start({.running_max = 4, .prefix_cache = false});
  for (const std::size_t after : {0u, 1u, 30u}) {
    std::vector<Batcher::Stream> streams;
    for (std::uint64_t i = 0; i < 8; ++i) {
      auto r = request(300, 600, i);
      r.ahead_max = 100;  // or some end before this thread has its turn
      streams.push_back(std::move(*batcher->submit(std::move(r))));
    }
    for (std::size_t got = 0; got < after;) got += streams[1].take(seconds(60)).size();
    for (std::size_t i = 0; i < 4; ++i) streams[i].cancel();
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(streams[i].wait().finish, Finish::cancelled);
    streams.clear();  // the others by leaving
    EXPECT_EQ(batcher->stats().pages, 0u);
    EXPECT_EQ(batcher->stats().running + batcher->stats().waiting, 0u);
  }
}

TEST(Batcher, AThousandShortRequests) {
  const Toy toy;
  const auto batcher =
      toy.start({.threads = 2, .kv_bytes = 40 * Toy::kPage, .running_max = 32, .queue_max = 1000});
  Log log;
  Watcher first(log, 'f');
  std::latch submitted(1);  // or the engine is done with some before others come
  first.on_head = [&](std::uint32_t) { submitted.wait(); };
  auto r = request(1, 1);
  r.sink = &first;
  std::vector<Batcher::Stream> streams;
  streams.push_back(std::move(*batcher->submit(r)));
  for (std::uint32_t i = 1; i < 1000; ++i)
    streams.push_back(std::move(*batcher->submit(request(1 + i % 90, 1 + i % 5, i))));
  submitted.count_down();
  for (std::size_t i = 0; i < streams.size(); ++i)
    EXPECT_EQ(streams[i].wait().answer.size(), 1 + i % 5);
  const BatcherStats stats = batcher->stats();
  EXPECT_LE(stats.pages, 40u);
  EXPECT_EQ(stats.pages, stats.pages_cached);
  EXPECT_LT(stats.passes, 1000u);  // they share passes: one by one they take 3000
}

TEST(Batcher, ShutdownWithRequestsInFlightLeavesNothingHanging) {
  const Toy toy;
  for (int round = 0; round < 5; ++round) {
    auto batcher = toy.start({.threads = 2, .running_max = 3});
    std::vector<Batcher::Stream> streams;
    for (std::uint64_t i = 0; i < 9; ++i) {
      auto r = request(200, 800, i);
      r.ahead_max = i == 0 ? 1 : 100;  // or some end before this thread has its turn
      if (i == 1) {
        streams.push_back(std::move(*batcher->submit_behind(std::move(r))));
        continue;
      }
      streams.push_back(std::move(*batcher->submit(std::move(r))));
    }
    if (round > 0) (void)streams[2].take(seconds(60));
    batcher.reset();
    for (auto& stream : streams) {
      EXPECT_EQ(stream.wait().finish, Finish::cancelled);
      stream.cancel();  // of no use any more, and no harm
    }
  }
}

TEST(Batcher, ClosedItEndsWhatWaitsAndFinishesWhatRuns) {
  const Toy toy;
  const auto batcher = toy.start({.running_max = 1, .queue_max = 3});
  auto r = request(5, 900);
  r.ahead_max = 1;
  auto running = batcher->submit(r);
  ASSERT_FALSE(running->take(seconds(60)).empty());
  auto waiting = batcher->submit(request(5, 3)), behind = batcher->submit_behind(request(5, 3));
  auto place = batcher->enter();
  batcher->close();
  for (auto* stream : {&*waiting, &*behind}) {
    EXPECT_TRUE(stream->wait().answer.empty());
    EXPECT_EQ(stream->wait().finish, Finish::cancelled);
    EXPECT_TRUE(stream->wait().displaced);
    EXPECT_FALSE(stream->started());
  }
  EXPECT_EQ(batcher->enter().error().code, Errc::unavailable);
  EXPECT_EQ(batcher->submit(std::move(*place), request(5, 3)).error().code, Errc::unavailable);
  EXPECT_EQ(batcher->submit_behind(request(5, 3)).error().code, Errc::unavailable);
  EXPECT_EQ(running->wait().answer.size(), 900u);
}

TEST(Batcher, SharedBeginningsAreEvaluatedOnceWithinAScope) {
  const Toy toy;
  const auto batcher = toy.start();
  const auto ask = [&](std::uint8_t scope, std::uint32_t continuation) {
    auto r = request(300, 1);
    r.scope[0] = scope;
    r.continuation = continuation;
    const std::uint64_t before = batcher->stats().rows;
    (void)batcher->submit(std::move(r))->wait();
    return batcher->stats().rows - before;
  };
  EXPECT_EQ(ask(1, 0), 300u);
  EXPECT_EQ(ask(1, 0), 300u - 256);
  EXPECT_EQ(ask(2, 0), 300u);          // nobody else's
  EXPECT_EQ(ask(1, 150), 300 - 128u);  // positions 149 on are chosen again
}

// The last position of a prompt is evaluated even if all of it is known: it is where the answer's
// first token is chosen, and nothing else is.
TEST(Batcher, AWholePromptInTheCacheGivesTheSameAnswer) {
  const Toy toy;
  for (const std::uint32_t prompt : {128u, 129u, 192u})
    for (const std::uint32_t max_tokens : {0u, 1u, 5u}) {
      const auto batcher = toy.start();
      const BatchAnswer first = batcher->submit(request(prompt, max_tokens))->wait();
      const std::uint64_t before = batcher->stats().positions_cached;
      Log log;
      Watcher watcher(log, 'w');
      auto r = request(prompt, max_tokens);
      for (int again = 0; again < 2; ++again) {
        const BatchAnswer second = batcher->submit(r)->wait();
        EXPECT_EQ(second.answer.size(), max_tokens);
        EXPECT_EQ(second.answer, first.answer);
        EXPECT_EQ(second.finish, first.finish);
      }
      EXPECT_GT(batcher->stats().positions_cached, before) << prompt;
      r.sink = &watcher;  // keeps no memos: evaluated whole
      EXPECT_EQ(batcher->submit(r)->wait().answer, first.answer);
      EXPECT_EQ(std::ranges::count(log.events, true, &Log::Event::head), max_tokens);
    }
}

TEST(Batcher, BehindAllOthersMeansNoPassWithThem) {
  const Toy toy;
  // The only slot and the only place are not for the one behind.
  const auto batcher = toy.start({.running_max = 1, .queue_max = 0, .prefill_rows = 16});
  Log log;
  Watcher front(log, 'f'), back(log, 'b');
  std::optional<Batcher::Stream> behind;
  auto r = request(5, 100);
  r.sink = &front;
  front.on_head = [&](std::uint32_t position) {
    if (position != 20) return;
    auto other = request(200, 2, 2);
    other.sink = &back;
    behind.emplace(std::move(*batcher->submit_behind(std::move(other))));
    EXPECT_EQ(batcher->submit_behind(request(5, 1)).error().code, Errc::unavailable);
  };
  EXPECT_EQ(batcher->submit(r)->wait().answer.size(), 100u);
  EXPECT_EQ(batcher->submit(request(6, 3))->wait().answer.size(), 3u);
  EXPECT_EQ(behind->wait().answer.size(), 2u);
  EXPECT_FALSE(behind->wait().displaced);
  const auto first = std::ranges::find(log.events, 'b', &Log::Event::who);
  const auto last =
      std::ranges::find(log.events.rbegin(), log.events.rend(), 'f', &Log::Event::who);
  EXPECT_LT(last.base(), first + 1) << "it was in a pass before the other had ended";
  std::uint32_t before = 0;  // and in small pieces, for those who come while it runs
  for (auto it = first; it != log.events.end(); ++it) {
    EXPECT_LE(it->position, before + 16);
    before = std::max(before, it->position);
  }
  EXPECT_EQ(batcher->submit_behind(request(5, 1))->wait().answer.size(), 1u);
}

TEST(Batcher, WhoIsBehindWaitsForItsConsumerToo) {
  const Toy toy;
  auto r = request(5, 40);
  r.ahead_max = 7;
  EXPECT_EQ(toy.start()->submit_behind(r)->wait().answer.size(), 40u);
  const auto batcher = toy.start({.pause_max = std::chrono::milliseconds(100)});
  const std::uint64_t before = batcher->stats().passes;
  auto hung = batcher->submit_behind(r);
  for (auto now = batcher->stats(); now.passes == before || now.running > 0; now = batcher->stats())
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(hung->wait().finish, Finish::cancelled);
  EXPECT_EQ(hung->wait().answer.size(), 7u);
  EXPECT_EQ(batcher->submit_behind(request(5, 1))->wait().answer.size(), 1u);
}

TEST(Batcher, WhoIsBehindGivesItsMemoryUp) {
  const Toy toy;
  const auto batcher = toy.start({.kv_bytes = 4 * Toy::kPage, .prefix_cache = false});
  Log log;
  Watcher back(log, 'b');
  std::optional<Batcher::Stream> front;
  back.on_head = [&](std::uint32_t position) {
    if (position == 20) front.emplace(std::move(*batcher->submit(request(100, 93))));
  };
  auto r = request(10, 190);
  r.sink = &back;
  auto behind = batcher->submit_behind(r);
  const BatchAnswer& answer = behind->wait();
  EXPECT_TRUE(answer.displaced);
  EXPECT_EQ(answer.finish, Finish::cancelled);
  EXPECT_EQ(front->wait().answer.size(), 93u);
  r.sink = nullptr;
  auto again = batcher->submit_behind(r);
  EXPECT_EQ(again->wait().answer.size(), 190u);
  // Cancelled from within, since this thread may come too late.
  std::optional<Batcher::Stream> left;
  std::latch submitted(1);
  back.on_head = [&](std::uint32_t position) {
    if (position != 20) return;
    submitted.wait();
    left->cancel();
  };
  r.sink = &back;
  left.emplace(std::move(*batcher->submit_behind(r)));
  submitted.count_down();
  EXPECT_FALSE(left->wait().displaced);
  EXPECT_EQ(left->wait().finish, Finish::cancelled);
  EXPECT_EQ(left->wait().answer.size(), 20u - 8);
  EXPECT_EQ(batcher->stats().pages, 0u);
}

TEST(Batcher, AnswersServeTheNextTurnOfAConversation) {
  const Toy toy;
  const auto batcher = toy.start();
  auto r = request(100, 100);
  const auto answer = batcher->submit(r)->wait().answer;
  r.prompt.insert(r.prompt.end(), answer.begin(), answer.end());
  r.prompt.push_back(4);
  (void)batcher->submit(r)->wait();
  EXPECT_EQ(batcher->stats().positions_cached, 192u);
}

}  // namespace
}  // namespace assay::engine
