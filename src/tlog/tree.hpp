// Roots and proofs of any tree of a log, made from its tiles. Nothing here is believed by a reader:
// what it makes is checked against a signed root (crypto/merkle.hpp).
#pragma once
#include <list>
#include <map>
#include <memory>
#include <mutex>

#include "tlog/tile.hpp"

namespace assay::tlog {

// The hashes inside one tile: every complete subtree of its leaves.
class TileTree {
 public:
  explicit TileTree(std::vector<Hash> leaves);
  unsigned width() const { return width_; }
  // Root of the leaves [index << height, (index + 1) << height), which are below width()
  // (asserted).
  const Hash& node(unsigned height, std::uint64_t index) const;

 private:
  unsigned width_;
  std::vector<std::vector<Hash>> rows_;  // by height
};

// Reads tiles through a cache of `tiles_max` of them (about 16 KiB each), so that memory does not
// depend on the log's size. Safe to use from many threads if `source` is; `source` outlives it.
class Tree {
 public:
  explicit Tree(TileSource& source, std::size_t tiles_max = 256)
      : source_(source), tiles_max_(tiles_max) {}

  // The root of the first `size` entries.
  Result<Hash> root(std::uint64_t size);
  // Siblings from the leaf up. Errors: invalid when index >= size; whatever the source says.
  Result<std::vector<Hash>> inclusion_proof(std::uint64_t index, std::uint64_t size);
  // RFC 6962 section 2.1.2. Errors: invalid when old_size > size. From 0: empty.
  Result<std::vector<Hash>> consistency_proof(std::uint64_t old_size, std::uint64_t size);
  Result<Hash> leaf(std::uint64_t index, std::uint64_t size);

 private:
  // Root of the entries [begin, end) of the tree of `size`: begin is a multiple of the smallest
  // power of two that is not below end - begin.
  Result<Hash> range(std::uint64_t begin, std::uint64_t end, std::uint64_t size);
  Result<std::shared_ptr<const TileTree>> tile(unsigned level, std::uint64_t index,
                                               std::uint64_t size);

  TileSource& source_;
  const std::size_t tiles_max_;
  using Entry = std::pair<TileId, std::shared_ptr<const TileTree>>;
  std::mutex mutex_;
  std::list<Entry> recent_;  // front: used last
  std::map<TileId, std::list<Entry>::iterator> cached_;
};

}  // namespace assay::tlog
