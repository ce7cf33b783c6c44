#include "verify/trace_testutil.hpp"

#include <bit>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

#include "base/hex.hpp"

namespace assay::verify {
namespace {

template <class T>
std::string hex_of(const std::vector<T>& values) {
  return to_hex({reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(T)});
}

json::array hashes_of(const std::vector<Hash>& hashes) {
  json::array out;
  for (const Hash& h : hashes) out.emplace_back(to_hex(h));
  return out;
}

}  // namespace

States make_states(const Shape& shape) {
  std::uint64_t state = 1;
  const auto next = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>(state >> 32);
  };
  const auto floats = [&](std::uint32_t n) {
    std::vector<float> out(n);
    for (float& f : out) f = std::bit_cast<float>(next());
    return out;
  };
  const auto halves = [&](std::uint32_t n) {
    std::vector<std::uint16_t> out(n);
    for (auto& h : out) h = static_cast<std::uint16_t>(next());
    return out;
  };
  States states;
  for (std::uint8_t& b : states.salt_secret) b = static_cast<std::uint8_t>(next());
  states.layers = shape.layers;
  for (std::uint32_t t = 0; t < shape.positions; ++t) {
    for (std::uint32_t l = 0; l < shape.layers; ++l)
      states.cells.push_back({t, l, floats(shape.dim), halves(shape.kv), halves(shape.kv)});
    if (t >= shape.first_head)
      states.heads.push_back({t, floats(shape.dim), floats(shape.vocab), next()});
  }
  return states;
}

void feed(const States& states, TraceBuilder& trace) {
  for (const auto& c : states.cells) trace.cell(c.position, c.layer, c.x, c.k, c.v);
  for (const auto& h : states.heads) trace.head(h.position, h.x, h.logits, h.token);
  if (states.fault) trace.fault(*states.fault);
}

std::vector<std::pair<std::string, States>> vector_cases() {
  std::vector<std::pair<std::string, States>> cases;
  cases.emplace_back("empty", make_states({2, 0, 4, 2, 3, 0}));
  cases.emplace_back("one-cell", make_states({1, 1, 4, 2, 3, 1}));
  cases.emplace_back("prefill-and-heads", make_states({2, 5, 6, 4, 5, 2}));
  cases.emplace_back("chunks", make_states({1, 1, 300, 257, 513, 0}));
  States in_layer = make_states({3, 3, 4, 2, 3, 1});
  in_layer.fault = {1, 1};  // what came beyond it does not count
  cases.emplace_back("fault-in-layer", std::move(in_layer));
  States at_head = make_states({2, 2, 4, 2, 3, 0});
  at_head.heads.pop_back();
  at_head.fault = {1, 2};
  cases.emplace_back("fault-at-head", std::move(at_head));
  return cases;
}

json::object to_json(std::string_view name, const States& states, const TraceBuilder& trace) {
  json::object o;
  o["name"] = name;
  o["about"] = "spec/trace.md; x, logits: binary32 little-endian; k, v: binary16 little-endian";
  o["salt_secret"] = to_hex(states.salt_secret);
  o["layers"] = std::to_string(states.layers);
  json::array cells, heads, leaves;
  for (const auto& c : states.cells)
    cells.push_back(json::object{{"position", std::to_string(c.position)},
                                 {"layer", std::to_string(c.layer)},
                                 {"x", hex_of(c.x)},
                                 {"k", hex_of(c.k)},
                                 {"v", hex_of(c.v)}});
  for (const auto& h : states.heads)
    heads.push_back(json::object{{"position", std::to_string(h.position)},
                                 {"x", hex_of(h.x)},
                                 {"logits", hex_of(h.logits)},
                                 {"token", std::to_string(h.token)}});
  o["cells"] = std::move(cells);
  o["heads"] = std::move(heads);
  if (states.fault)
    o["fault"] = json::object{{"position", std::to_string(states.fault->position)},
                              {"layer", std::to_string(states.fault->layer)}};
  for (std::uint32_t t = 0; t < trace.positions(); ++t)
    leaves.push_back(hashes_of(trace.leaves(t)));
  o["leaves"] = std::move(leaves);
  o["position_roots"] = hashes_of(trace.position_roots());
  o["trace_root"] = to_hex(trace.root());
  return o;
}

void compare_with_vector(std::string_view name, const json::object& document) {
  const std::string path =
      std::string(ASSAY_SOURCE_DIR "/spec/vectors/trace/") + std::string(name) + ".json";
  const std::string text = json::dump_pretty(document) + "\n";
  if (const char* write = std::getenv("ASSAY_WRITE_VECTORS");
      write && std::string_view(write) == "1")
    std::ofstream(path, std::ios::binary) << text;
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file) << path << ": missing; run once with ASSAY_WRITE_VECTORS=1";
  std::ostringstream committed;
  committed << file.rdbuf();
  EXPECT_EQ(committed.str(), text) << path;
}

}  // namespace assay::verify
