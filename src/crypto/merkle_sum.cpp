#include "crypto/merkle_sum.hpp"

#include <bit>

#include "base/assert.hpp"
#include "crypto/sha256.hpp"

namespace assay::crypto {
namespace {

void put_amount(std::uint8_t* out, std::int64_t amount) {
  for (int i = 0; i < 8; ++i)
    out[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(amount) >> (56 - 8 * i));
}

}  // namespace

Result<SumNode> sum_leaf(const Hash& item, std::int64_t amount) {
  if (amount < 0)
    return fail(Errc::refused, "a claim cannot contain the negative amount {}", amount);
  std::array<std::uint8_t, 41> buffer;
  buffer[0] = 0x02;
  std::memcpy(buffer.data() + 1, item.data(), 32);
  put_amount(buffer.data() + 33, amount);
  return SumNode{sha256(buffer), amount};
}

Result<SumNode> sum_node(const SumNode& left, const SumNode& right) {
  if (left.sum < 0 || right.sum < 0)
    return fail(Errc::refused, "a claim cannot contain a negative amount");
  if (left.sum > INT64_MAX - right.sum)
    return fail(Errc::refused, "the amounts of this claim add up to more than 2^63-1 micro-units");
  std::array<std::uint8_t, 81> buffer;
  buffer[0] = 0x03;
  std::memcpy(buffer.data() + 1, left.hash.data(), 32);
  put_amount(buffer.data() + 33, left.sum);
  std::memcpy(buffer.data() + 41, right.hash.data(), 32);
  put_amount(buffer.data() + 73, right.sum);
  return SumNode{sha256(buffer), left.sum + right.sum};
}

Result<SumNode> merkle_sum_root(std::span<const SumNode> leaves) {
  if (leaves.empty()) return SumNode{sha256({}), 0};
  if (leaves.size() == 1) return leaves[0];
  const std::size_t split = std::bit_floor(leaves.size() - 1);
  TRY(const SumNode left, merkle_sum_root(leaves.first(split)));
  TRY(const SumNode right, merkle_sum_root(leaves.subspan(split)));
  return sum_node(left, right);
}

Result<std::vector<SumNode>> merkle_sum_proof(std::span<const SumNode> leaves,
                                              std::uint64_t index) {
  ASSAY_ASSERT(index < leaves.size());
  std::vector<SumNode> path;
  while (leaves.size() > 1) {
    const std::size_t split = std::bit_floor(leaves.size() - 1);
    const bool in_left = index < split;
    const auto left = leaves.first(split), right = leaves.subspan(split);
    TRY(const SumNode sibling, merkle_sum_root(in_left ? right : left));
    path.push_back(sibling);
    leaves = in_left ? left : right;
    if (!in_left) index -= split;
  }
  std::ranges::reverse(path);
  return path;
}

bool verify_merkle_sum(const SumNode& root, const Hash& item, std::int64_t amount,
                       std::uint64_t index, std::uint64_t size, std::span<const SumNode> proof) {
  if (index >= size) return false;
  auto current = sum_leaf(item, amount);
  std::uint64_t node = index, last = size - 1;
  for (const SumNode& sibling : proof) {
    if (last == 0 || !current) return false;
    if ((node & 1) != 0 || node == last) {
      current = sum_node(sibling, *current);
      while ((node & 1) == 0 && node != 0) {
        node >>= 1;
        last >>= 1;
      }
    } else {
      current = sum_node(*current, sibling);
    }
    node >>= 1;
    last >>= 1;
  }
  return last == 0 && current && *current == root;
}

}  // namespace assay::crypto
