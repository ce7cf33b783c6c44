// What a sampled audit asks a provider for (spec/trace.md, "Sampled audit"):
//
//   POST /v1/states   StatesCall → 200 application/x-ndjson: one position a line, in order, then
//                     {"type":"end"}; empty lines while it computes; {"type":"error",…} ends it
//   POST /v1/tensors  {"execution": "0x…"} → TensorsReply
// Nothing in a line need be true: what counts is what hashes to the signed trace root.
#pragma once
#include <variant>

#include "protocol/inference.hpp"

namespace assay::protocol {

// Of one call, as states_bytes() counts.
inline constexpr std::size_t kStatesBytesMax = std::size_t{32} << 20;
// Layers named in each list.
inline constexpr std::size_t kStatesLayersMax = 1025;

// Layer L, the number of layers, is the head. Each list is ascending.
struct StatesCall {
  Hash request{};
  Hash salt_secret{};
  std::uint32_t first = 0, count = 0;   // positions
  std::vector<std::uint32_t> states{};  // whose x is wanted
  std::vector<std::uint32_t> roots{};   // whose leaf is to be opened to its roots
  std::vector<std::uint32_t> rows{};    // whose k and v (the head: logits) are wanted
};
json::object to_json(const StatesCall& call);
// invalid where a list is not ascending or names too many layers, or no position is asked for.
Result<StatesCall> states_call_from_json(const json::object& o);

// What is in a leaf beside its salt. Of a head: second is the root of the logits, third zero.
struct LeafRoots {
  Hash x{}, second{}, third{};  // third: v, second: k of a cell
  std::uint32_t token = 0;      // of a head
};
// One position. Each list has an element for each layer asked for, in that order; where the
// position has no such leaf (a head where no token is chosen, whatever a fault cut off) an empty
// one.
struct PositionStates {
  std::uint32_t position = 0;
  std::vector<Hash> leaves;   // cells in layer order, then the head
  std::vector<Bytes> states;  // little-endian binary32
  std::vector<std::optional<LeafRoots>> roots;
  struct Rows {
    Bytes first, second;  // k and v, little-endian binary16; or logits, binary32, and nothing
  };
  std::vector<Rows> rows;
};
struct StatesEnd {};
using StatesEvent = std::variant<PositionStates, StatesEnd, ErrorEvent>;
std::string states_line(const StatesEvent& event);  // ends in '\n'
Result<StatesEvent> states_event_from_line(std::string_view line);

// The widths that decide how much a call asks for.
struct StatesShape {
  std::uint32_t layers, dim, kv_dim, vocab;
};
// Bytes of one position of the answer, before they are text.
std::size_t states_bytes(const StatesCall& call, const StatesShape& shape);

// Leaves of the weights root, one a tensor, in canonical order (spec/model.md): whoever hashes only
// some tensors needs those of the others.
struct TensorsReply {
  std::vector<Hash> leaves;
};
json::object to_json(const TensorsReply& reply);
Result<TensorsReply> tensors_reply_from_json(const json::object& o);

}  // namespace assay::protocol
