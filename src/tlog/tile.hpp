// Tiles and entry bundles (c2sp.org/tlog-tiles): a tree as plain files.
//   tile/<level>/<index>[.p/<width>]     256 hashes (or `width` of them) of 32 bytes
//   tile/entries/<index>[.p/<width>]     as many entries, each be16 length ‖ bytes
// A hash of a tile of level l is the root of 256^l entries. <index> is written in groups of three
// digits: 1234067 is x001/x234/067.
#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay::tlog {

inline constexpr unsigned kTileWidth = 256;
inline constexpr unsigned kTileHeight = 8;
inline constexpr unsigned kTileLevels = 8;  // of trees below 2^63
inline constexpr std::size_t kEntryBytesMax = 65535;

struct TileId {
  bool entries = false;  // an entry bundle; then level is 0
  unsigned level = 0;
  std::uint64_t index = 0;
  unsigned width = kTileWidth;  // less: a partial tile
  bool operator==(const TileId&) const = default;
  auto operator<=>(const TileId&) const = default;
  TileId full() const { return {entries, level, index, kTileWidth}; }
};

std::string tile_path(const TileId& id);
// Only what tile_path writes. Errors: invalid.
Result<TileId> parse_tile_path(std::string_view path);

// How many hashes the tile `index` of `level` holds in a tree of `size` entries: 0 … 256.
unsigned tile_width(std::uint64_t size, unsigned level, std::uint64_t index);
// Every tile of a tree that is not in the tree of `old_size` (entry bundles included), lowest level
// first: what is written when a log grows.
std::vector<TileId> new_tiles(std::uint64_t old_size, std::uint64_t size);

// `entry` has at most kEntryBytesMax bytes (asserted).
void append_entry(Bytes& bundle, ByteView entry);
// Views into `bundle`. Errors: invalid unless it is exactly `count` entries.
Result<std::vector<ByteView>> parse_bundle(ByteView bundle, std::size_t count);
// Every entry there is, at most `most`.
Result<std::vector<ByteView>> parse_entries(ByteView bundle, std::size_t most);
// Errors: invalid unless it is `count` hashes.
Result<std::vector<Hash>> parse_hashes(ByteView tile, std::size_t count);

// The partial tile or bundle `id` out of the full one, for readers that come after it was deleted.
// Errors: invalid.
Result<Bytes> cut(const TileId& id, ByteView full);

// Where tiles come from. Full tiles never change.
struct TileSource {
  virtual ~TileSource() = default;
  // The bytes as they are stored; not yet checked.
  virtual Result<Bytes> read(const TileId& id) = 0;
};

}  // namespace assay::tlog
