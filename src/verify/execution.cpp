#include "verify/execution.hpp"

#include <mutex>
#include <numeric>

#include "base/assert.hpp"
#include "canon/fp_environment.hpp"
#include "canon/sampling.hpp"
#include "crypto/merkle.hpp"
#include "verify/execution_inputs.hpp"
#include "verify/referee/opening.hpp"

namespace assay::verify {
namespace {

constexpr std::size_t kElementsPerTask = 64;

template <class T>
void put_value(Bytes& into, std::uint64_t i, T bits, std::size_t width) {
  for (std::size_t b = 0; b < width; ++b)
    into[i * width + b] = static_cast<std::uint8_t>(bits >> (8 * b));
}

std::uint32_t segments(std::uint32_t position) { return position / kChunkValues + 1; }

}  // namespace

LeafExecution::LeafExecution(const Opened& run, const LeafPlace& place, LeafStates states)
    : run_(run),
      place_(place),
      states_(std::move(states)),
      list_(ops_of(run.subject, place)),
      values_(list_.ops.size()) {}

std::optional<std::uint32_t> LeafExecution::find(std::string_view name) const {
  for (std::uint32_t i = 0; i < list_.ops.size(); ++i)
    if (list_.ops[i].name == name) return i;
  return std::nullopt;
}

std::uint64_t LeafExecution::offset(const Op& op, std::uint64_t chunk) const {
  if (!op.by_segment) return chunk * kChunkValues;
  const std::uint32_t s = segments(place_.position);
  return chunk / s * (std::uint64_t{place_.position} + 1) + chunk % s * kChunkValues;
}

std::uint64_t LeafExecution::element_of(const Op& op, std::uint64_t i) const {
  if (!op.by_segment) return i;
  const std::uint64_t positions = std::uint64_t{place_.position} + 1;
  const std::uint64_t head = i / positions, position = i % positions;
  return (head * segments(place_.position) + position / kChunkValues) * kChunkValues +
         position % kChunkValues;
}

ByteView LeafExecution::chunk(std::uint32_t op, std::uint64_t chunk) const {
  const Op& of = list_.ops[op];
  const std::size_t width = value_bytes(of.type);
  const ByteView all = values_[op];
  const std::size_t begin = std::min(offset(of, chunk) * width, all.size());
  return all.subspan(
      begin, std::min(chunk_values(of, chunk, place_.position) * width, all.size() - begin));
}

std::uint32_t LeafExecution::value(std::uint32_t op, std::uint64_t element) const {
  const std::size_t width = value_bytes(list_.ops[op].type);
  const ByteView bytes = chunk(op, element / kChunkValues).subspan(element % kChunkValues * width);
  std::uint32_t bits = 0;
  for (std::size_t b = 0; b < width; ++b) bits |= std::uint32_t{bytes[b]} << (8 * b);
  return bits;
}

std::span<const float> LeafExecution::floats(std::uint32_t op) const {
  return {reinterpret_cast<const float*>(values_[op].data()), values_[op].size() / sizeof(float)};
}

void LeafExecution::put(std::uint32_t op, Bytes values) {
  ASSAY_ASSERT(values.size() == list_.ops[op].values * value_bytes(list_.ops[op].type));
  values_[op] = std::move(values);
}

Status LeafExecution::compute(ThreadPool& pool, std::uint32_t from, std::uint32_t to) {
  fault_.reset();
  computed_ = from;
  to = std::min(to, static_cast<std::uint32_t>(list_.ops.size()));
  while (computed_ < to) {
    CHECK_OK(compute_op(computed_, pool));
    if (fault_) return {};
    ++computed_;
  }
  return {};
}

// Thresholds have no step: whoever executes names one, and later ops show that it is right.
void LeafExecution::choose_threshold(std::uint32_t op) {
  const canon::FpEnvironment environment;
  const auto z = find("gl") ? find("gl") : find("z"), p = find("p");
  const bool nucleus = std::string_view(list_.ops[op].name) == "tp";
  ASSAY_ASSERT(nucleus ? p.has_value() : z.has_value());
  const float threshold =
      nucleus ? canon::top_p_threshold(floats(*p),
                                       std::bit_cast<float>(run_.subject.request.top_p_bits))
              : canon::top_k_threshold(floats(*z), run_.subject.request.top_k);
  put_value(values_[op], 0, std::bit_cast<std::uint32_t>(threshold), 4);
}

// Neither do the ids of alternatives: the likeliest, lowest id first on ties.
void LeafExecution::choose_alternatives(std::uint32_t op) {
  const auto logits = floats(list_.ops[op].a.op);
  std::vector<std::uint32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0u);
  const std::size_t count = (list_.ops[op].values - 1) / 2;
  std::ranges::partial_sort(ids, ids.begin() + static_cast<std::ptrdiff_t>(count),
                            [&](std::uint32_t a, std::uint32_t b) {
                              return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
                            });
  for (std::size_t i = 0; i < count; ++i) put_value(values_[op], 1 + 2 * i, ids[i], 4);
}

Status LeafExecution::compute_op(std::uint32_t op, ThreadPool& pool) {
  const Op& of = list_.ops[op];
  const std::size_t width = value_bytes(of.type);
  values_[op].assign(of.values * width, 0);
  if (of.kind == OpKind::threshold) {
    choose_threshold(op);
    return {};
  }
  if (of.kind == OpKind::logprob) choose_alternatives(op);

  std::mutex mutex;
  std::optional<Error> error;
  // Of an answer's states each follows from the one before.
  const std::size_t grain =
      of.kind == OpKind::answer_state ? std::size_t{of.values} : kElementsPerTask;
  pool.parallel_for(of.values, grain, [&](std::size_t begin, std::size_t end) {
    MemoryInputs inputs(*this);
    std::vector<std::uint32_t> running;
    for (std::size_t i = begin; i < end; ++i) {
      StepPlace at{place_, op, element_of(of, i), 0};
      const std::uint32_t steps = steps_of(of, at.element, place_.position);
      running.clear();
      for (; at.step < steps; ++at.step) {
        const auto value = execute_step(run_.subject, list_, at, running, inputs);
        if (!value || value->fault) {
          const std::lock_guard lock(mutex);
          if (!value)
            error = value.error();
          else if (!fault_ || at.element < fault_->element)
            fault_ = {op, at.element, at.step};
          return;
        }
        running.push_back(value->bits);
      }
      put_value(values_[op], i, running.back(), width);
    }
  });
  if (error) return std::unexpected(*error);
  if (!fault_) return {};
  // What comes before the fault is known; threads have computed some of what comes after it.
  std::uint64_t known = 0;
  while (element_of(of, known) != fault_->element) ++known;
  values_[op].resize(known * width);
  return {};
}

Result<std::vector<std::uint32_t>> LeafExecution::running(std::uint32_t op,
                                                          std::uint64_t element) const {
  const Op& of = list_.ops[op];
  MemoryInputs inputs(*this);
  std::vector<std::uint32_t> out;
  if (of.kind == OpKind::threshold) return out;
  StepPlace at{place_, op, element, 0};
  for (; at.step < steps_of(of, element, place_.position); ++at.step) {
    TRY(const StepValue value, execute_step(run_.subject, list_, at, out, inputs));
    if (value.fault) break;
    out.push_back(value.bits);
  }
  return out;
}

std::vector<Hash> LeafExecution::chunk_leaves(std::uint32_t op) const {
  const Op& of = list_.ops[op];
  std::vector<Hash> out;
  for (std::uint64_t c = 0; c < of.chunks; ++c) {
    const ByteView bytes = chunk(op, c);
    if (bytes.size() < chunk_values(of, c, place_.position) * value_bytes(of.type)) break;
    out.push_back(crypto::leaf_hash(bytes));
  }
  return out;
}

Hash LeafExecution::root(std::uint32_t op) const {
  if (!list_.ops[op].scalar) return crypto::merkle_root(chunk_leaves(op));
  Hash out{};
  std::ranges::copy(values_[op], out.begin());
  return out;
}

std::optional<std::uint32_t> LeafExecution::tied(Op::Tie tie) const {
  for (std::uint32_t i = 0; i < computed_; ++i)
    if (list_.ops[i].tie == tie) return i;
  return std::nullopt;
}

Hash LeafExecution::salt() const { return leaf_salt(run_.secret(), place_.position, place_.index); }
Hash LeafExecution::x_root() const { return root(tied(Op::Tie::x).value()); }
Hash LeafExecution::k_root() const { return root(tied(Op::Tie::k).value()); }
Hash LeafExecution::v_root() const { return root(tied(Op::Tie::v).value()); }
Hash LeafExecution::logits_root() const { return root(tied(Op::Tie::logits).value()); }
std::uint32_t LeafExecution::token() const { return value(tied(Op::Tie::token).value(), 0); }

Hash LeafExecution::leaf_hash() const {
  if (place_.fault) return fault_leaf(place_.position, place_.index, salt());
  if (place_.index == run_.subject.program.layers)
    return head_leaf(place_.position, salt(), x_root(), logits_root(), token());
  return cell_leaf(place_.position, place_.index, salt(), x_root(), k_root(), v_root());
}

Bytes LeafExecution::preimage() const {
  Bytes out;
  append(out, salt());
  if (place_.fault) return out;
  append(out, x_root());
  if (place_.index == run_.subject.program.layers) {
    append(out, logits_root());
    append_le(out, token());
  } else {
    append(out, k_root());
    append(out, v_root());
  }
  return out;
}

Revealed LeafExecution::revealed(const TraceBuilder& trace) const {
  Revealed out;
  std::vector<Hash> positions;
  for (const Hash& root : trace.position_roots()) positions.push_back(crypto::leaf_hash(root));
  const auto leaves = trace.leaves(place_.position);
  out.positions_root = crypto::merkle_root(positions);
  out.positions = static_cast<std::uint32_t>(positions.size());
  out.position_root = position_root(leaves);
  out.position_leaves = static_cast<std::uint32_t>(leaves.size());
  out.salt = salt();
  if (!place_.fault) {
    out.x = x_root();
    if (place_.index == run_.subject.program.layers) {
      out.logits = logits_root();
      out.token = token();
    } else {
      out.k = k_root();
      out.v = v_root();
    }
  }
  for (std::uint32_t i = 0; i < computed_; ++i) out.op_roots.push_back(root(i));
  return out;
}

Result<Bytes> LeafExecution::write_proof(const StepPlace& place, const TracePaths& paths,
                                         ThreadPool& pool) const {
  TRY(auto before, running(place.op, place.element));
  if (before.size() < place.step)
    return fail(Errc::invalid, "this execution faults before step {} of the element", place.step);
  before.resize(place.step);
  Bytes proof;
  RecordingInputs inputs(*this, paths, pool, proof);
  CHECK_OK(execute_step(run_.subject, list_, place, before, inputs));
  return proof;
}

OwnTrace::OwnTrace(const TraceBuilder& trace) : trace_(trace) {
  for (const Hash& root : trace.position_roots()) positions_.push_back(crypto::leaf_hash(root));
}
std::vector<Hash> OwnTrace::over_positions(std::uint32_t position) const {
  return crypto::inclusion_proof(positions_, position);
}
std::vector<Hash> OwnTrace::in_position(std::uint32_t position, std::uint32_t leaf) const {
  return crypto::inclusion_proof(trace_.leaves(position), leaf);
}

}  // namespace assay::verify
