#include "tlog/tree.hpp"

#include <bit>

#include "base/assert.hpp"
#include "crypto/merkle.hpp"
#include "crypto/sha256.hpp"

namespace assay::tlog {

TileTree::TileTree(std::vector<Hash> leaves)
    : width_(static_cast<unsigned>(leaves.size())), rows_{std::move(leaves)} {
  while (rows_.back().size() > 1) {
    const auto& below = rows_.back();
    std::vector<Hash> row(below.size() / 2);
    for (std::size_t i = 0; i < row.size(); ++i)
      row[i] = crypto::node_hash(below[2 * i], below[2 * i + 1]);
    rows_.push_back(std::move(row));
  }
}

const Hash& TileTree::node(unsigned height, std::uint64_t index) const {
  ASSAY_ASSERT(height < rows_.size() && index < rows_[height].size());
  return rows_[height][index];
}

Result<std::shared_ptr<const TileTree>> Tree::tile(unsigned level, std::uint64_t index,
                                                   std::uint64_t size) {
  const TileId id{false, level, index, tile_width(size, level, index)};
  {
    const std::lock_guard lock(mutex_);
    // A wider tile that is there already begins with the same hashes.
    const auto found = cached_.lower_bound(id);
    if (found != cached_.end() && found->first.full() == id.full()) {
      recent_.splice(recent_.begin(), recent_, found->second);
      return found->second->second;
    }
  }
  TRY(const Bytes bytes, source_.read(id));
  TRY(auto hashes, parse_hashes(bytes, id.width));
  auto tree = std::make_shared<const TileTree>(std::move(hashes));
  const std::lock_guard lock(mutex_);
  if (!cached_.contains(id)) {
    recent_.emplace_front(id, tree);
    cached_[id] = recent_.begin();
  }
  while (recent_.size() > tiles_max_) {
    cached_.erase(recent_.back().first);
    recent_.pop_back();
  }
  return tree;
}

Result<Hash> Tree::range(std::uint64_t begin, std::uint64_t end, std::uint64_t size) {
  const std::uint64_t count = end - begin;
  if (std::has_single_bit(count)) {
    const auto height = static_cast<unsigned>(std::countr_zero(count));
    // The root of a full tile is the hash in the tile above it, which every tree has that has it.
    const unsigned level = height / kTileHeight;
    const std::uint64_t first = begin >> (level * kTileHeight);
    TRY(const auto tree, tile(level, first / kTileWidth, size));
    const unsigned inside = height % kTileHeight;
    return tree->node(inside, first % kTileWidth >> inside);
  }
  const std::uint64_t split = std::bit_floor(count);
  TRY(const Hash left, range(begin, begin + split, size));
  TRY(const Hash right, range(begin + split, end, size));
  return crypto::node_hash(left, right);
}

Result<Hash> Tree::root(std::uint64_t size) {
  if (size == 0) return crypto::sha256({});
  return range(0, size, size);
}

Result<Hash> Tree::leaf(std::uint64_t index, std::uint64_t size) {
  if (index >= size) return fail(Errc::invalid, "the tree has {} entries, none {}", size, index);
  return range(index, index + 1, size);
}

Result<std::vector<Hash>> Tree::inclusion_proof(std::uint64_t index, std::uint64_t size) {
  if (index >= size) return fail(Errc::invalid, "the tree has {} entries, none {}", size, index);
  std::vector<Hash> path;
  std::uint64_t begin = 0, end = size;
  while (end - begin > 1) {
    const std::uint64_t split = begin + std::bit_floor(end - begin - 1);
    const bool left = index < split;
    TRY(const Hash sibling, left ? range(split, end, size) : range(begin, split, size));
    path.push_back(sibling);
    (left ? end : begin) = split;
  }
  std::ranges::reverse(path);
  return path;
}

Result<std::vector<Hash>> Tree::consistency_proof(std::uint64_t old_size, std::uint64_t size) {
  if (old_size > size)
    return fail(Errc::invalid, "a tree of {} entries is not the beginning of one of {}", old_size,
                size);
  std::vector<Hash> path;
  if (old_size == 0 || old_size == size) return path;
  std::uint64_t begin = 0, end = size;
  bool whole = true;  // the old tree is a subtree whose root its reader has
  while (end != old_size) {
    const std::uint64_t split = begin + std::bit_floor(end - begin - 1);
    if (old_size <= split) {
      TRY(const Hash right, range(split, end, size));
      path.push_back(right);
      end = split;
    } else {
      TRY(const Hash left, range(begin, split, size));
      path.push_back(left);
      begin = split;
      whole = false;
    }
  }
  if (!whole) {
    TRY(const Hash last, range(begin, end, size));
    path.push_back(last);
  }
  std::ranges::reverse(path);
  return path;
}

}  // namespace assay::tlog
