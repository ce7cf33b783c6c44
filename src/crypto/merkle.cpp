#include "crypto/merkle.hpp"

#include <bit>

#include "base/assert.hpp"
#include "crypto/sha256.hpp"

namespace assay::crypto {

Hash leaf_hash(ByteView data) {
  constexpr std::uint8_t prefix = 0x00;
  Sha256 h;
  h.update({&prefix, 1});
  h.update(data);
  return h.finish();
}

Hash node_hash(const Hash& left, const Hash& right) {
  std::array<std::uint8_t, 65> buffer;
  buffer[0] = 0x01;
  std::memcpy(buffer.data() + 1, left.data(), 32);
  std::memcpy(buffer.data() + 33, right.data(), 32);
  return sha256(buffer);
}

Hash merkle_root(std::span<const Hash> leaf_hashes) {
  MerkleBuilder builder;
  for (const Hash& leaf : leaf_hashes) builder.append(leaf);
  return builder.root();
}

std::vector<Hash> inclusion_proof(std::span<const Hash> leaf_hashes, std::uint64_t index) {
  ASSAY_ASSERT(index < leaf_hashes.size());
  std::vector<Hash> path;
  while (leaf_hashes.size() > 1) {
    const std::size_t split = std::bit_floor(leaf_hashes.size() - 1);
    const auto left = leaf_hashes.first(split), right = leaf_hashes.subspan(split);
    if (index < split) {
      path.push_back(merkle_root(right));
      leaf_hashes = left;
    } else {
      path.push_back(merkle_root(left));
      leaf_hashes = right;
      index -= split;
    }
  }
  std::ranges::reverse(path);
  return path;
}

bool verify_inclusion(const Hash& root, const Hash& leaf_hash, std::uint64_t index,
                      std::uint64_t size, std::span<const Hash> proof) {
  if (index >= size) return false;
  std::uint64_t node = index, last = size - 1;
  Hash hash = leaf_hash;
  for (const Hash& sibling : proof) {
    if (last == 0) return false;
    if ((node & 1) != 0 || node == last) {
      hash = node_hash(sibling, hash);
      // A right edge without a sibling was promoted: climb to where it has one.
      while ((node & 1) == 0 && node != 0) {
        node >>= 1;
        last >>= 1;
      }
    } else {
      hash = node_hash(hash, sibling);
    }
    node >>= 1;
    last >>= 1;
  }
  return last == 0 && hash == root;
}

bool verify_consistency(const Hash& old_root, std::uint64_t old_size, const Hash& root,
                        std::uint64_t size, std::span<const Hash> proof) {
  if (old_size > size) return false;
  if (old_size == 0) return proof.empty() && old_root == sha256({});
  if (old_size == size) return proof.empty() && old_root == root;
  // The largest full subtree at the right edge of the old tree; when it is the whole old tree, its
  // root is known and left out of the proof.
  std::uint64_t node = old_size - 1, last = size - 1;
  while ((node & 1) != 0) {
    node >>= 1;
    last >>= 1;
  }
  const bool whole = std::has_single_bit(old_size);
  if (!whole && proof.empty()) return false;
  const Hash start = whole ? old_root : proof[0];
  if (!whole) proof = proof.subspan(1);
  Hash before = start, after = start;
  for (const Hash& sibling : proof) {
    if (last == 0) return false;
    if ((node & 1) != 0 || node == last) {
      before = node_hash(sibling, before);
      after = node_hash(sibling, after);
      while ((node & 1) == 0 && node != 0) {
        node >>= 1;
        last >>= 1;
      }
    } else {
      after = node_hash(after, sibling);
    }
    node >>= 1;
    last >>= 1;
  }
  return last == 0 && before == old_root && after == root;
}

void MerkleBuilder::append(const Hash& leaf_hash) {
  Hash hash = leaf_hash;
  for (std::uint64_t carry = size_; (carry & 1) != 0; carry >>= 1) {
    hash = node_hash(peaks_.back(), hash);
    peaks_.pop_back();
  }
  peaks_.push_back(hash);
  ++size_;
}

Hash MerkleBuilder::root() const {
  if (peaks_.empty()) return sha256({});
  Hash hash = peaks_.back();
  for (std::size_t i = peaks_.size() - 1; i-- > 0;) hash = node_hash(peaks_[i], hash);
  return hash;
}

}  // namespace assay::crypto
