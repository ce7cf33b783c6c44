#include "verify/dispute/tree.hpp"

#include <gtest/gtest.h>

#include "crypto/merkle.hpp"

namespace assay::verify {
namespace {

std::vector<Hash> leaves(std::size_t n) {
  std::vector<Hash> out(n);
  for (std::size_t i = 0; i < n; ++i) {
    Bytes data;
    append_le(data, static_cast<std::uint32_t>(i));
    out[i] = crypto::leaf_hash(data);
  }
  return out;
}

std::vector<Hash> hashes(const TreeNode& node, std::span<const Hash> all) {
  std::vector<Hash> out;
  for (const TreeNode& child : children_of(node))
    out.push_back(crypto::merkle_root(all.subspan(child.first, child.leaves)));
  return out;
}

TEST(Tree, ChildrenCoverTheirNodeAndHashToIt) {
  const auto all = leaves(5000);
  for (const std::uint64_t n : {1u, 2u, 3u, 5u, 31u, 33u, 63u, 64u, 65u, 96u, 97u, 127u, 129u,
                                2047u, 4096u, 4097u, 5000u}) {
    const TreeNode root{0, n};
    const auto shapes = children_of(root);
    ASSERT_LE(shapes.size(), kChildrenMax);
    std::uint64_t at = 0;
    for (const TreeNode& child : shapes) {
      EXPECT_EQ(child.first, at);
      at += child.leaves;
    }
    EXPECT_EQ(at, n);
    EXPECT_EQ(hash_of_children(hashes(root, all)), crypto::merkle_root(std::span(all).first(n)))
        << n;
  }
}

TEST(Tree, EveryLeafIsReachedInAsManyRevealsAsThereAreSixLevels) {
  for (const std::uint64_t n : {1u, 64u, 65u, 4096u, 4097u, 32768u, 262144u}) {
    std::size_t expected = 1;
    for (std::uint64_t reach = 64; reach < n; reach *= 64) ++expected;
    for (const std::uint64_t leaf : {std::uint64_t{0}, n / 2, n - 1}) {
      TreeNode node{0, n};
      std::size_t reveals = 0;
      do {
        ++reveals;
        for (const TreeNode& child : children_of(node))
          if (leaf >= child.first && leaf < child.first + child.leaves) {
            node = child;
            break;
          }
      } while (node.leaves > 1);
      EXPECT_EQ(node, (TreeNode{leaf, 1}));
      EXPECT_LE(reveals, expected);
    }
  }
}

// Before the disputed leaf everything is known, beyond it only what was revealed on the way.
TEST(Tree, PathsFromKnownLeavesAndRevealedNodes) {
  for (const std::size_t n : {1u, 2u, 70u, 100u, 4097u}) {
    const auto all = leaves(n);
    const Hash root = crypto::merkle_root(all);
    for (const std::size_t target : {std::size_t{0}, n / 3, n - 1}) {
      std::vector<Descent> revealed;
      TreeNode node{0, n};
      do {
        revealed.push_back({node, hashes(node, all)});
        for (const TreeNode& child : children_of(node))
          if (target >= child.first && target < child.first + child.leaves) {
            node = child;
            break;
          }
      } while (node.leaves > 1);
      const auto known = std::span(all).first(target);
      for (std::size_t i = 0; i <= target; i += 1 + target / 7) {
        const auto path = path_in(known, revealed, n, i);
        ASSERT_TRUE(path);
        EXPECT_TRUE(crypto::verify_inclusion(root, all[i], i, n, *path));
      }
    }
  }
  const auto all = leaves(100);
  EXPECT_FALSE(path_in(std::span(all).first(50), {}, 100, 10));
}

}  // namespace
}  // namespace assay::verify
