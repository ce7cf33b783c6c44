// Requests drawn by seed, and what becomes of them alone and served: what the tests of the serving
// engine and of the audits behind it compare.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "canon/canon_testutil.hpp"
#include "engine/batcher.hpp"
#include "verify/replay.hpp"

namespace assay::verify::test {

struct Outcome {
  std::vector<engine::Token> answer;
  std::vector<std::uint32_t> logprobs;  // protocol/tokens.hpp
  engine::Finish finish = engine::Finish::length;
  std::optional<std::uint32_t> mismatch_at, fault_at;
  Hash trace{};  // zero where none is kept, or owed
  bool operator==(const Outcome&) const = default;
};

struct Case {
  engine::BatchRequest request;
  bool traced = true;
  std::size_t cancel_after = 0;  // tokens taken; 0: never
};
struct KnownCase {
  Case asked;
  Outcome outcome;  // alone, never cancelled
};

Hash secret_of(const Case& c);

// In a session of its own on one thread, one position at a time from the first sampled one on.
Outcome alone(const Case& c, const std::shared_ptr<const engine::Model>& model,
              std::uint32_t max_tokens, engine::Isa isa);

// Each client sends its share, one request after the other: arrivals fall on any pass.
std::vector<Outcome> served(std::span<const KnownCase> cases, engine::Batcher& batcher,
                            std::size_t clients);

// Expects the outcome it has alone; of one cancelled, as much of it as it had by then.
void expect_same(const KnownCase& known, const Outcome& got,
                 const std::shared_ptr<const engine::Model>& model, engine::Isa isa);

struct Draw {
  std::size_t count;
  std::uint32_t prompt_max;
  std::uint32_t answer_max = 24;
  bool faults = false;  // temperatures so low that logits overflow are among them
  // Tokens of a chat, in place of random ones; may be empty.
  std::function<std::vector<engine::Token>(canon::test::Random&)> chat{};
  std::vector<engine::Token> chat_stops{};
};
// Prompts that share beginnings of all lengths, later ones continuing the answers of earlier ones,
// in two scopes; with the outcomes they have alone on that instruction set.
std::vector<KnownCase> some_cases(const std::shared_ptr<const engine::Model>& model,
                                  std::uint32_t seed, engine::Isa isa, const Draw& draw);

}  // namespace assay::verify::test
