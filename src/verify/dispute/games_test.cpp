// Complete games as vectors: spec/vectors/dispute/.
#include <bit>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "verify/dispute/dispute_testutil.hpp"
#include "verify/dispute/subject.hpp"

namespace assay::verify {
namespace {

engine::ToyShape game_shape() {
  return {.dim = 32,
          .heads = 2,
          .kv_heads = 1,
          .ffn = 64,
          .layers = 2,
          .context = 8,
          .square = engine::TensorType::q8_0};
}

std::uint32_t game_bits(float f) { return std::bit_cast<std::uint32_t>(f); }

struct Games : ::testing::Test {
  Games() {
    honest = std::make_unique<World>(toy_world(toy,
                                               {.prompt = {1, 8, 9},
                                                .answer = 2,
                                                .ask =
                                                    [](protocol::Request& r) {
                                                      r.temperature_bits = game_bits(1.5f);
                                                      r.top_k = 9;
                                                      r.top_p_bits = game_bits(0.9f);
                                                      r.seed = 11;
                                                      r.logprobs = 3;
                                                    }},
                                               pool));
  }
  static World lying(const World& truth, const LeafPlace& leaf, std::string_view op,
                     std::uint64_t element) {
    return truth.lying({leaf, *truth.execute(leaf).find(op), element, 1, true, {}});
  }
  std::uint32_t op(const LeafPlace& leaf, std::string_view name) const {
    return *honest->execute(leaf).find(name);
  }
  // An answer held to an automaton.
  World held() {
    return toy_world(
        toy,
        {.prompt = {1, 8, 9},
         .answer = 3,
         .constraint = 5,
         .ask = [](protocol::Request& r) { r.temperature_bits = game_bits(1.5f), r.top_k = 9; }},
        pool);
  }

  // Plays a game to its end, or `moves` of it, and compares it with its vector.
  void game(std::string_view name, std::string_view about, World& provider,
            const std::optional<Goal>& goal, DisputeOutcome outcome,
            std::optional<std::size_t> moves = std::nullopt, const World* truth = nullptr) const {
    const Signers signers(provider);
    const auto subject = provider.subject();
    World challenger = (truth != nullptr ? *truth : *honest).judging(provider);
    Transcript t =
        *Transcript::start(signers.domain, signers.dispute, signers.provider_address(), subject);
    json::array states{to_hex(t.game().state())}, phases;
    while (t.game().outcome() == DisputeOutcome::open) {
      if (moves && t.moves().size() == *moves) {
        ASSERT_TRUE(t.expire());
        break;
      }
      phases.emplace_back(std::string(to_string(t.game().phase())));
      const auto payload = t.game().turn() == Side::provider ? respond(t.game(), provider)
                           : goal                            ? towards(t.game(), *goal, challenger)
                                                             : challenge(t.game(), challenger);
      ASSERT_TRUE(payload) << payload.error().message;
      const auto added = t.add(signers.signed_move(t, *payload));
      ASSERT_TRUE(added) << added.error().message;
      states.emplace_back(to_hex(t.game().state()));
    }
    EXPECT_EQ(t.game().outcome(), outcome) << name;
    const Game& end = t.game();
    json::object o{{"name", name},
                   {"about", about},
                   {"domain", signers.domain.to_json()},
                   {"provider", signers.provider_address().to_string()},
                   {"program", to_hex(program_bytes(subject->program))},
                   {"weights_root", to_hex(subject->weights_root)},
                   {"request", protocol::to_json(subject->request)},
                   {"receipt", protocol::to_json(signers.receipt)}};
    for (const auto& member : t.to_json()) o.emplace(member.key(), member.value());
    o["phases"] = std::move(phases);
    o["states"] = std::move(states);
    o["expired"] = end.expired();
    o["outcome"] = std::string(to_string(end.outcome()));
    if (end.phase() == Phase::step)
      o["step"] = json::object{{"position", std::to_string(end.place().leaf.position)},
                               {"leaf", std::to_string(end.place().leaf.index)},
                               {"op", end.ops().ops[end.place().op].name},
                               {"element", std::to_string(end.place().element)},
                               {"step", std::to_string(end.place().step)}};
    expect_vector(name, json::dump_pretty(o) + "\n");
    replays(o, outcome);
  }

  // A third party, from the file alone.
  void replays(const json::object& o, DisputeOutcome outcome) const {
    const auto domain = *protocol::Domain::from_json(o.at("domain").as_object());
    const auto program = *from_hex(std::string_view(o.at("program").as_string()));
    const auto request = *protocol::from_json<protocol::Request>(o.at("request").as_object());
    const auto receipt = *protocol::from_json<protocol::Receipt>(o.at("receipt").as_object());
    const protocol::ExecutionId execution{*json::get_hash(o, "weights_root"),
                                          crypto::sha256(program), protocol::kCanon};
    const auto subject = subject_of(execution, program, request, receipt);
    ASSERT_TRUE(subject) << subject.error().message;
    const auto provider = *protocol::Address::parse(std::string_view(o.at("provider").as_string()));
    auto t = Transcript::from_json({{"dispute", o.at("dispute")}, {"moves", o.at("moves")}}, domain,
                                   provider, std::make_shared<const Subject>(*subject));
    ASSERT_TRUE(t) << t.error().message;
    if (o.at("expired").as_bool()) {
      ASSERT_TRUE(t->expire());
    }
    EXPECT_EQ(t->game().outcome(), outcome);
    EXPECT_EQ(to_hex(t->game().state()),
              std::string_view(o.at("states").as_array().back().as_string()));
  }

  static void expect_vector(std::string_view name, const std::string& text) {
    const std::string path =
        std::string(ASSAY_SOURCE_DIR "/spec/vectors/dispute/") + std::string(name) + ".json";
    const char* write = std::getenv("ASSAY_WRITE_VECTORS");
    if (write && std::string_view(write) == "1") std::ofstream(path, std::ios::binary) << text;
    std::ifstream in(path, std::ios::binary);
    ASSERT_TRUE(in) << path << ": missing; run once with ASSAY_WRITE_VECTORS=1";
    std::ostringstream committed;
    committed << in.rdbuf();
    EXPECT_TRUE(committed.str() == text) << path << " differs from what this code computes";
  }

  ThreadPool pool{1};
  ToyModel toy{game_shape()};
  std::unique_ptr<World> honest;
};

constexpr LeafPlace kCell{2, 1, false}, kHead{3, 2, false}, kLateHead{4, 2, false};

TEST_F(Games, AgainstAnHonestProvider) {
  World provider = *honest;
  game("honest-product", "a challenger disputes a right value", provider,
       Goal{kCell, StepPlace{kCell, op(kCell, "g"), 5, 0}}, DisputeOutcome::challenger_wrong);
  game("honest-weighted-value", "the same, of a running value", provider,
       Goal{kHead, StepPlace{kHead, op(kHead, "so"), 17, 0}}, DisputeOutcome::challenger_wrong);
  game("honest-salt", "the salt is the secret's", provider,
       Goal{kCell, StepPlace{kCell, kChooseSalt, 0, 0}}, DisputeOutcome::challenger_wrong);
  game("challenger-stalls", "the challenger makes no choice", provider, std::nullopt,
       DisputeOutcome::challenger_wrong, 1);
  game("provider-stalls", "the provider reveals nothing", provider, std::nullopt,
       DisputeOutcome::provider_wrong, 0);
}

TEST_F(Games, LiesAreConvicted) {
  const std::vector<std::tuple<const char*, LeafPlace, const char*, std::uint64_t>> lies = {
      {"embedding", {1, 0, false}, "x", 3},
      {"norm", kCell, "a.inv", 0},
      {"quantized", kCell, "a.q8", 7},
      {"query", kCell, "qr", 9},
      {"score", kCell, "sc", 4},
      {"weighted-value", kCell, "so", 20},
      {"attention", kCell, "o", 30},
      {"product", kCell, "dn", 11},
      {"key", kCell, "kh", 2},
      {"value", kCell, "vh", 6},
      {"logit", kHead, "lg", 5},
      {"threshold", kHead, "tk", 0},
      {"nucleus", kHead, "tp", 0},
      {"token", kHead, "tok", 0},
      {"logprobs", kHead, "lp", 0}};
  for (const auto& [name, leaf, op, element] : lies) {
    World liar = lying(*honest, leaf, op, element);
    game(fmt::format("lie-{}", name), fmt::format("'{}' is not what follows", op), liar,
         Goal{leaf, {}}, DisputeOutcome::provider_wrong);
  }
  World liar = honest->salted(kCell);
  game("lie-salt", "a leaf has another salt", liar, std::nullopt, DisputeOutcome::provider_wrong);
}

TEST_F(Games, AboutAConstrainedAnswer) {
  const World truth = held();
  World provider = truth;
  const std::uint32_t gw = *truth.execute(kLateHead).find("gw");
  game("honest-constrained", "a challenger disputes where a token leads", provider,
       Goal{kLateHead, StepPlace{kLateHead, gw, 9, 0}}, DisputeOutcome::challenger_wrong,
       std::nullopt, &truth);
  const std::vector<std::tuple<const char*, const char*, std::uint64_t>> lies = {
      {"answer-state", "gt", 1}, {"piece-state", "gw", 9}, {"constrained", "gl", 12}};
  for (const auto& [name, op, element] : lies) {
    World liar = lying(truth, kLateHead, op, element);
    game(fmt::format("lie-{}", name), fmt::format("'{}' is not what follows", op), liar,
         Goal{kLateHead, {}}, DisputeOutcome::provider_wrong, std::nullopt, &truth);
  }
}

}  // namespace
}  // namespace assay::verify
