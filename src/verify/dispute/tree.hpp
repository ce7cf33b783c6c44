// How a tree is walked in a dispute: six levels of an RFC 6962 tree at a time (spec/dispute.md
// section 4). Both sides compute the shapes from the number of leaves.
#pragma once
#include <optional>

#include "base/bytes.hpp"

namespace assay::verify {

inline constexpr std::uint32_t kDescentLevels = 6;
inline constexpr std::size_t kChildrenMax = 64;

// The node over leaves first … first + leaves - 1.
struct TreeNode {
  std::uint64_t first = 0, leaves = 0;
  bool operator==(const TreeNode&) const = default;
};

// The nodes six levels below `node`, left to right; leaves that come earlier are among them. Of one
// leaf: itself. node.leaves ≥ 1 (asserted).
std::vector<TreeNode> children_of(const TreeNode& node);

// The node's hash from theirs: the RFC 6962 tree over as many leaves has this very shape.
Hash hash_of_children(std::span<const Hash> children);

// One reveal on the way down. It holds what `children` hash to.
struct Descent {
  TreeNode node;
  std::vector<Hash> children;
};

// The audit path of leaf `index` in a tree of which leaves 0 … known.size() - 1 are known, and of
// the rest what was revealed on the way down to a later leaf. Nearest sibling first; nothing where
// a sibling is neither.
std::optional<std::vector<Hash>> path_in(std::span<const Hash> known,
                                         std::span<const Descent> revealed, std::uint64_t leaves,
                                         std::uint64_t index);

}  // namespace assay::verify
