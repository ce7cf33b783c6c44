#include "verify/dispute/players.hpp"

#include "base/assert.hpp"
#include "crypto/merkle.hpp"

namespace assay::verify {
namespace {

Bytes le32(std::uint32_t n) {
  Bytes out;
  append_le(out, n);
  return out;
}

Result<Bytes> reveal_children(const TreeNode& node, std::span<const Hash> leaves) {
  if (node.first + node.leaves > leaves.size())
    return fail(Errc::refused, "the game asks for {} leaves, this trace has {}",
                node.first + node.leaves, leaves.size());
  Bytes out;
  for (const TreeNode& child : children_of(node))
    append(out, crypto::merkle_root(leaves.subspan(child.first, child.leaves)));
  return out;
}

// The first child that is not what the known leaves, all that come before an end, hash to.
std::optional<std::uint32_t> first_difference(const Descent& revealed,
                                              std::span<const Hash> known) {
  const auto shapes = children_of(revealed.node);
  for (std::uint32_t i = 0; i < shapes.size(); ++i) {
    const TreeNode& child = shapes[i];
    if (child.first + child.leaves > known.size() ||
        crypto::merkle_root(known.subspan(child.first, child.leaves)) != revealed.children[i])
      return i;
  }
  return std::nullopt;
}

// A challenger's trace is the provider's up to the disputed leaf; beyond it are only hashes that
// were revealed.
struct RevealedPaths final : TracePaths {
  RevealedPaths(const Game& g, const Evidence& e) : game(g), evidence(e) {}
  std::vector<Hash> over_positions(std::uint32_t position) const override {
    const auto own = evidence.positions();
    const auto known = own.first(std::min<std::size_t>(own.size(), game.place().leaf.position));
    return path_in(known, game.position_descents(), game.revealed().positions, position)
        .value_or(std::vector<Hash>{});
  }
  std::vector<Hash> in_position(std::uint32_t position, std::uint32_t leaf) const override {
    const auto own = evidence.leaves(position);
    if (position != game.place().leaf.position) return crypto::inclusion_proof(own, leaf);
    const auto known =
        std::span(own).first(std::min<std::size_t>(own.size(), game.place().leaf.index));
    return path_in(known, game.leaf_descents(), game.revealed().position_leaves, leaf)
        .value_or(std::vector<Hash>{});
  }
  const Game& game;
  const Evidence& evidence;
};

bool is_advice(OpKind kind) { return kind == OpKind::threshold || kind == OpKind::logprob; }

// The leaf in dispute, with what no step gives taken from the provider.
Result<std::shared_ptr<LeafEvidence>> disputed_leaf(const Game& game, Evidence& evidence) {
  TRY(auto leaf, evidence.leaf(game.place().leaf));
  const auto& roots = game.revealed().op_roots;
  for (std::uint32_t i = 0; i < roots.size() && i < leaf->known_ops(); ++i)
    if (is_advice(game.ops().ops[i].kind) && leaf->op_root(i) != roots[i])
      CHECK_OK(leaf->adopt(i, roots[i]));
  return leaf;
}

std::unexpected<Error> nothing_differs() {
  return fail(Errc::not_found, "nothing that was revealed differs: the provider is right");
}

// The leaves this side would have at the position in dispute if no fault ended it earlier than the
// provider's: as long as they can be known.
Result<std::vector<Hash>> comparable_leaves(const Game& game, Evidence& evidence) {
  const std::uint32_t position = game.place().leaf.position;
  std::vector<Hash> own = evidence.leaves(position);
  const auto fault = evidence.fault();
  if (!fault || fault->position != position) return own;
  const bool ends = game.subject().ends_in_fault() && position + 1 == game.revealed().positions;
  if (ends && fault->index + 1 == game.revealed().position_leaves) return own;  // the same place
  // What the provider has in the fault's place may be right: then the fault shows after it.
  own.resize(fault->index);
  if (fault->index < game.subject().program.layers) {
    TRY(const auto cell, evidence.leaf({position, fault->index, false}));
    if (const auto hash = cell->leaf_hash()) own.push_back(*hash);
  }
  return own;
}

Result<Bytes> choose_op(const Game& game, Evidence& evidence) {
  TRY(const auto leaf, disputed_leaf(game, evidence));
  if (game.revealed().salt != leaf->salt()) return le32(kChooseSalt);
  const auto& roots = game.revealed().op_roots;
  for (std::uint32_t i = 0; i < roots.size(); ++i)
    if (i >= leaf->known_ops() || leaf->op_root(i) != roots[i]) {
      // Numbers that are not even the ones delivered: that is what can be shown of them.
      const bool delivered = i >= leaf->known_ops() || game.ops().ops[i].kind != OpKind::logprob;
      return le32(delivered ? i : static_cast<std::uint32_t>(roots.size() - 1));
    }
  if (game.fault()) return le32(game.fault()->op);
  return nothing_differs();
}

Result<Bytes> choose_value(const Game& game, Evidence& evidence) {
  TRY(const auto leaf, disputed_leaf(game, evidence));
  const std::uint32_t op = game.place().op;
  const std::size_t width = value_bytes(game.ops().ops[op].type);
  const Bytes own = leaf->chunk(op, game.chunk());
  const ByteView theirs = game.values();
  for (std::uint32_t i = 0; i < theirs.size() / width; ++i)
    if ((i + 1) * width > own.size() ||
        std::memcmp(&own[i * width], &theirs[i * width], width) != 0)
      return le32(i);
  return nothing_differs();
}

Result<Bytes> choose_running(const Game& game, Evidence& evidence) {
  TRY(const auto leaf, disputed_leaf(game, evidence));
  TRY(const auto own, leaf->running(game.place().op, game.place().element));
  const auto theirs = game.running();
  for (std::uint32_t i = 0; i < theirs.size(); ++i)
    if (i >= own.size() || own[i] != theirs[i]) return le32(i);
  if (game.fault()) return le32(static_cast<std::uint32_t>(theirs.size()));
  return nothing_differs();
}

// otherwise: the leaf to look at where nothing differs.
Result<Bytes> choose_child(std::span<const Descent> revealed, std::span<const Hash> known,
                           std::optional<std::uint64_t> otherwise = std::nullopt) {
  if (const auto child = first_difference(revealed.back(), known)) return le32(*child);
  const auto shapes = children_of(revealed.back().node);
  for (std::uint32_t i = 0; otherwise && i < shapes.size(); ++i)
    if (*otherwise >= shapes[i].first && *otherwise < shapes[i].first + shapes[i].leaves)
      return le32(i);
  return nothing_differs();
}

Result<Bytes> reveal_ops(const LeafEvidence& leaf, bool fault) {
  Bytes out;
  const auto claim = leaf.fault();
  if (fault != claim.has_value())
    return fail(Errc::refused, "this leaf {} here", fault ? "does not fault" : "faults");
  if (fault) append_le(out, claim->op);
  append(out, leaf.preimage());
  const std::uint32_t count = fault ? claim->op : leaf.known_ops();
  for (std::uint32_t i = 0; i < count; ++i) {
    const Hash root = leaf.op_root(i);
    append(out, ByteView(root).first(leaf.ops().ops[i].scalar ? 4 : root.size()));
  }
  if (fault) {
    append_le(out, claim->element);
    append_le(out, claim->running);
  }
  return out;
}

}  // namespace

Result<Bytes> respond(const Game& game, Evidence& evidence) {
  if (game.outcome() != DisputeOutcome::open || game.turn() != Side::provider)
    return fail(Errc::refused, "it is not the provider's turn");
  const StepPlace& place = game.place();
  const auto fault = evidence.fault();
  if (game.phase() == Phase::positions) {
    const auto own = evidence.positions();
    const bool first = game.position_descents().empty();
    Bytes out;
    if (first && game.subject().ends_in_fault() && game.subject().count == 0)
      append_le(out, static_cast<std::uint32_t>(own.size()));
    TRY(const Bytes children, reveal_children(first ? TreeNode{0, own.size()} : game.node(), own));
    append(out, children);
    return out;
  }
  if (game.phase() == Phase::leaves) {
    const auto own = evidence.leaves(place.leaf.position);
    const bool first = game.leaf_descents().empty();
    Bytes out;
    if (first && fault && fault->position == place.leaf.position) append_le(out, fault->index);
    TRY(const Bytes children, reveal_children(first ? TreeNode{0, own.size()} : game.node(), own));
    append(out, children);
    return out;
  }
  TRY(const auto leaf, evidence.leaf(place.leaf));
  switch (game.phase()) {
    case Phase::ops:
      return reveal_ops(*leaf, place.leaf.fault);
    case Phase::chunks:
      return reveal_children(game.node(), leaf->chunk_leaves(place.op));
    case Phase::values:
      return leaf->chunk(place.op, game.chunk());
    case Phase::running: {
      TRY(const auto running, leaf->running(place.op, place.element));
      Bytes out;
      for (const std::uint32_t bits : running) append_le(out, bits);
      return out;
    }
    default:
      return fail(Errc::internal, "no reveal is due");
  }
}

Result<Bytes> challenge(const Game& game, Evidence& evidence) {
  if (game.outcome() != DisputeOutcome::open || game.turn() != Side::challenger)
    return fail(Errc::refused, "it is not the challenger's turn");
  switch (game.phase()) {
    case Phase::positions:
      return choose_child(game.position_descents(), evidence.positions(), evidence.beside_trace());
    case Phase::leaves: {
      TRY(const auto own, comparable_leaves(game, evidence));
      return choose_child(game.leaf_descents(), own, game.subject().program.layers);
    }
    case Phase::ops:
      return choose_op(game, evidence);
    case Phase::chunks: {
      TRY(const auto leaf, disputed_leaf(game, evidence));
      return choose_child(game.chunk_descents(), leaf->chunk_leaves(game.place().op));
    }
    case Phase::values:
      return choose_value(game, evidence);
    case Phase::running:
      return choose_running(game, evidence);
    case Phase::step: {
      TRY(const auto leaf, disputed_leaf(game, evidence));
      return leaf->prove(game.place(), RevealedPaths(game, evidence));
    }
    case Phase::salt:
      return Bytes(evidence.secret().begin(), evidence.secret().end());
  }
  return fail(Errc::internal, "no move is due");
}

}  // namespace assay::verify
