#include "tlog/edge.hpp"

#include "base/assert.hpp"
#include "crypto/merkle.hpp"
#include "crypto/sha256.hpp"
#include "tlog/checkpoint.hpp"

namespace assay::tlog {
namespace {

Bytes flat(std::span<const Hash> hashes) {
  Bytes out;
  out.reserve(hashes.size() * 32);
  for (const Hash& hash : hashes) append(out, hash);
  return out;
}

}  // namespace

Result<Edge> Edge::load(TileSource& source, std::uint64_t size, bool with_entries) {
  Edge out;
  out.size_ = size;
  for (unsigned level = 0; level < kTileLevels; ++level) {
    const std::uint64_t hashes = size >> (kTileHeight * level);
    const auto width = static_cast<unsigned>(hashes % kTileWidth);
    if (width == 0) continue;
    const TileId id{false, level, hashes / kTileWidth, width};
    TRY(const Bytes bytes, source.read(id));
    auto parsed = parse_hashes(bytes, width);
    if (!parsed) return fail_in(tile_path(id), parsed.error());
    out.levels_[level] = std::move(*parsed);
  }
  const auto width = static_cast<unsigned>(size % kTileWidth);
  if (with_entries && width != 0) {
    const TileId id{true, 0, size / kTileWidth, width};
    TRY(out.bundle_, source.read(id));
    const auto entries = parse_bundle(out.bundle_, width);
    if (!entries) return fail_in(tile_path(id), entries.error());
    for (std::size_t i = 0; i < width; ++i)
      if (crypto::leaf_hash((*entries)[i]) != out.levels_[0][i])
        return fail(Errc::mismatch, "{}: entry {} is not the one in the tree", tile_path(id), i);
  }
  return out;
}

Bytes Edge::to_bytes() const {
  Bytes out;
  append_be(out, size_);
  for (const auto& level : levels_) assay::append(out, flat(level));
  return out;
}

Result<Edge> Edge::from_bytes(ByteView bytes) {
  const auto wrong = [] { return fail(Errc::invalid, "not the edge of a tree"); };
  if (bytes.size() < 8) return wrong();
  Edge out;
  out.size_ = load_be<std::uint64_t>(bytes.data());
  if (out.size_ > kTreeSizeMax) return wrong();
  bytes = bytes.subspan(8);
  for (unsigned level = 0; level < kTileLevels; ++level) {
    const std::size_t width = (out.size_ >> (kTileHeight * level)) % kTileWidth;
    if (bytes.size() < width * 32) return wrong();
    TRY(out.levels_[level], parse_hashes(bytes.first(width * 32), width));
    bytes = bytes.subspan(width * 32);
  }
  if (!bytes.empty()) return wrong();
  return out;
}

// The peaks of the tree are those of each level's hashes, the highest level's first. Each level is
// a small tree of its own, whose root joins what lies to the right of it.
Hash Edge::root() const {
  if (size_ == 0) return crypto::sha256({});
  std::vector<Hash> peaks;  // largest first
  for (unsigned level = kTileLevels; level-- > 0;) {
    const auto& hashes = levels_[level];
    std::size_t at = 0;
    for (std::size_t bit = kTileWidth / 2; bit != 0; bit /= 2) {
      if ((hashes.size() & bit) == 0) continue;
      peaks.push_back(crypto::merkle_root(std::span(hashes).subspan(at, bit)));
      at += bit;
    }
  }
  Hash root = peaks.back();
  for (std::size_t i = peaks.size() - 1; i-- > 0;) root = crypto::node_hash(peaks[i], root);
  return root;
}

void Edge::push(const Hash& leaf, const TakeTile& take) {
  ASSAY_ASSERT(size_ < kTreeSizeMax);
  Hash hash = leaf;
  ++size_;
  for (unsigned level = 0;; ++level) {
    auto& hashes = levels_[level];
    hashes.push_back(hash);
    if (hashes.size() < kTileWidth) return;
    if (take) {
      const std::uint64_t index = (size_ >> (kTileHeight * (level + 1))) - 1;
      take({false, level, index, kTileWidth}, flat(hashes));
    }
    hash = crypto::merkle_root(hashes);
    hashes.clear();
  }
}

void Edge::append(std::span<const ByteView> entries, const TakeTile& take) {
  const std::uint64_t old_size = size_;
  for (const ByteView entry : entries) {
    append_entry(bundle_, entry);
    if ((size_ + 1) % kTileWidth == 0) {
      take({true, 0, size_ / kTileWidth, kTileWidth}, bundle_);
      bundle_.clear();
    }
    push(crypto::leaf_hash(entry), take);
  }
  for (const TileId& id : new_tiles(old_size, size_)) {
    if (id.width == kTileWidth) continue;  // handed over when it became full
    take(id, id.entries ? bundle_ : flat(levels_[id.level]));
  }
}

}  // namespace assay::tlog
