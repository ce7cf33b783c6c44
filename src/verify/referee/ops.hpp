// The ops that lead into one leaf of a trace: what is computed, in which order, with which shapes
// (spec/dispute.md section 3).
#pragma once
#include <optional>

#include "protocol/messages.hpp"
#include "verify/referee/program.hpp"

namespace assay::verify {

inline constexpr std::uint32_t kChunkValues = 256;
constexpr std::uint64_t chunks_of(std::uint64_t values) {
  return (values + kChunkValues - 1) / kChunkValues;
}
inline constexpr std::uint32_t kPositionsMax = 1u << 18;

// What a dispute is about: everything a referee knows beside the program.
struct Subject {
  Program program;
  Hash weights_root{};
  protocol::Request request;
  std::uint32_t count = 0;              // answer tokens
  std::optional<std::uint32_t> finish;  // of a receipt; none: a progress
  Hash tape_root{}, trace_root{}, logprobs_root{};

  bool ends_in_fault() const {
    return finish == static_cast<std::uint32_t>(protocol::Finish::fault);
  }
  std::uint32_t prompt() const { return request.prompt_count; }
  // Where tokens are chosen first: n - c - 1.
  std::uint32_t first_sampled() const { return request.prompt_count - request.continuation - 1; }
};

struct LeafPlace {
  std::uint32_t position = 0, index = 0;  // index == layers: the head
  bool fault = false;                     // a fault leaf in its place
};

enum class ValueType : std::uint8_t { f32, u32, f16, i8 };
std::size_t value_bytes(ValueType type);

// One name of the tables of spec/dispute.md section 3.
enum class OpKind : std::uint8_t {
  norm_sum,        // .ss
  norm_inverse,    // .inv
  norm_value,      // .y
  q8_scale,        // .d8
  q8_quant,        // .q8
  q8k_scale,       // .dk
  q8k_quant,       // .qk
  product,         // q k v pr g u dn lg
  add_bias,        // qb kb vb
  rope,            // qr kr
  to_half,         // kh vh
  score,           // sc
  segment_max,     // sm, and chunk maxima zc bv xc
  segment_exp,     // sp
  segment_sum,     // sl, and chunk sums ps es
  weighted_value,  // so
  running_max,     // m zm xm
  segment_weight,  // w
  attention_sum,   // l
  attention_out,   // o
  add_residual,    // x1 x
  swiglu,          // mm
  embedding,       // x
  tape_count,      // ct ca
  adjust,          // ad
  temperature,     // z
  threshold,       // tk tp: no step
  count_at,        // kg pg: at or above the threshold; counts (u32) or sums (f32)
  count_above,     // kl pl
  running_total,   // kgt klt pt pgt plt et lct
  threshold_ok,    // kok pok
  shifted_exp,     // p e
  noisy,           // y
  best_id,         // bi
  best_token,      // tok
  next_token,      // nx
  log_sum,         // ln
  logprob,         // lp
  rank_count,      // lc
  logprob_leaf,    // lo
  answer_state,    // gt
  piece_state,     // gw
  constrain,       // gl
};

// Where an op reads: an earlier op of the list, or a vector of a leaf.
struct Source {
  enum class From : std::uint8_t { none, op, leaf_x } from = From::none;
  std::uint32_t op = 0;    // index in the list
  std::uint32_t leaf = 0;  // leaf_x: residual stream of leaf (position, leaf)
};

struct Op {
  OpKind kind;
  const char* name;  // as in spec/dispute.md: "a.ss"
  ValueType type = ValueType::f32;
  std::uint64_t values = 0;  // in all
  std::uint64_t chunks = 0;
  bool by_segment = false;  // chunks are (head, segment) of positions: sc, sp
  bool scalar = false;      // given in the clear
  std::uint32_t steps = 1;  // most of any element; weighted_value: 256, fewer in the last segment
  std::uint32_t layer = 0;  // of tensors and cache rows
  std::optional<TensorShape> tensor{};
  Source a{}, b{}, c{}, d{};  // as the kind needs; steps.cpp says which
  std::uint32_t width = 0;    // norms: values a head; quantizers: block
  std::uint32_t first = 0;    // tape_count: the first position that counts; answer_state: that read
  enum class Tie : std::uint8_t { none, x, k, v, logits, token } tie = Tie::none;
};

struct OpList {
  std::vector<Op> ops;
  std::uint32_t fault_from = 0;  // fault leaves: first op that may fault; else ops.size()
};

// The place must exist in a trace of this subject (asserted): dispute.cpp checks before.
OpList ops_of(const Subject& subject, const LeafPlace& place);

// Whether they go on through layer place.index itself: of a fault leaf, and of the last cell of a
// position without a head, where no later leaf shows a fault in that layer.
bool runs_own_layer(const Subject& subject, const LeafPlace& place);

// Values of chunk c of an op at this position: 256, or what is left.
std::uint32_t chunk_values(const Op& op, std::uint64_t chunk, std::uint32_t position);
// Steps of one element.
std::uint32_t steps_of(const Op& op, std::uint64_t element, std::uint32_t position);

}  // namespace assay::verify
