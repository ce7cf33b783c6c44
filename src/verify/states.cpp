#include "verify/states.hpp"

#include <algorithm>

namespace assay::verify {
namespace {

// Where a list of layers names this one.
std::optional<std::size_t> place_in(const std::vector<std::uint32_t>& layers, std::uint32_t layer) {
  const auto at = std::ranges::lower_bound(layers, layer);
  if (at == layers.end() || *at != layer) return std::nullopt;
  return static_cast<std::size_t>(at - layers.begin());
}

}  // namespace

protocol::StatesShape states_shape(const engine::Hyper& h) {
  return {h.layers, h.dim, h.kv_dim(), h.vocab};
}

Status check_states_call(const protocol::StatesCall& call, const protocol::StatesShape& shape,
                         std::size_t positions) {
  for (const auto* list : {&call.states, &call.roots, &call.rows})
    if (!list->empty() && list->back() > shape.layers)
      return fail(Errc::invalid, "there is no layer {}: the model has {}, the head is layer {}",
                  list->back(), shape.layers, shape.layers);
  if (call.count == 0 || call.first >= positions || call.count > positions - call.first)
    return fail(Errc::invalid, "positions {} to {} are asked for, the trace has {}", call.first,
                std::uint64_t{call.first} + call.count, positions);
  const std::size_t most =
      std::max<std::size_t>(protocol::kStatesBytesMax / protocol::states_bytes(call, shape), 1);
  if (call.count > most)
    return fail(Errc::refused,
                "{} positions of these layers are too much for one answer: ask for {}", call.count,
                most);
  return {};
}

StatesRecorder::StatesRecorder(const Hash& salt_secret, std::uint32_t layers,
                               const protocol::StatesCall& call)
    : TraceBuilder(salt_secret, layers), call_(call), depth_(layers), kept_(call.count) {
  for (protocol::PositionStates& p : kept_) {
    p.states.resize(call_.states.size());
    p.roots.resize(call_.roots.size());
    p.rows.resize(call_.rows.size());
  }
}

protocol::PositionStates* StatesRecorder::wanted(std::uint32_t position) {
  if (position < call_.first || position - call_.first >= call_.count) return nullptr;
  return &kept_[position - call_.first];
}

void StatesRecorder::cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
                          std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) {
  TraceBuilder::cell(position, layer, x, k, v);
  protocol::PositionStates* p = wanted(position);
  if (p == nullptr) return;
  if (const auto at = place_in(call_.states, layer)) p->states[*at] = raw_bytes(x);
  if (const auto at = place_in(call_.rows, layer)) p->rows[*at] = {raw_bytes(k), raw_bytes(v)};
  if (const auto at = place_in(call_.roots, layer)) {
    std::array<std::uint8_t, kMemoBytes> roots;
    keep(position, layer, roots);
    auto& to = p->roots[*at].emplace();
    std::memcpy(to.x.data(), &roots[0], sizeof(Hash));
    std::memcpy(to.second.data(), &roots[sizeof(Hash)], sizeof(Hash));
    std::memcpy(to.third.data(), &roots[2 * sizeof(Hash)], sizeof(Hash));
  }
}

void StatesRecorder::head(std::uint32_t position, std::span<const float> x,
                          std::span<const float> logits, engine::Token token) {
  TraceBuilder::head(position, x, logits, token);
  protocol::PositionStates* p = wanted(position);
  if (p == nullptr) return;
  if (const auto at = place_in(call_.states, depth_)) p->states[*at] = raw_bytes(x);
  if (const auto at = place_in(call_.rows, depth_)) p->rows[*at] = {raw_bytes(logits), {}};
  if (const auto at = place_in(call_.roots, depth_))
    p->roots[*at] = protocol::LeafRoots{vector_root(x), vector_root(logits), {}, token};
}

std::optional<protocol::PositionStates> StatesRecorder::take(std::uint32_t index) {
  const std::uint32_t position = call_.first + index;
  protocol::PositionStates out = std::move(kept_[index]);
  out.position = position;
  out.leaves = leaves(position);
  if (out.leaves.empty()) return std::nullopt;
  return out;
}

}  // namespace assay::verify
