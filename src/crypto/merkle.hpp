// The Merkle tree of RFC 6962 section 2.1 (SHA-256, leaf prefix 0x00, node prefix 0x01), with the
// iterative proof check of RFC 9162 section 2.1.3.2. Every proof is bound to index and size.
#pragma once
#include "base/bytes.hpp"

namespace assay::crypto {

Hash leaf_hash(ByteView data);
Hash node_hash(const Hash& left, const Hash& right);

// The root over leaf hashes (not over data); of no leaves: sha256("").
Hash merkle_root(std::span<const Hash> leaf_hashes);

// The audit path from leaf `index` up, nearest sibling first. index < leaf_hashes.size() is the
// caller's to guarantee (asserted).
std::vector<Hash> inclusion_proof(std::span<const Hash> leaf_hashes, std::uint64_t index);

// True only when `leaf_hash` is leaf number `index` of the tree of `size` leaves under `root`.
// Takes hostile input: any index, size and proof length.
bool verify_inclusion(const Hash& root, const Hash& leaf_hash, std::uint64_t index,
                      std::uint64_t size, std::span<const Hash> proof);

// True only when the tree of `old_size` leaves under `old_root` is the beginning of the tree of
// `size` leaves under `root` (RFC 9162 section 2.1.4.2). Equal sizes need equal roots and an empty
// proof; the empty tree is the beginning of every tree, with an empty proof. Takes hostile input.
bool verify_consistency(const Hash& old_root, std::uint64_t old_size, const Hash& root,
                        std::uint64_t size, std::span<const Hash> proof);

// The root of a growing list in O(log n) memory; at every size equal to merkle_root.
class MerkleBuilder {
 public:
  void append(const Hash& leaf_hash);
  Hash root() const;
  std::uint64_t size() const { return size_; }

 private:
  std::vector<Hash> peaks_;  // roots of the full subtrees, largest first: the bits of size_
  std::uint64_t size_ = 0;
};

}  // namespace assay::crypto
