// Answers of Tern held to JSON schemas: what comes is JSON, audits reproduce it, and catch whoever
// held it to something else.
#include "verify/constraint.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "base/hex.hpp"
#include "canon/canon_testutil.hpp"
#include "engine/grammar/json_schema.hpp"
#include "protocol/tokens.hpp"
#include "verify/audit.hpp"
#include "verify/verify_testutil.hpp"

namespace assay::verify {
namespace {

constexpr const char* kSchemas[] = {
    R"({"type":"object","properties":{"city":{"type":"string","maxLength":12},)"
    R"("rank":{"enum":[1,2,3]},"old":{"type":"boolean"}},"required":["city","rank","old"],)"
    R"("additionalProperties":false})",
    R"({"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":4})",
    R"({"anyOf":[{"type":"null"},{"type":"object","properties":{"a":{"type":"number"},)"
    R"("b":{"type":"string"}},"additionalProperties":{"type":"boolean"}}]})",
    R"({"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{)"
    R"("v":{"type":["integer","null"]},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},)"
    R"("required":["v","next"],"additionalProperties":false}}})",
    R"({"enum":["é\"\n",1.5,{"k":[true,null]}]})",
    R"({"type":"string","minLength":1,"maxLength":3})",
    R"({"type":"number"})",
    R"({})"};

canon::Automaton automaton_of(std::string_view schema) {
  return engine::schema_automaton(json::parse(schema).value()).value();
}

bool accepts(const canon::Automaton& a, std::string_view text) {
  std::uint32_t state = 0;
  for (const char c : text) state = a.next(state, static_cast<std::uint8_t>(c));
  return a.accepting(state);
}

struct Tern : testing::Test {
  static std::string read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static const ToyModel& model() {
    static const std::string file = read(ASSAY_SOURCE_DIR "/models/tern-q8_0.gguf");
    static const ToyModel tern{Bytes(file.begin(), file.end())};
    return tern;
  }
  const engine::Tokenizer tokenizer = *engine::Tokenizer::from(model().model->gguf());

  TradeOptions asked(std::string_view schema, std::uint64_t seed) const {
    TradeOptions out;
    out.prompt = tokenizer.encode("<|user|>Which city is the capital?<|end|><|assistant|>");
    out.max_tokens = 120;
    out.seed = seed;
    out.stop_ids = tokenizer.stop_tokens();
    out.automaton = automaton_of(schema);
    return out;
  }
  Trade trade(const TradeOptions& options) const { return make_trade(model(), model(), options); }
  std::string text_of(const Trade& trade) const {
    std::string out;
    for (const std::uint32_t token : trade.opening.answer) out += tokenizer.piece(token);
    return out;
  }
  Result<AuditReport> audit(const Trade& trade) const {
    ThreadPool pool(2);
    const ManualClock clock;
    AuditOptions options;
    options.identity = execution_id(model().identity);
    return replay_audit(trade.file.request.message, trade.file.receipt.message, trade.opening,
                        model().model, pool, options, clock);
  }
};

TEST_F(Tern, AnswersUnderTheSchemaAndAuditsMatch) {
  for (const char* schema : kSchemas)
    for (const std::uint64_t seed : {1, 2}) {
      SCOPED_TRACE(schema);
      TradeOptions options = asked(schema, seed);
      options.temperature = seed == 1 ? 0.0f : 1.0f;
      const Trade t = trade(options);
      const auto constraint =
          *constraint_of(t.file.request.message, t.opening.automaton, *model().model);
      EXPECT_TRUE(check_servable(*constraint, options.stop_ids));
      const auto finish = static_cast<protocol::Finish>(t.file.receipt.message.finish);
      if (finish == protocol::Finish::stop) {
        EXPECT_TRUE(accepts(*options.automaton, text_of(t))) << text_of(t);
        EXPECT_TRUE(json::parse(text_of(t))) << text_of(t);
      } else {
        // Cut short, in a state from which it could have gone on.
        EXPECT_LT(canon::state_after(constraint->reference(), t.opening.answer),
                  options.automaton->states());
      }
      const auto report = audit(t);
      ASSERT_TRUE(report) << report.error().message;
      EXPECT_TRUE(report->match) << report->reason;
    }
}

TEST_F(Tern, AuditsCatchWhoeverHeldItToSomethingElse) {
  const auto other = std::make_shared<const engine::Constraint>(automaton_of(kSchemas[1]),
                                                                *model().model->pieces());
  const std::function<void(engine::Sampling&)> cheats[] = {
      [](engine::Sampling& s) { s.constraint = nullptr; },
      [&](engine::Sampling& s) { s.constraint = other; }};
  for (const auto& cheat : cheats) {
    TradeOptions options = asked(kSchemas[0], 3);
    options.cheat = cheat;
    const auto report = audit(trade(options));
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_FALSE(report->match);
    ASSERT_TRUE(report->divergence && report->divergence->expected_token);
    EXPECT_EQ(report->divergence->position, options.prompt.size() - 1);
  }
  // One token that the automaton forbids, in an answer that was held to it until then.
  Trade t = trade(asked(kSchemas[0], 3));
  t.opening.answer[1] = *tokenizer.find("a");
  auto& receipt = t.file.receipt.message;
  receipt.tape_root = protocol::tape_root(t.opening.salt_secret, t.opening.answer);
  const auto report = audit(t);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->match);
  EXPECT_EQ(report->divergence->position, t.opening.prompt.size());
}

TEST_F(Tern, TheAutomatonIsTheOneCommittedTo) {
  Trade t = trade(asked(kSchemas[0], 3));
  const Bytes own = t.opening.automaton;
  for (const Bytes& wrong :
       {Bytes(), canon::encode(automaton_of(kSchemas[1])), Bytes(own.begin(), own.end() - 1)}) {
    t.opening.automaton = wrong;
    const auto report = audit(t);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, Errc::mismatch);
  }
  TradeOptions plain = asked(kSchemas[0], 3);
  plain.automaton.reset();
  Trade free = trade(plain);
  free.opening.automaton = own;
  EXPECT_EQ(audit(free).error().code, Errc::mismatch);
}

TEST_F(Tern, WhatCannotBeServedIsSaid) {
  const auto pieces = *model().model->pieces();
  const auto checked = [&](const canon::Automaton& a, std::vector<std::uint32_t> stops) {
    return check_servable(engine::Constraint(a, pieces), stops);
  };
  EXPECT_TRUE(checked(automaton_of(kSchemas[7]), tokenizer.stop_tokens()));
  EXPECT_EQ(checked(automaton_of(kSchemas[7]), {}).error().code, Errc::invalid);
  canon::Automaton stuck;
  stuck.add(false);
  EXPECT_EQ(checked(stuck, tokenizer.stop_tokens()).error().code, Errc::unsupported);
}

std::string drawn(const canon::Automaton& a, canon::test::Random& random) {
  std::string text;
  for (std::uint32_t state = 0; text.size() < 400;) {
    std::vector<std::uint8_t> ways;
    for (unsigned byte = 0; byte < 256; ++byte)
      if (a.next(state, static_cast<std::uint8_t>(byte)) != canon::kDead)
        ways.push_back(static_cast<std::uint8_t>(byte));
    if (a.accepting(state) && (ways.empty() || random.below(4) == 0)) return text;
    const bool close = random.below(3) == 0 && std::ranges::find(ways, '"') != ways.end();
    const std::uint8_t byte =
        close ? '"' : ways[random.below(static_cast<std::uint32_t>(ways.size()))];
    text += static_cast<char>(byte);
    state = a.next(state, byte);
  }
  return {};
}

// spec/vectors/constraint/schemas.json: automata, commitments, and texts that are accepted, which
// tests/peers/constraint.mjs validates; and as many damaged ones that are not.
TEST_F(Tern, Vectors) {
  canon::test::Random random(30);
  const auto pieces = *model().model->pieces();
  json::array cases;
  for (const char* schema : kSchemas) {
    const canon::Automaton a = automaton_of(schema);
    json::array accepted, refused;
    for (int i = 0; i < 400 && (accepted.size() < 30 || refused.size() < 30); ++i) {
      std::string text = drawn(a, random);
      if (text.empty()) continue;
      if (accepted.size() < 30) accepted.emplace_back(text);
      const std::size_t at = random.below(static_cast<std::uint32_t>(text.size()));
      random.below(2) == 0 ? text.erase(at, 1) : text.insert(at, 1, "\"{,0x"[random.below(5)]);
      if (!accepts(a, text) && engine::valid_utf8(text) == text && refused.size() < 30)
        refused.emplace_back(text);
    }
    EXPECT_GE(accepted.size(), 3u) << schema;
    const protocol::ConstraintParts parts = parts_of(a, *pieces);
    cases.push_back(json::object{{"schema", json::parse(schema).value()},
                                 {"automaton", to_hex(canon::encode(a))},
                                 {"states", parts.states},
                                 {"table_root", to_hex(parts.table_root)},
                                 {"pieces_root", to_hex(parts.pieces_root)},
                                 {"constraint", to_hex(protocol::constraint_root(parts))},
                                 {"accepted", accepted},
                                 {"refused", refused}});
  }
  const std::string text =
      json::dump_pretty(json::object{{"about",
                                      "answers held to schemas (spec/canon.md and "
                                      "messages.md, Constraint)"},
                                     {"model", "tern-q8_0"},
                                     {"cases", cases}}) +
      "\n";
  const std::filesystem::path path = ASSAY_SOURCE_DIR "/spec/vectors/constraint/schemas.json";
  if (const char* write = std::getenv("ASSAY_WRITE_VECTORS"); write != nullptr && *write == '1') {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  EXPECT_TRUE(read(path) == text) << "differs: an automaton changed, or was never written";
}

}  // namespace
}  // namespace assay::verify
