// The right edge of a tree: all that is needed to append to it and to know its root. At most 255
// hashes a level and one unfinished entry bundle, whatever the size.
#pragma once
#include <functional>

#include "tlog/tile.hpp"

namespace assay::tlog {

class Edge {
 public:
  // Of the empty tree.
  Edge() : levels_(kTileLevels) {}
  // Reads the partial tiles (and, when `with_entries`, the partial bundle) of the tree of `size`.
  // Errors: invalid for a file of another length; whatever the source says. Compare root() with
  // what is known of the tree: the files are not believed otherwise.
  static Result<Edge> load(TileSource& source, std::uint64_t size, bool with_entries = true);
  // The hashes of each level, as to_bytes wrote them; without entries. Errors: invalid.
  static Result<Edge> from_bytes(ByteView bytes);
  Bytes to_bytes() const;

  std::uint64_t size() const { return size_; }
  Hash root() const;

  using TakeTile = std::function<void(const TileId&, ByteView)>;
  // Appends the entries and hands over every tile and bundle of the new tree that is not in the
  // old one, each once. Each entry has at most kEntryBytesMax bytes, the tree stays below 2^63
  // (asserted).
  void append(std::span<const ByteView> entries, const TakeTile& take);
  // Only its hash: for readers, who write no tiles.
  void append(const Hash& leaf) { push(leaf, nullptr); }

 private:
  void push(const Hash& leaf, const TakeTile& take);

  std::uint64_t size_ = 0;
  std::vector<std::vector<Hash>> levels_;  // of each level's last tile, fewer than 256
  Bytes bundle_;                           // of the last bundle, fewer than 256 entries
};

}  // namespace assay::tlog
