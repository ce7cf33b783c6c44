#include "verify/dispute/evidence.hpp"

#include "crypto/merkle.hpp"
#include "protocol/tokens.hpp"

namespace assay::verify {

ExecutedLeaf::ExecutedLeaf(LeafExecution leaf, ThreadPool& pool)
    : leaf_(std::move(leaf)), pool_(pool) {
  if (const auto& f = leaf_.fault()) end_ = End{f->op, f->element};
}

std::optional<Hash> ExecutedLeaf::leaf_hash() const {
  if (!leaf_.place().fault && leaf_.fault()) return std::nullopt;
  return leaf_.leaf_hash();
}

std::uint32_t ExecutedLeaf::known_ops() const { return end_ ? end_->op : leaf_.computed(); }

std::optional<FaultClaim> ExecutedLeaf::fault() const {
  const auto& f = leaf_.fault();
  if (!f) return std::nullopt;
  return FaultClaim{f->op, static_cast<std::uint32_t>(f->element), f->running};
}

std::vector<Hash> ExecutedLeaf::chunk_leaves(std::uint32_t op) const {
  if (!end_ || op != end_->op) return leaf_.chunk_leaves(op);
  std::vector<Hash> out;
  for (std::uint64_t c = 0; c < end_->element / kChunkValues; ++c)
    out.push_back(crypto::leaf_hash(chunk(op, c)));
  return out;
}

Bytes ExecutedLeaf::chunk(std::uint32_t op, std::uint64_t chunk) const {
  if (!end_ || op != end_->op) {
    const ByteView bytes = leaf_.chunk(op, chunk);
    return {bytes.begin(), bytes.end()};
  }
  // Value by value, up to the end.
  Bytes out;
  const std::size_t width = value_bytes(leaf_.op(op).type);
  const std::uint64_t first = chunk * kChunkValues,
                      count = chunk_values(leaf_.op(op), chunk, leaf_.place().position);
  for (std::uint64_t e = first; e < std::min(first + count, end_->element); ++e) {
    const auto running = leaf_.running(op, e);
    if (!running || running->empty()) break;
    for (std::size_t b = 0; b < width; ++b)
      out.push_back(static_cast<std::uint8_t>(running->back() >> (8 * b)));
  }
  return out;
}

Status ExecutedLeaf::adopt(std::uint32_t op, const Hash& root) {
  switch (leaf_.op(op).kind) {
    case OpKind::threshold:
      leaf_.put(op, Bytes(root.begin(), root.begin() + 4));
      end_.reset();
      CHECK_OK(leaf_.compute(pool_, op + 1));
      if (const auto& f = leaf_.fault()) end_ = End{f->op, f->element};
      return {};
    case OpKind::logprob:
      return adopt_logprobs(op, root);
    default:
      return fail(Errc::internal, "op {} is computed, not chosen", op);
  }
}

// Both sides have the numbers that were delivered; if they are what the provider reveals here, the
// alternatives are its own: either a step tells one from what it must be, or what follows does.
Status ExecutedLeaf::adopt_logprobs(std::uint32_t op, const Hash& root) {
  const Opened& run = leaf_.run();
  const std::size_t width = protocol::logprob_width(run.subject.request);
  const std::size_t token = leaf_.place().position + std::size_t{1} - run.subject.prompt();
  if ((token + 1) * width > run.opening.logprobs.size()) return {};
  Bytes delivered;
  for (std::size_t i = 0; i < width; ++i)
    append_le(delivered, run.opening.logprobs[token * width + i]);
  if (crypto::leaf_hash(delivered) != root) return {};
  leaf_.put(op, std::move(delivered));
  for (std::uint64_t e = 0; e < width; ++e) {
    TRY(const auto running, leaf_.running(op, e));
    if (running.empty() || running.back() != leaf_.value(op, e)) {
      end_ = End{op, e};
      return {};
    }
  }
  return leaf_.compute(pool_, op + 1);
}

OwnEvidence::OwnEvidence(const Opened& run, const TraceBuilder& trace,
                         std::optional<engine::NumericFault> fault, ThreadPool& pool,
                         engine::Isa isa, std::optional<std::uint32_t> beside_trace,
                         std::size_t kv_bytes_max)
    : run_(run),
      trace_(trace),
      beside_trace_(beside_trace),
      kv_bytes_max_(kv_bytes_max),
      pool_(pool),
      isa_(isa) {
  for (const Hash& root : trace.position_roots()) positions_.push_back(crypto::leaf_hash(root));
  if (fault) fault_ = LeafPlace{fault->position, fault->layer, true};
}

Result<std::shared_ptr<LeafEvidence>> OwnEvidence::leaf(const LeafPlace& place) {
  if (last_ && last_place_.position == place.position && last_place_.index == place.index &&
      last_place_.fault == place.fault)
    return last_;
  TRY(auto states, leaf_states(run_, place, pool_, isa_, {}, kv_bytes_max_));
  LeafExecution execution(run_, place, std::move(states));
  CHECK_OK(execution.compute(pool_));
  last_ = std::make_shared<ExecutedLeaf>(std::move(execution), pool_);
  last_place_ = place;
  return last_;
}

}  // namespace assay::verify
