#include "crypto/merkle.hpp"

#include <gtest/gtest.h>

#include "base/hex.hpp"
#include "crypto/merkle_sum.hpp"
#include "crypto/sha256.hpp"

namespace assay::crypto {
namespace {

std::vector<Hash> leaves_of(std::size_t n) {
  std::vector<Hash> out;
  for (std::size_t i = 0; i < n; ++i)
    out.push_back(leaf_hash(std::array{static_cast<std::uint8_t>(i)}));
  return out;
}

// The tree every Certificate Transparency implementation tests itself with.
TEST(Merkle, Rfc6962KnownRoots) {
  const std::vector<std::string> inputs = {"",
                                           "00",
                                           "10",
                                           "2021",
                                           "3031",
                                           "40414243",
                                           "5051525354555657",
                                           "606162636465666768696a6b6c6d6e6f"};
  const std::vector<std::string> roots = {
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
      "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
      "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
      "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
      "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
      "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
  EXPECT_EQ(merkle_root({}), sha256({}));
  MerkleBuilder builder;
  std::vector<Hash> leaves;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    leaves.push_back(leaf_hash(*from_hex(inputs[i])));
    builder.append(leaves.back());
    EXPECT_EQ(to_hex_bare(merkle_root(leaves)), roots[i]);
    EXPECT_EQ(builder.root(), merkle_root(leaves));
    EXPECT_EQ(builder.size(), i + 1);
  }
}

// RFC 6962's recursive definition, to hold the builder against.
Hash recursive_root(std::span<const Hash> leaves) {
  if (leaves.size() == 1) return leaves[0];
  std::size_t split = 1;
  while (split * 2 < leaves.size()) split *= 2;
  return node_hash(recursive_root(leaves.first(split)), recursive_root(leaves.subspan(split)));
}

// Every size to 40, every index, against every other index and claimed size.
TEST(Merkle, ProofsAreBoundToIndexAndSize) {
  const auto all = leaves_of(40);
  for (std::size_t n = 1; n <= all.size(); ++n) {
    const auto leaves = std::span(all).first(n);
    const Hash root = merkle_root(leaves);
    ASSERT_EQ(root, recursive_root(leaves));
    for (std::size_t i = 0; i < n; ++i) {
      auto proof = inclusion_proof(leaves, i);
      ASSERT_TRUE(verify_inclusion(root, leaves[i], i, n, proof)) << n << ' ' << i;
      for (std::size_t other = 0; other <= n; ++other)
        ASSERT_EQ(verify_inclusion(root, leaves[i], other, n, proof), other == i);
      ASSERT_FALSE(verify_inclusion(root, leaves[i], i, 0, proof));
      ASSERT_FALSE(verify_inclusion(root, leaves[i], UINT64_MAX, n, proof));
      if (!proof.empty()) {
        auto changed = proof;
        changed.back()[31] ^= 1;
        ASSERT_FALSE(verify_inclusion(root, leaves[i], i, n, changed));
        const auto shorter = std::span(proof).first(proof.size() - 1);
        ASSERT_FALSE(verify_inclusion(root, leaves[i], i, n, shorter));
      }
      proof.push_back(root);
      ASSERT_FALSE(verify_inclusion(root, leaves[i], i, n, proof));
    }
  }
  const std::vector<Hash> endless(200);
  EXPECT_FALSE(verify_inclusion({}, {}, UINT64_MAX - 1, UINT64_MAX, endless));
}

// RFC 6962 section 2.1.2, as it is written there.
std::vector<Hash> recursive_consistency(std::span<const Hash> leaves, std::size_t old_size,
                                        bool whole) {
  if (old_size == leaves.size())
    return whole ? std::vector<Hash>{} : std::vector<Hash>{recursive_root(leaves)};
  std::size_t split = 1;
  while (split * 2 < leaves.size()) split *= 2;
  const auto left = leaves.first(split), right = leaves.subspan(split);
  std::vector<Hash> out;
  if (old_size <= split) {
    out = recursive_consistency(left, old_size, whole);
    out.push_back(recursive_root(right));
  } else {
    out = recursive_consistency(right, old_size - split, false);
    out.push_back(recursive_root(left));
  }
  return out;
}

// Every pair of sizes to 40, against every other claimed pair.
TEST(Merkle, ConsistencyIsBoundToBothSizes) {
  const auto all = leaves_of(40);
  std::vector<Hash> roots{sha256({})};
  for (std::size_t n = 1; n <= all.size(); ++n)
    roots.push_back(merkle_root(std::span(all).first(n)));
  for (std::size_t n = 1; n < roots.size(); ++n)
    for (std::size_t m = 1; m <= n; ++m) {
      auto proof = recursive_consistency(std::span(all).first(n), m, true);
      ASSERT_TRUE(verify_consistency(roots[m], m, roots[n], n, proof)) << m << ' ' << n;
      for (std::size_t k = 0; k < roots.size(); ++k) {
        ASSERT_EQ(verify_consistency(roots[k], k, roots[n], n, proof),
                  k == m || (proof.empty() && (k == 0 || k == n)))
            << k << ' ' << m << ' ' << n;
        ASSERT_FALSE(k != n && verify_consistency(roots[m], m, roots[k], n, proof));
      }
      for (auto& hash : proof) {
        hash[0] ^= 1;
        ASSERT_FALSE(verify_consistency(roots[m], m, roots[n], n, proof));
        hash[0] ^= 1;
      }
      if (!proof.empty()) {
        ASSERT_FALSE(
            verify_consistency(roots[m], m, roots[n], n, std::span(proof).first(proof.size() - 1)));
      }
      proof.push_back(roots[1]);
      ASSERT_FALSE(verify_consistency(roots[m], m, roots[n], n, proof));
    }
  EXPECT_TRUE(verify_consistency(roots[0], 0, roots[7], 7, {}));
  EXPECT_FALSE(verify_consistency(roots[1], 0, roots[7], 7, {}));
  EXPECT_FALSE(verify_consistency(roots[3], 3, roots[2], 2, {}));
  EXPECT_FALSE(verify_consistency({}, UINT64_MAX - 1, {}, UINT64_MAX, std::vector<Hash>(200)));
}

std::vector<SumNode> sum_leaves(std::size_t n) {
  std::vector<SumNode> out;
  for (std::size_t i = 0; i < n; ++i)
    out.push_back(*sum_leaf(Hash{static_cast<std::uint8_t>(i)}, static_cast<std::int64_t>(i * 7)));
  return out;
}

TEST(MerkleSum, ProofsAreBoundToIndexAndAmount) {
  EXPECT_EQ(merkle_sum_root({})->hash, sha256({}));
  for (std::size_t n = 1; n <= 20; ++n) {
    const auto leaves = sum_leaves(n);
    const SumNode root = *merkle_sum_root(leaves);
    EXPECT_EQ(root.sum, static_cast<std::int64_t>(7 * n * (n - 1) / 2));
    for (std::size_t i = 0; i < n; ++i) {
      const Hash item{static_cast<std::uint8_t>(i)};
      const auto amount = static_cast<std::int64_t>(i * 7);
      const auto proof = *merkle_sum_proof(leaves, i);
      for (std::size_t other = 0; other <= n; ++other)
        ASSERT_EQ(verify_merkle_sum(root, item, amount, other, n, proof), other == i);
      ASSERT_FALSE(verify_merkle_sum(root, item, amount + 1, i, n, proof));
      ASSERT_FALSE(verify_merkle_sum({root.hash, root.sum + 1}, item, amount, i, n, proof));
      for (std::size_t k = 0; k < proof.size(); ++k) {
        auto changed = proof;
        changed[k].sum += 1;
        ASSERT_FALSE(verify_merkle_sum(root, item, amount, i, n, changed));
        changed[k].sum = -1;
        ASSERT_FALSE(verify_merkle_sum(root, item, amount, i, n, changed));
        changed[k].sum = INT64_MAX;
        ASSERT_FALSE(verify_merkle_sum(root, item, amount, i, n, changed));
      }
    }
  }
}

TEST(MerkleSum, RefusesNegativeAndOverflowingAmounts) {
  EXPECT_FALSE(sum_leaf({}, -1));
  const auto big = *sum_leaf({}, INT64_MAX), one = *sum_leaf({}, 1), zero = *sum_leaf({}, 0);
  EXPECT_FALSE(sum_node(big, one));
  EXPECT_EQ(sum_node(big, zero)->sum, INT64_MAX);
  EXPECT_FALSE(sum_node(SumNode{{}, -1}, zero));
  EXPECT_FALSE(merkle_sum_root(std::array{big, zero, one}));
}

// A forger who hides a negative sibling keeps the total but shifts money: the hash built as the
// honest rule builds it is refused at the check, not by luck of the hash.
TEST(MerkleSum, NegativeSiblingIsRefusedEvenUnderItsOwnRoot) {
  Bytes node{0x03};
  const SumNode mine = *sum_leaf(Hash{1}, 10), forged{Hash{2}, -4};
  append(node, mine.hash);
  append_be(node, mine.sum);
  append(node, forged.hash);
  append_be(node, forged.sum);
  const SumNode root{sha256(node), 6};
  EXPECT_FALSE(verify_merkle_sum(root, Hash{1}, 10, 0, 2, std::array{forged}));
}

// The two trees share no prefix: neither's node is the other's, and leaves are not nodes.
TEST(MerkleSum, PrefixesDifferFromRfc6962) {
  Bytes leaf{0x02};
  append(leaf, Hash{5});
  append_be(leaf, std::int64_t{9});
  EXPECT_EQ(sum_leaf(Hash{5}, 9)->hash, sha256(leaf));
  EXPECT_NE(sum_leaf(Hash{5}, 9)->hash, leaf_hash(ByteView(leaf).subspan(1)));
}

}  // namespace
}  // namespace assay::crypto
