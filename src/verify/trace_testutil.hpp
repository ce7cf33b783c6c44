// Synthetic states for trace tests and their vectors: no model is needed to reproduce a root.
#pragma once
#include <optional>
#include <string>
#include <utility>

#include "base/json.hpp"
#include "verify/trace.hpp"

namespace assay::verify {

struct Cell {
  std::uint32_t position, layer;
  std::vector<float> x;
  std::vector<std::uint16_t> k, v;
};
struct Head {
  std::uint32_t position;
  std::vector<float> x, logits;
  std::uint32_t token;
};
struct States {
  Hash salt_secret{};
  std::uint32_t layers = 0;
  std::vector<Cell> cells;
  std::vector<Head> heads;
  std::optional<engine::NumericFault> fault;
};

struct Shape {
  std::uint32_t layers, positions, dim, kv, vocab, first_head;
};
// Pseudo-random bit patterns, NaNs included: a trace commits to bits.
States make_states(const Shape& shape);
void feed(const States& states, TraceBuilder& trace);

std::vector<std::pair<std::string, States>> vector_cases();
json::object to_json(std::string_view name, const States& states, const TraceBuilder& trace);
// spec/vectors/trace/<name>.json equals this document byte for byte; with ASSAY_WRITE_VECTORS=1 it
// is written first.
void compare_with_vector(std::string_view name, const json::object& document);

}  // namespace assay::verify
