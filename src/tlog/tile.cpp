#include "tlog/tile.hpp"

#include "base/assert.hpp"
#include "base/json.hpp"

namespace assay::tlog {
namespace {

std::unexpected<Error> bad_path() {
  return fail(Errc::invalid,
              "a tile's path is tile/<level>/<index> or tile/entries/<index>, partial ones end in "
              ".p/<width>");
}

std::string index_path(std::uint64_t index) {
  std::string out = fmt::format("{:03}", index % 1000);
  while ((index /= 1000) != 0) out = fmt::format("x{:03}/{}", index % 1000, out);
  return out;
}

// "x001/x234/067"
std::optional<std::uint64_t> parse_index(std::string_view text) {
  std::uint64_t out = 0;
  for (;;) {
    const bool more = text.starts_with('x');
    if (more) text.remove_prefix(1);
    if (text.size() < 3) return std::nullopt;
    std::uint64_t group = 0;
    for (const char c : text.substr(0, 3)) {
      if (c < '0' || c > '9') return std::nullopt;
      group = group * 10 + static_cast<std::uint64_t>(c - '0');
    }
    text.remove_prefix(3);
    // Below 2^63: more digits than that are no tile's.
    if (out > ((std::uint64_t{1} << 63) - 1 - group) / 1000) return std::nullopt;
    out = out * 1000 + group;
    if (!more) return text.empty() ? std::optional(out) : std::nullopt;
    if (!text.starts_with('/')) return std::nullopt;
    text.remove_prefix(1);
  }
}

}  // namespace

std::string tile_path(const TileId& id) {
  std::string out = id.entries ? std::string("tile/entries/") : fmt::format("tile/{}/", id.level);
  out += index_path(id.index);
  if (id.width != kTileWidth) out += fmt::format(".p/{}", id.width);
  return out;
}

Result<TileId> parse_tile_path(std::string_view path) {
  TileId out;
  if (!path.starts_with("tile/")) return bad_path();
  std::string_view rest = path.substr(5);
  const auto slash = rest.find('/');
  if (slash == std::string_view::npos) return bad_path();
  const auto level = rest.substr(0, slash);
  rest.remove_prefix(slash + 1);
  if (level == "entries") {
    out.entries = true;
  } else {
    const auto number = json::parse_u64(level);
    if (!number || *number > 63) return bad_path();
    out.level = static_cast<unsigned>(*number);
  }
  if (const auto partial = rest.find(".p/"); partial != std::string_view::npos) {
    const auto width = json::parse_u64(rest.substr(partial + 3));
    if (!width || *width == 0 || *width >= kTileWidth) return bad_path();
    out.width = static_cast<unsigned>(*width);
    rest = rest.substr(0, partial);
  }
  const auto index = parse_index(rest);
  if (!index) return bad_path();
  out.index = *index;
  // Leading groups of zeros and the like: one tile has one path.
  if (tile_path(out) != path) return bad_path();
  return out;
}

unsigned tile_width(std::uint64_t size, unsigned level, std::uint64_t index) {
  if (level >= kTileLevels) return 0;
  const std::uint64_t hashes = size >> (kTileHeight * level);
  if (index > hashes / kTileWidth) return 0;
  return static_cast<unsigned>(std::min<std::uint64_t>(hashes - index * kTileWidth, kTileWidth));
}

std::vector<TileId> new_tiles(std::uint64_t old_size, std::uint64_t size) {
  ASSAY_ASSERT(old_size <= size);
  std::vector<TileId> out;
  const auto add = [&](bool entries, unsigned level) {
    const std::uint64_t old_hashes = old_size >> (kTileHeight * level);
    const std::uint64_t hashes = size >> (kTileHeight * level);
    for (std::uint64_t index = old_hashes / kTileWidth; index * kTileWidth < hashes; ++index) {
      const unsigned width = tile_width(size, level, index);
      if (width != tile_width(old_size, level, index))
        out.push_back({entries, level, index, width});
    }
  };
  add(true, 0);
  for (unsigned level = 0; level < kTileLevels; ++level) add(false, level);
  return out;
}

void append_entry(Bytes& bundle, ByteView entry) {
  ASSAY_ASSERT(entry.size() <= kEntryBytesMax);
  append_be(bundle, static_cast<std::uint16_t>(entry.size()));
  append(bundle, entry);
}

Result<std::vector<ByteView>> parse_entries(ByteView bundle, std::size_t most) {
  std::vector<ByteView> out;
  while (!bundle.empty()) {
    if (out.size() == most) return fail(Errc::invalid, "more than {} entries", most);
    const std::size_t size = bundle.size() < 2 ? 0 : load_be<std::uint16_t>(bundle.data());
    if (bundle.size() < 2 + size)
      return fail(Errc::invalid, "an entry bundle ends within an entry");
    out.push_back(bundle.subspan(2, size));
    bundle = bundle.subspan(2 + size);
  }
  return out;
}

Result<std::vector<ByteView>> parse_bundle(ByteView bundle, std::size_t count) {
  TRY(auto out, parse_entries(bundle, count));
  if (out.size() != count)
    return fail(Errc::invalid, "an entry bundle has {} entries, expected {}", out.size(), count);
  return out;
}

Result<std::vector<Hash>> parse_hashes(ByteView tile, std::size_t count) {
  if (tile.size() != count * 32)
    return fail(Errc::invalid, "a tile has {} bytes, expected {}", tile.size(), count * 32);
  std::vector<Hash> out(count);
  for (std::size_t i = 0; i < count; ++i) std::memcpy(out[i].data(), tile.data() + i * 32, 32);
  return out;
}

Result<Bytes> cut(const TileId& id, ByteView full) {
  if (!id.entries) {
    if (full.size() != kTileWidth * 32)
      return fail(Errc::invalid, "a full tile has {} bytes, this one {}", kTileWidth * 32,
                  full.size());
    return Bytes(full.begin(), full.begin() + id.width * 32);
  }
  TRY(const auto entries, parse_bundle(full, kTileWidth));
  Bytes out;
  for (const ByteView entry : std::span(entries).first(id.width)) append_entry(out, entry);
  return out;
}

}  // namespace assay::tlog
