// No false alarm: requests drawn by seed give, to the bit, what the scalar table gives them alone
// and one position at a time, under every instruction set this machine runs, with any number of
// threads, alone or mixed with others, prompts in any pieces, the prefix cache off, cold, warm or
// under pressure, and re-executed as one prefill by an auditor on any of them, who then says
// "match".
//
// ASSAY_SOAK_REQUESTS: how many requests (200). ASSAY_SEED: the first mix, to repeat one.
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <iostream>
#include <iterator>
#include <map>

#include "engine/kv_cache.hpp"
#include "protocol/tokens.hpp"
#include "verify/layers_identity.hpp"
#include "verify/sampled_testutil.hpp"
#include "verify/serving_testutil.hpp"

namespace assay::verify {
namespace {

using canon::test::Random;
using engine::Batcher;
using engine::BatcherOptions;
using engine::Isa;
using engine::TensorType;
using engine::Token;
using test::Case;
using test::KnownCase;
using test::Outcome;

constexpr std::uint32_t kMix = 8;  // requests that are served together

struct World {
  World(std::string what, Bytes bytes, test::Draw drawn)
      : name(std::move(what)), toy(std::move(bytes)), draw(std::move(drawn)) {
    ThreadPool pool(1);
    leaves = tensor_leaves(*toy.model, pool);
    tokenizer = *engine::Tokenizer::from(toy.model->gguf());
    chat = *engine::ChatTemplate::from(toy.model->gguf());
    draw.chat_stops = tokenizer->stop_tokens();
    draw.chat = [this](Random& random) { return some_chat(random); };
  }
  World(const World&) = delete;

  std::vector<Token> some_chat(Random& random) const {
    static constexpr const char* kWords[] = {"a", "b", "cab", "abc ", " ", "a b", "c", "ab"};
    std::vector<engine::ChatMessage> messages;
    for (std::uint32_t i = 0, turns = 1 + 2 * random.below(2); i < turns; ++i) {
      std::string text;
      for (std::uint32_t w = 1 + random.below(6); w > 0; --w) text += kWords[random.below(8)];
      messages.push_back({i % 2 == 0 ? "user" : "assistant", text});
    }
    return *engine::encode_chat(*tokenizer, *chat, engine::Conversation::of(messages));
  }

  std::string name;
  ToyModel toy;
  std::vector<Hash> leaves;
  std::optional<engine::Tokenizer> tokenizer;
  std::optional<engine::ChatTemplate> chat;
  test::Draw draw;
};

Bytes file(const char* name) {
  std::ifstream in(std::string(ASSAY_SOURCE_DIR "/models/") + name, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  return {text.begin(), text.end()};
}

// Every weight type and architecture is in one of them. In the last the embedding of one token
// is so large that whoever evaluates it meets a numeric fault.
std::vector<std::unique_ptr<World>> make_worlds() {
  std::vector<std::unique_ptr<World>> out;
  const auto add = [&](std::string name, Bytes bytes, test::Draw draw) {
    draw.count = kMix;
    out.push_back(std::make_unique<World>(std::move(name), std::move(bytes), std::move(draw)));
  };
  engine::ToyShape shape{
      .dim = 32, .heads = 4, .kv_heads = 2, .ffn = 32, .layers = 3, .context = 512};
  const test::Draw any{.count = 0, .prompt_max = 40, .faults = true};
  add("toy llama", engine::toy_model(shape), any);
  add("toy llama, long", toy_model(shape), {.count = 0, .prompt_max = 300});
  shape.architecture = "qwen2";
  shape.square = TensorType::q8_0;
  add("toy qwen2", toy_model(shape), any);
  shape.architecture = "qwen3", shape.head_dim = 16, shape.square = TensorType::q4_0;
  add("toy qwen3", toy_model(shape), any);
  engine::ToyShape poison{
      .dim = 32, .heads = 4, .kv_heads = 2, .ffn = 32, .context = 512, .vocab = 40};
  Bytes poisoned = toy_model(poison);
  {
    const auto model = *engine::Model::load(poisoned);
    const auto at = static_cast<std::size_t>(model->embedding().data.data() - poisoned.data());
    const float huge = 3e38f;
    for (std::size_t i = 0; i < poison.dim; ++i)
      std::memcpy(&poisoned[at + 4 * (39 * poison.dim + i)], &huge, 4);
  }
  add("toy with a fault", std::move(poisoned), {.count = 0, .prompt_max = 20, .faults = true});
  add("toy of K-quants",
      engine::toy_model({.dim = 256,
                         .heads = 4,
                         .kv_heads = 2,
                         .ffn = 256,
                         .context = 512,
                         .square = TensorType::q6_k,
                         .gate = TensorType::q4_k,
                         .up = TensorType::q5_k,
                         .down_even = TensorType::q4_k,
                         .down_odd = TensorType::q6_k}),
      {.count = 0, .prompt_max = 24, .answer_max = 12});
  add("tern-q8_0", file("tern-q8_0.gguf"), {.count = 0, .prompt_max = 40, .answer_max = 8});
  add("tern-f16", file("tern-f16.gguf"), {.count = 0, .prompt_max = 24, .answer_max = 8});
  return out;
}
// Which world a mix is of: a cycle of 25, with the slow ones rarer.
constexpr std::uint32_t kCycle[] = {0, 1, 2, 3, 4, 0, 6, 2, 3, 4, 5, 0, 2,
                                    7, 3, 4, 0, 1, 2, 5, 6, 3, 4, 0, 2};

std::vector<Isa> isas() {
  std::vector<Isa> out;
  for (const Isa isa : engine::all_isas())
    if (engine::isa_available(isa)) out.push_back(isa);
  return out;
}

// What the test has met; a soak that never meets one of these shows nothing about it.
struct AlarmTally {
  std::map<std::string, std::size_t> of;
  void count(const std::string& what, std::size_t n = 1) { of[what] += n; }
};

std::size_t page_bytes(const engine::Model& model, Isa isa) {
  return engine::PageLayout::of(model.hyper(), *engine::find_kernels(isa)).page_bytes() +
         TraceBuilder::kMemoBytes * engine::kPagePositions * model.hyper().layers;
}

// As a buyer asks it, a provider signs it and an auditor gets it; signatures aside.
Trade trade_of(const KnownCase& known, const Outcome& outcome, const ModelIdentity& identity) {
  const engine::BatchRequest& r = known.asked.request;
  const engine::Sampling& s = r.sampling;
  const auto bits = [](float f) { return std::bit_cast<std::uint32_t>(f); };
  Trade out;
  protocol::Opening& opening = out.opening;
  opening.salt_secret = secret_of(known.asked);
  opening.prompt = r.prompt;
  opening.answer = outcome.answer;
  opening.logprobs = outcome.logprobs;
  opening.stop_ids = r.stop_ids;
  std::ranges::sort(opening.stop_ids);
  opening.stop_ids.erase(std::ranges::unique(opening.stop_ids).begin(), opening.stop_ids.end());

  protocol::Request& q = out.file.request.message;
  q.execution = protocol::struct_hash(execution_id(identity));
  q.prompt_root = protocol::prompt_root(opening.salt_secret, opening.prompt);
  q.prompt_count = static_cast<std::uint32_t>(r.prompt.size());
  q.continuation = r.continuation;
  for (const auto& b : s.logit_bias) q.logit_bias.push_back({b.token, bits(b.bias)});
  q.repetition_penalty_bits = bits(s.repetition_penalty);
  q.presence_penalty_bits = bits(s.presence_penalty);
  q.frequency_penalty_bits = bits(s.frequency_penalty);
  q.temperature_bits = bits(s.temperature);
  if (s.constraint) {
    opening.automaton = canon::encode(s.constraint->automaton());
    q.constraint =
        protocol::constraint_root(parts_of(s.constraint->automaton(), s.constraint->pieces()));
  }
  q.top_k = s.top_k;
  q.top_p_bits = bits(s.top_p);
  q.min_p_bits = bits(s.min_p);
  q.seed = s.seed;
  q.max_tokens = r.max_tokens;
  q.logprobs = r.logprobs;
  q.stop_root = protocol::stop_root(opening.stop_ids);
  q.salt_commitment = protocol::salt_commitment(opening.salt_secret);

  protocol::Receipt& receipt = out.file.receipt.message;
  receipt.count = static_cast<std::uint32_t>(outcome.answer.size());
  switch (outcome.finish) {
    case engine::Finish::stop:
      receipt.finish = static_cast<std::uint32_t>(protocol::Finish::stop);
      break;
    case engine::Finish::length:
      receipt.finish = static_cast<std::uint32_t>(protocol::Finish::length);
      break;
    case engine::Finish::fault:
      receipt.finish = static_cast<std::uint32_t>(protocol::Finish::fault);
      break;
    case engine::Finish::cancelled:
      receipt.finish = static_cast<std::uint32_t>(protocol::Finish::cancelled);
      break;
  }
  receipt.tape_root = protocol::tape_root(opening.salt_secret, opening.answer);
  receipt.trace_root = outcome.trace;
  receipt.logprobs_root =
      *protocol::logprobs_root(opening.salt_secret, q, receipt.count, opening.logprobs);
  return out;
}

// Of a traced request that is owed something.
AuditReport full_audit(const Trade& trade, const World& world, Isa isa, unsigned threads) {
  ThreadPool pool(threads);
  const ManualClock clock;
  AuditOptions options;
  options.isa = isa;
  options.identity = execution_id(world.toy.identity);
  const auto report = replay_audit(trade.file.request.message, trade.file.receipt.message,
                                   trade.opening, world.toy.model, pool, options, clock);
  EXPECT_TRUE(report) << report.error().message;
  return report ? *report : AuditReport{};
}

SampledReport one_layer_audit(const Trade& trade, const World& world, std::uint32_t layer, Isa isa,
                              unsigned threads) {
  ThreadPool pool(threads);
  const ManualClock clock;
  LocalSource source(trade, world.toy);
  SampledOptions options;
  options.isa = isa;
  options.layers = {layer};
  options.tensor_leaves = world.leaves;
  const auto report = sampled_audit(trade.file.request.message, trade.file.receipt.message,
                                    trade.opening, *world.toy.model, source, pool, options, clock);
  EXPECT_TRUE(report) << report.error().message;
  return report ? *report : SampledReport{};
}

void audit_served(const KnownCase& known, const Outcome& got, const World& world, Random& random,
                  AlarmTally& tally) {
  if (!known.asked.traced || got.mismatch_at) return;
  const auto all = isas();
  const auto some_isa = [&] { return all[random.below(static_cast<std::uint32_t>(all.size()))]; };
  const Trade trade = trade_of(known, got, world.toy.identity);
  const Isa isa = some_isa();
  const auto report = full_audit(trade, world, isa, 1 + random.below(3));
  EXPECT_TRUE(report.match) << engine::isa_name(isa) << ": " << report.reason;
  tally.count("full audits");
  if (random.below(4) != 0 || got.finish == engine::Finish::fault) return;
  const Isa other = some_isa();
  const auto sampled = one_layer_audit(trade, world, random.below(world.toy.model->hyper().layers),
                                       other, 1 + random.below(3));
  EXPECT_EQ(sampled.verdict, SampledVerdict::match)
      << engine::isa_name(other) << ": " << sampled.reason;
  tally.count("sampled audits");
}

void note(const KnownCase& known, AlarmTally& tally) {
  const auto& [asked, outcome] = known;
  constexpr const char* kEnds[] = {"end at a stop id", "end at their length", "end in a fault"};
  if (outcome.mismatch_at)
    tally.count("refuse a continuation");
  else
    tally.count(kEnds[static_cast<int>(outcome.finish)]);
  if (asked.request.continuation > 0) tally.count("continue an answer");
  if (asked.request.logprobs > 0) tally.count("ask for log-probabilities");
  if (asked.request.sampling.temperature == 0) tally.count("are greedy");
  if (asked.request.sampling.constraint) tally.count("are constrained");
  if (outcome.fault_at && outcome.answer.empty()) tally.count("fault in the prompt");
  if (asked.traced) tally.count("are traced");
}

void check_mix(const World& world, std::uint32_t mix, AlarmTally& tally) {
  SCOPED_TRACE(world.name +
               "; repeat with ASSAY_SOAK_REQUESTS=8 ASSAY_SEED=" + std::to_string(mix));
  const auto& model = world.toy.model;
  Random random(mix ^ 0xa1a2'0000u);
  const auto cases = test::some_cases(model, mix, Isa::scalar, world.draw);
  std::uint32_t longest = 0;
  for (const KnownCase& known : cases) {
    note(known, tally);
    const auto& r = known.asked.request;
    longest = std::max(longest, static_cast<std::uint32_t>(r.prompt.size()) + r.max_tokens);
  }
  tally.count("requests", cases.size());
  tally.count("of " + world.name, cases.size());

  std::vector<Outcome> got;
  for (const Isa isa : isas()) {
    BatcherOptions options{.isa = isa,
                           .threads = 1 + random.below(3),
                           .running_max = 1 + random.below(kMix),
                           .prefill_rows = 1 + random.below(64),
                           .prefix_cache = random.below(3) > 0,
                           .memo_bytes = TraceBuilder::kMemoBytes};
    const bool pressure = random.below(3) == 0;
    if (pressure) {
      const std::size_t pages = longest / engine::kPagePositions + 1 + random.below(3);
      options.kv_bytes = pages * page_bytes(*model, isa);
    }
    const auto batcher = Batcher::start(model, options);
    ASSERT_TRUE(batcher) << batcher.error().message;
    for (int warm = 0; warm <= (options.prefix_cache ? 1 : 0); ++warm) {
      got = test::served(cases, **batcher, random.below(3) == 0 ? 1 : kMix);
      for (std::size_t i = 0; i < cases.size(); ++i) {
        SCOPED_TRACE(testing::Message()
                     << "request " << i << " on " << engine::isa_name(isa) << ", "
                     << options.threads << " threads, " << options.running_max
                     << " at once, prompts by " << options.prefill_rows << ", cache "
                     << options.prefix_cache << (warm ? ", warm" : ", cold"));
        test::expect_same(cases[i], got[i], model, Isa::scalar);
        if (got[i].finish == engine::Finish::cancelled && !got[i].mismatch_at)
          tally.count("times cancelled");
      }
      tally.count("comparisons", cases.size());
      tally.count("on " + std::string(engine::isa_name(isa)), cases.size());
    }
    tally.count("positions from the cache", (*batcher)->stats().positions_cached);
    if (pressure) tally.count("times under memory pressure");
  }
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "audit of request " << i);
    audit_served(cases[i], got[i], world, random, tally);
  }
}

std::uint32_t number_of(const char* variable, std::uint32_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10)) : otherwise;
}

TEST(NoFalseAlarm, EveryMachineBatchAndAuditGivesTheSameBits) {
  const auto worlds = make_worlds();
  const std::uint32_t requests = number_of("ASSAY_SOAK_REQUESTS", 200),
                      first = number_of("ASSAY_SEED", 0);
  AlarmTally tally;
  for (std::uint32_t mix = first; mix < first + (requests + kMix - 1) / kMix; ++mix) {
    check_mix(*worlds[kCycle[mix % std::size(kCycle)]], mix, tally);
    if (HasFailure()) break;  // the rest would drown it
    if (tally.of["requests"] % 1000 == 0)
      std::cout << tally.of["requests"] << " requests, no false alarm\n" << std::flush;
  }
  for (const auto& [what, n] : tally.of) std::cout << n << ' ' << what << '\n';
  if (requests < 200) return;
  for (const char* what :
       {"full audits", "sampled audits", "end at a stop id", "end at their length",
        "end in a fault", "fault in the prompt", "refuse a continuation", "continue an answer",
        "ask for log-probabilities", "are greedy", "are constrained", "times cancelled",
        "positions from the cache", "times under memory pressure", "of tern-q8_0", "of tern-f16",
        "of toy of K-quants"})
    EXPECT_GT(tally.of[what], 3u) << what;
  for (const Isa isa : isas())
    EXPECT_GE(tally.of["on " + std::string(engine::isa_name(isa))], requests);
}

// The comparison sees what it is for: of a provider whose weights differ in one sign, every root is
// another, and no audit says "match".
TEST(NoFalseAlarm, OneOtherWeightIsSeenInEveryRequest) {
  const auto worlds = make_worlds();
  for (const std::size_t w : {0u, 6u}) {
    const World& world = *worlds[w];
    Bytes bytes = world.toy.file;
    const engine::Tensor& tensor = world.toy.model->layers()[0].v;
    bytes[static_cast<std::size_t>(tensor.data.data() - world.toy.file.data()) + 3] ^= 0x80;
    const ToyModel other(std::move(bytes));
    const auto cases = test::some_cases(world.toy.model, 1, engine::best_isa(), world.draw);
    const auto batcher = Batcher::start(other.model, {.memo_bytes = TraceBuilder::kMemoBytes});
    const auto got = test::served(cases, **batcher, 1);
    std::size_t seen = 0;
    for (std::size_t i = 0; i < cases.size(); ++i) {
      if (!cases[i].asked.traced || got[i].mismatch_at || cases[i].outcome.mismatch_at) continue;
      ++seen;
      EXPECT_NE(got[i].trace, cases[i].outcome.trace) << world.name << ' ' << i;
      const Trade trade = trade_of(cases[i], got[i], world.toy.identity);
      EXPECT_FALSE(full_audit(trade, world, engine::best_isa(), 1).match) << world.name << ' ' << i;
    }
    EXPECT_GT(seen, 2u);
  }
}

}  // namespace
}  // namespace assay::verify
