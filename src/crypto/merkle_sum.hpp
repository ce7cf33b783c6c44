// A Merkle tree whose nodes carry amounts: a claim's root states what all its receipts add up to,
// and no receipt can be counted with another amount or left out of the sum.
//   leaf = (sha256(0x02 ‖ item ‖ amount), amount)
//   node = (sha256(0x03 ‖ left.hash ‖ left.sum ‖ right.hash ‖ right.sum), left.sum + right.sum)
// Amounts are int64 ≥ 0, eight bytes big-endian. The shape is RFC 6962's; the prefixes differ from
// it, so that no node of one tree is a node of the other. Of no leaves: (sha256(""), 0).
#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay::crypto {

struct SumNode {
  Hash hash{};
  std::int64_t sum = 0;
  bool operator==(const SumNode&) const = default;
};

// Errors: refused for a negative amount or a total over int64.
Result<SumNode> sum_leaf(const Hash& item, std::int64_t amount);
Result<SumNode> sum_node(const SumNode& left, const SumNode& right);
Result<SumNode> merkle_sum_root(std::span<const SumNode> leaves);
// The siblings from leaf `index` up, nearest first. index < leaves.size() is asserted.
Result<std::vector<SumNode>> merkle_sum_proof(std::span<const SumNode> leaves, std::uint64_t index);

// True only when `item` with `amount` is leaf number `index` of the tree of `size` leaves under
// `root`, no amount on the path is negative, nothing overflows and the sums meet at root.sum.
// Takes hostile input.
bool verify_merkle_sum(const SumNode& root, const Hash& item, std::int64_t amount,
                       std::uint64_t index, std::uint64_t size, std::span<const SumNode> proof);

}  // namespace assay::crypto
