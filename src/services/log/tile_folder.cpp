#include "services/log/tile_folder.hpp"

#include "io/files.hpp"

namespace assay::services {

Result<Bytes> TileFolder::read(const tlog::TileId& id) {
  constexpr std::size_t kBytesMax = tlog::kTileWidth * (2 + tlog::kEntryBytesMax);
  const auto load = [&](const tlog::TileId& which) -> Result<Bytes> {
    TRY(const std::string bytes, io::read_file(folder_ + "/" + tlog::tile_path(which), kBytesMax));
    return Bytes(bytes.begin(), bytes.end());
  };
  auto found = load(id);
  if (found || found.error().code != Errc::not_found || id.width == tlog::kTileWidth) return found;
  TRY(const Bytes full, load(id.full()));
  return tlog::cut(id, full);
}

Result<std::string> TileFolder::checkpoint() const {
  return io::read_file(folder_ + "/checkpoint");
}

}  // namespace assay::services
