#include "protocol/states.hpp"

#include <gtest/gtest.h>
#include <set>

#include "crypto/sha256.hpp"
#include "protocol/audit_draw.hpp"

namespace assay::protocol {
namespace {

PositionStates sample_states() {
  PositionStates p;
  p.position = 12;
  p.leaves = {crypto::sha256(view("a")), crypto::sha256(view("b"))};
  p.states = {Bytes{1, 2, 3, 4}, {}};
  p.roots = {LeafRoots{p.leaves[0], p.leaves[1], {}, 77}, std::nullopt};
  p.rows = {{Bytes{9}, Bytes{8, 7}}, {}};
  return p;
}

TEST(StatesWire, RoundTrips) {
  const std::string line = states_line(sample_states());
  EXPECT_EQ(line.back(), '\n');
  const auto back = states_event_from_line(line);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(states_line(*back), line);
  const auto& p = std::get<PositionStates>(*back);
  EXPECT_EQ(p.states[0], (Bytes{1, 2, 3, 4}));
  EXPECT_EQ(p.roots[0]->token, 77u);
  EXPECT_FALSE(p.roots[1]);
  EXPECT_EQ(p.rows[0].second, (Bytes{8, 7}));
  EXPECT_TRUE(std::holds_alternative<StatesEnd>(*states_event_from_line(states_line(StatesEnd{}))));
  const auto error = states_event_from_line(states_line(ErrorEvent{"busy", "later"}));
  EXPECT_EQ(std::get<ErrorEvent>(*error).message, "later");
}

// Every text of the wire with one character changed or cut off is read or refused, never worse.
TEST(StatesWire, TakesAnything) {
  const std::string line = states_line(sample_states());
  for (std::size_t i = 0; i < line.size(); ++i) {
    (void)states_event_from_line(line.substr(0, i));
    for (const char c : {'"', '[', '}', '0', 'z', '\\'}) {
      std::string other = line;
      other[i] = c;
      if (const auto read = states_event_from_line(other)) {
        EXPECT_TRUE(states_event_from_line(states_line(*read)));
      }
    }
  }
  for (
      const std::string_view bad :
      {"", "{}", "[]", R"({"type":"x"})", R"({"type":"position"})",
       R"({"type":"position","position":"1","leaves":[],"states":["AAA"],"roots":[],"rows":[]})",
       R"({"type":"position","position":"1","leaves":[],"states":[],"roots":[[]],"rows":[]})",
       R"({"type":"position","position":"1","leaves":[],"states":[],"roots":[],"rows":[["",""],1]})",
       R"({"type":"position","position":1,"leaves":[],"states":[],"roots":[],"rows":[]})"})
    EXPECT_FALSE(states_event_from_line(bad)) << bad;
}

TEST(StatesCall, KnowsItsLimits) {
  StatesCall call{.first = 3, .count = 2, .states = {1, 4}, .roots = {0, 1}, .rows = {4}};
  const auto back = states_call_from_json(to_json(call));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->states, call.states);
  EXPECT_EQ(states_bytes(call, {.layers = 4, .dim = 8, .kv_dim = 2, .vocab = 100}),
            5 * 32 + 2 * 32 + 2 * 100 + 400u);
  call.rows = {3};
  EXPECT_EQ(states_bytes(call, {.layers = 4, .dim = 8, .kv_dim = 2, .vocab = 100}),
            5 * 32 + 2 * 32 + 2 * 100 + 8u);
  const auto refused = [](auto change) {
    StatesCall c{.first = 0, .count = 1};
    change(c);
    return !states_call_from_json(to_json(c));
  };
  EXPECT_TRUE(refused([](auto& c) { c.count = 0; }));
  EXPECT_TRUE(refused([](auto& c) { c.states = {2, 1}; }));
  EXPECT_TRUE(refused([](auto& c) { c.roots = {2, 2}; }));
  EXPECT_TRUE(refused([](auto& c) {
    for (std::uint32_t i = 0; i <= kStatesLayersMax; ++i) c.rows.push_back(i);
  }));
  EXPECT_FALSE(refused([](auto&) {}));
}

TEST(AuditLayers, AreDistinctAscendingAndBoundToBoth) {
  const Hash link = crypto::sha256(view("link")), receipt = crypto::sha256(view("receipt"));
  for (const std::uint32_t layers : {1u, 2u, 22u, 80u})
    for (const std::uint32_t count : {0u, 1u, 2u, 22u, 1000u}) {
      const auto drawn = audit_layers(link, receipt, layers, count);
      ASSERT_EQ(drawn.size(), std::min(layers, count));
      EXPECT_TRUE(std::ranges::is_sorted(drawn));
      EXPECT_EQ(std::set(drawn.begin(), drawn.end()).size(), drawn.size());
      if (!drawn.empty()) {
        EXPECT_LT(drawn.back(), layers);
      }
      EXPECT_EQ(audit_layers(link, receipt, layers, count), drawn);
    }
  Hash other = receipt;
  other[31] ^= 1;
  EXPECT_NE(audit_layers(link, receipt, 80, 8), audit_layers(link, other, 80, 8));
  EXPECT_NE(audit_layers(link, receipt, 80, 8), audit_layers(other, receipt, 80, 8));
}

// Each layer is drawn as often as k/L says, whichever side tries to choose.
TEST(AuditLayers, AreDrawnFairly) {
  constexpr std::uint32_t kLayers = 11, kCount = 3;
  constexpr int kDraws = 11'000;
  std::vector<int> often(kLayers);
  for (std::uint32_t i = 0; i < kDraws; ++i) {
    Bytes text;
    append_le(text, i);
    for (const auto layer :
         audit_layers(crypto::sha256(text), crypto::sha256(view("receipt")), kLayers, kCount))
      ++often[layer];
  }
  const double expected = static_cast<double>(kDraws) * kCount / kLayers;
  // The chi-squared statistic of 10 degrees of freedom exceeds 35.6 with probability 1e-4.
  double statistic = 0;
  for (const int n : often) statistic += (n - expected) * (n - expected) / expected;
  EXPECT_LT(statistic, 35.6);
}

}  // namespace
}  // namespace assay::protocol
