#include "tlog/check.hpp"

namespace assay::tlog {

Status check_log(const Checkpoint& checkpoint, TileSource& source,
                 const std::function<Status(std::uint64_t, ByteView)>& seen) {
  Edge edge;
  Status status;
  const auto compare = [&](const TileId& id, ByteView bytes) {
    // Of the lengths in between there may be no tiles left; of the checkpoint's there are.
    if (!status || id.width != tile_width(checkpoint.size, id.level, id.index)) return;
    const auto found = source.read(id);
    if (!found)
      status = std::unexpected(found.error());
    else if (!std::ranges::equal(*found, bytes))
      status = fail(Errc::mismatch, "{} is not what the entries make", tile_path(id));
  };
  while (edge.size() < checkpoint.size) {
    const std::uint64_t index = edge.size() / kTileWidth;
    const TileId id{true, 0, index, tile_width(checkpoint.size, 0, index)};
    TRY(const Bytes bundle, source.read(id));
    const auto entries = parse_bundle(bundle, id.width);
    if (!entries) return fail_in(tile_path(id), entries.error());
    for (std::size_t i = 0; i < entries->size(); ++i)
      CHECK_OK(seen(edge.size() + i, (*entries)[i]));
    edge.append(*entries, compare);
    CHECK_OK(status);
  }
  if (edge.root() != checkpoint.root)
    return fail(Errc::mismatch, "the entries do not make the signed root of {} entries",
                checkpoint.size);
  return {};
}

}  // namespace assay::tlog
