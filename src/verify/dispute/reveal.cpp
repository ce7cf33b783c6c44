// The provider's moves: what each must hash to, and the rules of spec/dispute.md section 3 that
// bind one root to another.
#include "crypto/merkle.hpp"
#include "crypto/sha256.hpp"
#include "verify/dispute/game.hpp"
#include "verify/referee/opening.hpp"

namespace assay::verify {
namespace {

// Reads a payload from the front.
struct RevealReader {
  ByteView left;
  bool ok = true;

  std::uint32_t le32() {
    const ByteView b = take(4);
    return ok ? load_le<std::uint32_t>(b.data()) : 0;
  }
  Hash hash() {
    Hash h{};
    const ByteView b = take(h.size());
    if (ok) std::ranges::copy(b, h.begin());
    return h;
  }
  ByteView take(std::size_t n) {
    ok = ok && left.size() >= n;
    const ByteView out = left.first(ok ? n : 0);
    left = left.subspan(out.size());
    return out;
  }
  std::vector<Hash> hashes(std::size_t n) {
    std::vector<Hash> out;
    for (std::size_t i = 0; i < n && ok; ++i) out.push_back(hash());
    return out;
  }
};

Status form(const RevealReader& r, std::size_t had, Phase phase) {
  if (r.ok && r.left.empty()) return {};
  return fail(Errc::invalid, "{}: a reveal of {} bytes {}", to_string(phase), had,
              r.ok ? fmt::format("is {} too long", r.left.size()) : "is too short");
}

Status not_committed(std::string_view what) {
  return fail(Errc::mismatch, "{} do not hash to what the provider committed to", what);
}

Hash root_of_trace(std::uint32_t positions, std::uint32_t layers, const Hash& tree) {
  Bytes data;
  append(data, view("assay/trace/v0"));
  append_le(data, positions);
  append_le(data, layers);
  append(data, tree);
  return crypto::sha256(data);
}

Hash revealed_leaf(const LeafPlace& place, std::uint32_t layers, const Revealed& r) {
  if (place.fault) return fault_leaf(place.position, place.index, r.salt);
  if (place.index == layers) return head_leaf(place.position, r.salt, r.x, r.logits, r.token);
  return cell_leaf(place.position, place.index, r.salt, r.x, r.k, r.v);
}

// What a scalar that must have one value says. nullptr: nothing is wrong.
const char* broken_rule(const OpList& list, std::size_t i, const Subject& subject,
                        const Revealed& r) {
  const Op& op = list.ops[i];
  const Hash& root = r.op_roots[i];
  const auto scalar = [](const Hash& h) { return load_le<std::uint32_t>(h.data()); };
  switch (op.tie) {
    case Op::Tie::x:
      if (root != r.x) return "is not the leaf's x";
      break;
    case Op::Tie::k:
      if (root != r.k) return "is not the leaf's k";
      break;
    case Op::Tie::v:
      if (root != r.v) return "is not the leaf's v";
      break;
    case Op::Tie::logits:
      if (root != r.logits) return "is not the leaf's logits";
      break;
    case Op::Tie::token:
      if (scalar(root) != r.token) return "is not the leaf's token";
      break;
    case Op::Tie::none:
      break;
  }
  const auto before = [&](OpKind kind) -> const Hash* {
    for (std::size_t j = i; j-- > 0;)
      if (list.ops[j].kind == kind) return &r.op_roots[j];
    return nullptr;
  };
  switch (op.kind) {
    case OpKind::threshold_ok:
      return scalar(root) == 1 ? nullptr : "is not 1";
    case OpKind::next_token: {
      const Hash* chosen = before(OpKind::best_token);
      return chosen != nullptr && scalar(root) == scalar(*chosen) ? nullptr
                                                                  : "is not the token chosen";
    }
    case OpKind::running_total: {
      const bool ranks = list.ops[op.a.op].kind == OpKind::rank_count;
      return !ranks || scalar(root) == subject.request.logprobs - 1
                 ? nullptr
                 : "is not the number of alternatives";
    }
    case OpKind::logprob_leaf: {
      const Hash* own = before(OpKind::logprob);
      return own != nullptr && root == *own ? nullptr : "is not the log-probabilities computed";
    }
    default:
      return nullptr;
  }
}

}  // namespace

Status Game::reveal(ByteView payload) {
  switch (phase_) {
    case Phase::positions:
      return reveal_positions(payload);
    case Phase::leaves:
      return reveal_leaves(payload);
    case Phase::ops:
      return reveal_ops(payload);
    case Phase::chunks: {
      RevealReader r{payload};
      const auto children = r.hashes(children_of(node_).size());
      CHECK_OK(form(r, payload.size(), phase_));
      if (hash_of_children(children) != hash_) return not_committed("chunks");
      chunks_.push_back({node_, children});
      choosing_ = true;
      return {};
    }
    case Phase::values:
      return reveal_values(payload);
    case Phase::running:
      return reveal_running(payload);
    case Phase::step:
    case Phase::salt:
      break;
  }
  return fail(Errc::internal, "no reveal is due");
}

Status Game::reveal_positions(ByteView payload) {
  const Subject& s = *subject_;
  RevealReader r{payload};
  TreeNode node = node_;
  const bool first = positions_.empty();
  if (first) {
    std::uint32_t count = s.prompt() + s.count - (s.ends_in_fault() ? 0 : 1);
    if (s.ends_in_fault() && s.count == 0) {
      count = r.le32();
      if (r.ok && (count == 0 || count > s.prompt()))
        return fail(Errc::invalid, "a fault in a prompt of {} tokens is not after {} positions",
                    s.prompt(), count);
    }
    node = {0, count};
  }
  if (!r.ok) return form(r, payload.size(), phase_);
  auto children = r.hashes(children_of(node).size());
  CHECK_OK(form(r, payload.size(), phase_));
  const Hash root = hash_of_children(children);
  if (first) {
    const auto count = static_cast<std::uint32_t>(node.leaves);
    if (root_of_trace(count, s.program.layers, root) != s.trace_root)
      return not_committed("positions");
    revealed_.positions_root = root;
    revealed_.positions = count;
  } else if (root != hash_) {
    return not_committed("positions");
  }
  node_ = node;
  positions_.push_back({node, std::move(children)});
  choosing_ = true;
  return {};
}

Status Game::reveal_leaves(ByteView payload) {
  const Subject& s = *subject_;
  const std::uint32_t position = place_.leaf.position, layers = s.program.layers;
  const bool first = leaves_.empty();
  const bool last = s.ends_in_fault() && position == revealed_.positions - 1;
  RevealReader r{payload};
  TreeNode node = node_;
  if (first) {
    std::uint32_t count = position_leaves(s, position);
    if (last) {
      const std::uint32_t fault = r.le32();
      // Without a head nothing can fault in its place.
      if (r.ok && fault >= count)
        return fail(Errc::invalid, "a fault in layer {} of {} at position {}", fault, layers,
                    position);
      count = fault + 1;
    }
    node = {0, count};
  }
  if (!r.ok) return form(r, payload.size(), phase_);
  auto children = r.hashes(children_of(node).size());
  CHECK_OK(form(r, payload.size(), phase_));
  const Hash root = hash_of_children(children);
  // The leaf of a position is the hash of its root.
  if ((first ? crypto::leaf_hash(root) : root) != hash_) return not_committed("leaves");
  if (first) {
    revealed_.position_root = root;
    revealed_.position_leaves = static_cast<std::uint32_t>(node.leaves);
  }
  node_ = node;
  leaves_.push_back({node, std::move(children)});
  choosing_ = true;
  return {};
}

Status Game::reveal_ops(ByteView payload) {
  const Subject& s = *subject_;
  const LeafPlace& leaf = place_.leaf;
  RevealReader r{payload};
  Revealed revealed = revealed_;
  std::uint32_t count = static_cast<std::uint32_t>(ops_.ops.size());
  if (leaf.fault) {
    count = r.le32();
    if (r.ok && (count < ops_.fault_from || count >= ops_.ops.size() ||
                 ops_.ops[count].kind == OpKind::threshold))
      return fail(Errc::invalid, "op {} of {} cannot be the one that faults", count,
                  ops_.ops.size());
  }
  revealed.salt = r.hash();
  if (!leaf.fault) {
    revealed.x = r.hash();
    if (leaf.index == s.program.layers) {
      revealed.logits = r.hash();
      revealed.token = r.le32();
    } else {
      revealed.k = r.hash();
      revealed.v = r.hash();
    }
  }
  revealed.op_roots.clear();
  for (std::uint32_t i = 0; i < count && r.ok; ++i) {
    Hash root{};
    if (ops_.ops[i].scalar)
      std::ranges::copy(r.take(4), root.begin());
    else
      root = r.hash();
    revealed.op_roots.push_back(root);
  }
  std::optional<FaultClaim> fault;
  if (leaf.fault) {
    fault = FaultClaim{count, r.le32(), 0};
    fault->running = r.le32();
  }
  CHECK_OK(form(r, payload.size(), phase_));
  if (revealed_leaf(leaf, s.program.layers, revealed) != hash_)
    return not_committed("salt and roots");
  for (std::uint32_t i = 0; i < count; ++i)
    if (const char* broken = broken_rule(ops_, i, s, revealed))
      return fail(Errc::refused, "op {} ({}) {}", i, ops_.ops[i].name, broken);
  if (fault) {
    const Op& op = ops_.ops[fault->op];
    const std::uint64_t chunk = fault->element / kChunkValues;
    if (chunk >= op.chunks ||
        fault->element % kChunkValues >= chunk_values(op, chunk, leaf.position) ||
        fault->running >= steps_of(op, fault->element, leaf.position))
      return fail(Errc::invalid, "{} has no element {} or no step {} of it", op.name,
                  fault->element, fault->running);
  }
  revealed_ = std::move(revealed);
  fault_ = fault;
  choosing_ = true;
  return {};
}

Status Game::reveal_values(ByteView payload) {
  const Op& op = ops_.ops[place_.op];
  const std::size_t bytes = chunk_values(op, chunk_, place_.leaf.position) * value_bytes(op.type);
  if (payload.size() != bytes)
    return fail(Errc::invalid, "{} bytes of a chunk that has {}", payload.size(), bytes);
  if (crypto::leaf_hash(payload) != hash_) return not_committed("values");
  values_.assign(payload.begin(), payload.end());
  choosing_ = true;
  return {};
}

Status Game::reveal_running(ByteView payload) {
  const Op& op = ops_.ops[place_.op];
  const std::size_t width = value_bytes(op.type);
  const std::uint32_t count =
      at_fault() ? fault_->running : steps_of(op, place_.element, place_.leaf.position);
  if (payload.size() != count * width)
    return fail(Errc::invalid, "{} bytes of running values, there are {}", payload.size(),
                count * width);
  std::vector<std::uint32_t> running;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, payload.data() + i * width, width);
    running.push_back(bits);
  }
  if (!at_fault() && running.back() != value_at(place_.element % kChunkValues))
    return not_committed("running values");
  running_ = std::move(running);
  choosing_ = true;
  return {};
}

}  // namespace assay::verify
