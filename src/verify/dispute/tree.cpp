#include "verify/dispute/tree.hpp"

#include <bit>

#include "base/assert.hpp"
#include "crypto/merkle.hpp"

namespace assay::verify {
namespace {

void collect(const TreeNode& node, std::uint32_t levels, std::vector<TreeNode>& out) {
  if (levels == 0 || node.leaves == 1) {
    out.push_back(node);
    return;
  }
  const std::uint64_t split = std::bit_floor(node.leaves - 1);
  collect({node.first, split}, levels - 1, out);
  collect({node.first + split, node.leaves - split}, levels - 1, out);
}

bool contains(const TreeNode& outer, const TreeNode& inner) {
  return inner.first >= outer.first && inner.first + inner.leaves <= outer.first + outer.leaves;
}

// What one side can say of a tree that it knows in part.
struct PartialTree {
  std::span<const Hash> known;
  std::span<const Descent> revealed;

  std::optional<Hash> hash(const TreeNode& node) const {
    if (node.first + node.leaves <= known.size())
      return crypto::merkle_root(known.subspan(node.first, node.leaves));
    bool above = false;  // a revealed node lies below
    for (const Descent& d : revealed) {
      const auto shapes = children_of(d.node);
      for (std::size_t i = 0; i < shapes.size(); ++i) {
        if (shapes[i] == node) return d.children[i];
        above = above || contains(node, shapes[i]);
      }
    }
    if (!above) return std::nullopt;
    const std::uint64_t split = std::bit_floor(node.leaves - 1);
    const auto left = hash({node.first, split});
    const auto right = hash({node.first + split, node.leaves - split});
    if (!left || !right) return std::nullopt;
    return crypto::node_hash(*left, *right);
  }
};

}  // namespace

std::vector<TreeNode> children_of(const TreeNode& node) {
  ASSAY_ASSERT(node.leaves >= 1);
  std::vector<TreeNode> out;
  out.reserve(kChildrenMax);
  collect(node, kDescentLevels, out);
  return out;
}

Hash hash_of_children(std::span<const Hash> children) { return crypto::merkle_root(children); }

std::optional<std::vector<Hash>> path_in(std::span<const Hash> known,
                                         std::span<const Descent> revealed, std::uint64_t leaves,
                                         std::uint64_t index) {
  ASSAY_ASSERT(index < leaves);
  const PartialTree tree{known, revealed};
  std::vector<Hash> path;
  TreeNode node{0, leaves};
  while (node.leaves > 1) {
    const std::uint64_t split = std::bit_floor(node.leaves - 1);
    TreeNode near{node.first, split}, sibling{node.first + split, node.leaves - split};
    if (index >= sibling.first) std::swap(near, sibling);
    const auto hash = tree.hash(sibling);
    if (!hash) return std::nullopt;
    path.push_back(*hash);
    node = near;
  }
  std::ranges::reverse(path);
  return path;
}

}  // namespace assay::verify
