#include "verify/referee/ops.hpp"

#include "base/assert.hpp"
#include "verify/referee/ops_build.hpp"

namespace assay::verify {
namespace {

std::uint32_t segments_at(std::uint32_t position) { return position / kChunkValues + 1; }

std::uint32_t positions_in(std::uint32_t segment, std::uint32_t position) {
  return std::min(kChunkValues, position + 1 - segment * kChunkValues);
}

}  // namespace

std::size_t value_bytes(ValueType type) {
  switch (type) {
    case ValueType::f32:
    case ValueType::u32:
      return 4;
    case ValueType::f16:
      return 2;
    case ValueType::i8:
      return 1;
  }
  ASSAY_ASSERT(false && "not a type of values");
}

bool runs_own_layer(const Subject& subject, const LeafPlace& place) {
  const std::uint32_t layers = subject.program.layers;
  return place.index < layers &&
         (place.fault || (place.index + 1 == layers && place.position < subject.first_sampled()));
}

OpList ops_of(const Subject& subject, const LeafPlace& place) {
  const std::uint32_t layers = subject.program.layers;
  ASSAY_ASSERT(place.index <= layers && place.position < kPositionsMax);
  const bool head = place.index == layers;
  ASSAY_ASSERT(!head || place.position >= subject.first_sampled());
  OpsBuilder build(subject, place);
  if (place.index == 0) {
    build.embedding();
  } else {
    const std::uint32_t l = place.index - 1;
    build.layer(l, {.from = Source::From::leaf_x, .leaf = l});
  }
  const Source x = build.last();
  build.tie(x, Op::Tie::x);
  const std::uint32_t own = build.size();
  if (head) {
    build.head(x);
  } else {
    build.cache_row(place.index, x);
    if (runs_own_layer(subject, place)) build.layer(place.index, x);
  }
  return build.take(place.fault ? own : build.size());
}

std::uint32_t chunk_values(const Op& op, std::uint64_t chunk, std::uint32_t position) {
  ASSAY_ASSERT(chunk < op.chunks);
  if (op.by_segment)
    return positions_in(static_cast<std::uint32_t>(chunk % segments_at(position)), position);
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(kChunkValues, op.values - chunk * kChunkValues));
}

std::uint32_t steps_of(const Op& op, std::uint64_t element, std::uint32_t position) {
  if (op.kind != OpKind::weighted_value) return op.steps;
  const std::uint64_t segment = element / op.width % segments_at(position);
  return positions_in(static_cast<std::uint32_t>(segment), position);
}

}  // namespace assay::verify
